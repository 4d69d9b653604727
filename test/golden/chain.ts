import { type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { RuleError } from "../../lib/rule-error.ts";
import { mineShare } from "../helpers/mining.ts";
import type { ChainLog } from "./contracts.ts";
import { askAll } from "./rpc.ts";
import { type Ask, actor, type Done, lower, openStage, type Stage, type Story } from "./stage.ts";
import { entries, groups } from "./stories/entries.ts";
import { everyFunction } from "./stories/every.ts";
import { lots, matchedLots, ownPool, workers } from "./stories/lots.ts";
import { funding, heritage, settings, stakes } from "./stories/money.ts";
import { noise } from "./stories/noise.ts";
import { orderBook, resetSalts, scheduled } from "./stories/scheduled.ts";
import { showDoubleVote, validators } from "./stories/validators.ts";

/** Blocks of the chain. */
export const BLOCKS = 500;

interface Told {
  readonly story: Story;
  readonly name: string;
  /** What it waits for: transactions in order, or a slot. */
  asks: readonly (readonly [Ask, Hash])[];
  wakes: number;
  /** What it is told when it goes on. */
  done: readonly Done[];
}

/** Tells stories side by side: each goes on when its transactions are in blocks of the first node's chain. */
const createTeller = (stage: Stage) => {
  const told: Told[] = [];
  const errors: Error[] = [];
  const advance = async (each: Told): Promise<void> => {
    const { value, done } = await each.story.next(each.done);
    each.done = [];
    each.asks = [];
    if (done) told.splice(told.indexOf(each), 1);
    else if (typeof value === "number") each.wakes = stage.slot() + value;
    else each.asks = value.map((ask) => [ask, stage.send(ask)]);
  };
  /** Tells whether what a story sent is in blocks. Throws where something ended otherwise than the story says. */
  const settle = async (each: Told): Promise<boolean> => {
    const questions = each.asks.map(([, hash]) => ({ method: "eth_getTransactionReceipt", params: [hash] }));
    const receipts = (await askAll(stage.url, questions)).map(({ result }) => result) as ({
      status: string;
      logs: ChainLog[];
    } | null)[];
    if (receipts.includes(null)) return false;
    each.done = receipts.map((receipt) => ({ ok: receipt!.status === "0x1", logs: receipt!.logs }));
    for (const [i, { ok }] of each.done.entries()) {
      const [{ from, fails, to, data, value }, hash] = each.asks[i]!;
      if (fails === undefined || ok !== fails) continue;
      const call = { from: from.address, to, data, value: `0x${value.toString(16)}` };
      const [reason] = await askAll(stage.url, [{ method: "eth_call", params: [call, "latest"] }]);
      const what = `call ${i}, of ${data.slice(0, 10)} to ${to}, ${ok ? "works" : "reverts"}`;
      throw new Error(`${each.name}: ${what}; now: ${JSON.stringify(reason).slice(0, 200)} (${hash})`);
    }
    return true;
  };
  return {
    begin: (name: string, story: Story): void => {
      told.push({ name, story, asks: [], wakes: 0, done: [] });
    },
    errors,
    /** Those that are not over. */
    left: () => told.map(({ name }) => name),
    /** Lets those go on that may. */
    goOn: async (): Promise<void> => {
      for (const each of [...told])
        try {
          if (each.wakes <= stage.slot() && (await settle(each))) await advance(each);
        } catch (error) {
          // Others go on: what comes of them says more about what differs.
          errors.push(error as Error);
          told.splice(told.indexOf(each), 1);
        }
    },
    /** Tells whether transactions wait for a block. */
    waits: async (): Promise<boolean> => {
      for (const each of told) if (each.asks.length > 0 && !(await settle(each))) return true;
      return false;
    },
  };
};

/** Gives every node the blocks that the others have on their chains. */
const heal = async ({ nodes }: Stage): Promise<void> => {
  const chains = nodes.map(({ engine }) =>
    Array.from({ length: engine.head().header.number }, (_, i) => engine.store.block(engine.store.canonical(i + 1)!)!),
  );
  // Those who went on have finalized what excludes the blocks of who was alone.
  for (const { engine } of nodes)
    for (const block of chains.flat())
      await engine.importBlock(block).catch((error) => {
        if ((error as RuleError).code !== "block-not-on-finalized") throw error;
      });
};

/** Slots in which the chain is led to what does not come by itself. */
const SHARES = { from: 3, to: 330, every: 3 };
const STANDSTILL = { from: 96, to: 128, offline: new Set([1, 2]) };
const FORK_SLOT = 150;
const FORK_SLOTS = 10;
const TWIN_SLOT = 190;
const DOUBLE_VOTE_SLOT = 330;

/** One node is alone for a while: it makes blocks of its own, some with other transactions, and comes back. */
const fork = async (stage: Stage): Promise<void> => {
  const from = actor("forker");
  const transfer = (value: bigint): Ask => ({
    ...{ from, to: ZERO_ADDRESS, data: "0x", value, fails: false, fields: { gasLimit: 21_000 } },
  });
  stage.cut.add(0);
  // Two of one nonce, of which each side knows one.
  const mine = stage.sign(transfer(1_000n));
  const theirs = stage.sign({ ...transfer(2_000n), fields: { gasLimit: 21_000, nonce: mine.nonce } }, 1);
  for (const [i, { engine }] of stage.nodes.entries()) engine.addTransaction((i === 0 ? mine : theirs).raw);
  for (let i = 0; i < FORK_SLOTS; i++) {
    stage.send(transfer(BigInt(i)));
    await stage.pass();
  }
  stage.cut.delete(0);
  await heal(stage);
};

/** Makes the golden chain: the same on every machine, unless what a node does is another. */
export const makeChain = async (
  options: { readonly log?: (line: string) => void } = {},
): Promise<{ stage: Stage; reorganized: number; errors: readonly Error[] }> => {
  resetSalts();
  const stage = await openStage();
  const { log = () => {} } = options;
  const { engine } = stage.nodes[0]!;
  const teller = createTeller(stage);
  let reorganized = 0;
  engine.on("head", (_, left) => {
    reorganized += left.length;
  });
  const none: ReadonlySet<number> = new Set();
  const share = async (slot: number): Promise<void> => {
    const turn = stage.validator.map((_, i) => stage.validator[(slot + i) % 4]!.address);
    for (const beneficiary of turn.slice(0, 1 + (slot % 2))) {
      const mined = mineShare(engine, { beneficiary });
      for (const node of stage.nodes) await node.engine.addShare(mined).catch(() => undefined);
    }
  };
  teller.begin("funding", funding(stage));
  let isBegun = false;
  let last: "every" | "heritage" | undefined;
  for (let slot = 1; engine.head().header.number < BLOCKS; slot = stage.slot() + 1) {
    await teller.goOn();
    if (!isBegun && teller.left().length === 0) {
      isBegun = true;
      stage.known.genesisPool = lower(await stage.read("market", "genesisPool"));
      for (const story of [
        stakes,
        settings,
        entries,
        groups,
        validators,
        workers,
        scheduled,
        orderBook,
        lots,
        matchedLots,
        ownPool,
      ])
        teller.begin(story.name, story(stage));
      await teller.goOn();
    } else if (isBegun && teller.left().length === 0 && last !== "heritage") {
      last = last === undefined ? "every" : "heritage";
      if (last === "every") {
        teller.begin("everyFunction", everyFunction(stage));
        teller.begin("noise", noise(stage));
      } else teller.begin("heritage", heritage(stage));
      await teller.goOn();
    }
    if (slot >= SHARES.from && slot <= SHARES.to && slot % SHARES.every === 0) await share(slot);
    if (slot >= FORK_SLOT && reorganized === 0 && !(await teller.waits())) await fork(stage);
    const isStandstill = slot >= STANDSTILL.from && slot < STANDSTILL.to;
    await stage.pass(isStandstill ? STANDSTILL.offline : none);
    if (slot === TWIN_SLOT) await engine.importBlock(stage.twinOf(engine.head()));
    if (slot === DOUBLE_VOTE_SLOT) showDoubleVote(stage, 3);
    if (slot % 50 === 0)
      log(`slot ${slot} block ${engine.head().header.number} final ${engine.finalized().number} ${teller.left()}`);
    if (slot > 800) throw new Error("the chain does not come to its end");
  }
  return { stage, reorganized, errors: teller.errors };
};
