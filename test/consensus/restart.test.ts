import t from "tap";
import type { Block } from "../../chain/block.ts";
import { type Database, memoryDb, type Op } from "../../chain/db.ts";
import { epochOf, firstOpenEpoch, firstSlot, slotOf, timestampOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import { openStore } from "../../chain/store.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { openForkChoice } from "../../consensus/fork-choice.ts";
import { finality, must } from "../../consensus/records.ts";
import { localSigner } from "../../consensus/signer.ts";
import { buildBlock } from "../../consensus/transition.ts";
import type { Vote } from "../../consensus/votes.ts";
import type { Hash } from "../../lib/bytes.ts";
import { EPOCHS, openAt, silent, type TestParams, testGenesis } from "../helpers/chain.ts";

t.setTimeout(180_000);

const VALIDATORS = 4;
const SLOTS = 40;

const randomFrom = (seed: number) => {
  let a = seed;
  return (): number => {
    a = (a + 0x6d2b79f5) | 0;
    let x = Math.imul(a ^ (a >>> 15), 1 | a);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
};

const copyOf = async (db: Database): Promise<Database> => {
  const copy = memoryDb();
  const ops: Op[] = [];
  for await (const [key, value] of db.iterate(new Uint8Array(0))) ops.push({ key, value });
  await copy.batch(ops);
  return copy;
};

/** Grows a random tree with random votes, by the same blocks and votes for an engine that runs on and one that is killed now and then. */
const grow = async (seed: number, params: TestParams) => {
  const random = randomFrom(seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
  const { genesis, keys } = testGenesis(VALIDATORS, [], params);
  const signers = new Map(keys.map((key) => [key.address, localSigner(key)]));
  let nowMs = genesis.genesisTime * 1000;
  const open = (db: Database) => createEngine({ db, genesis, now: () => nowMs, log: silent });
  const steadyDb = memoryDb();
  const steady = await open(steadyDb);
  let db = memoryDb();
  let mortal = await open(db);
  const blocks = [steady.head()];
  const store = openStore(steadyDb);
  const slotAt = (block: Block): number => slotOf(genesis, block.header.timestamp);
  const ancestorBy = (block: Block, slot: number): Block => {
    let at = block;
    while (slotAt(at) > slot) at = store.block(at.header.parentHash)!;
    return at;
  };
  /** Blocks that nobody builds on and that the final one does not exclude, from all that was made. */
  const leavesOf = (all: readonly Block[], final: Block): Hash[] => {
    const parents = new Set(all.map(({ header }) => header.parentHash));
    const isOn = (block: Block) => ancestorBy(block, slotAt(final)).hash === final.hash;
    return all.filter((block) => !parents.has(block.hash) && isOn(block)).map(({ hash }) => hash);
  };
  const makeBlock = async (slot: number): Promise<Block | undefined> => {
    const parent = random() < 0.6 ? steady.head() : pick(blocks.slice(-8));
    if (slotAt(parent) >= slot) return undefined;
    const opened = openAt(steady, slot, parent);
    const { address } = opened.proposer;
    const signer = signers.get(address)!;
    const open = firstOpenEpoch(genesis, epochOf(genesis, slot));
    const { header, hash, body } = buildBlock(steady.chain, opened, {
      beneficiary: address,
      randaoReveal: await signer.reveal(steady.genesisHash, slot),
      transactions: [],
      workShares: [],
      certificates: random() < 0.5 ? steady.votes.certificates(opened.state, open) : [],
      evidence: [],
      onRefused: () => {},
      onBug: (error) => {
        throw error;
      },
    });
    return { header, hash, body, signature: await signer.proposal(header) };
  };
  const castVotes = async (epoch: number): Promise<void> => {
    const heads = [pick(blocks.slice(-4)), steady.head()];
    for (const [index, key] of keys.entries()) {
      const target = ancestorBy(random() < 0.8 ? heads[0]! : heads[1]!, firstSlot(genesis, epoch));
      const known = must(finality.get(steady.stateOf(target), ONLY), "finality");
      const link = {
        sourceEpoch: known.justifiedEpoch,
        sourceHash: target.header.number === 0 ? steady.genesisHash : known.justifiedHash,
        targetEpoch: epoch,
        targetHash: target.hash,
      };
      const vote: Vote = { index, link, signature: await localSigner(key).vote(steady.genesisHash, link) };
      if (random() < 0.9) await Promise.allSettled([steady, mortal].map((engine) => engine.addVote(vote)));
    }
  };
  const viewOf = (engine: Engine) => ({
    head: engine.head().hash,
    justified: engine.justified(),
    finalized: engine.finalized(),
    votes: engine.votes
      .all()
      .filter(({ link }) => link.targetEpoch > engine.finalized().epoch)
      .map(({ index, link }) => `${link.targetEpoch} ${index} ${link.targetHash}`)
      .sort(),
  });
  const leavesIn = async (of: Database): Promise<Hash[]> => {
    const kept = openStore(of);
    const head = kept.block(kept.pointer("head")!)!;
    const choice = await openForkChoice(genesis, kept, head, { epoch: 0, hash: steady.genesisHash });
    return choice.leaves().map(({ hash }) => hash);
  };
  const tips = new Set<number>();
  for (let slot = 1; slot <= SLOTS; slot++) {
    nowMs = timestampOf(genesis, slot) * 1000 + Math.floor(random() * 1_000);
    for (let made = 0; made < 1 + Number(random() < 0.5); made++) {
      const block = await makeBlock(slot);
      if (!block || blocks.some(({ hash }) => hash === block.hash)) continue;
      const [first] = await Promise.allSettled([steady, mortal].map((engine) => engine.importBlock(block)));
      if (first!.status === "fulfilled") blocks.push(block);
    }
    const epoch = epochOf(genesis, slot);
    if (epoch >= 1 && slot === firstSlot(genesis, epoch) + 1) await castVotes(epoch);
    if (random() < 0.3) {
      const left = mortal;
      db = await copyOf(db);
      mortal = await open(db);
      await left.stop();
    }
    t.same(viewOf(mortal), viewOf(steady), `seed ${seed}, slot ${slot}: the same head, checkpoints and votes`);
    const expected = leavesOf(blocks, store.block(steady.finalized().hash)!).sort();
    t.same((await leavesIn(db)).sort(), expected, `seed ${seed}, slot ${slot}: the same leaves`);
    tips.add(expected.length);
  }
  const { finalized, justified } = viewOf(steady);
  await Promise.all([steady.stop(), mortal.stop()]);
  return { tips: Math.max(...tips), finalEpoch: finalized.epoch, justifiedEpoch: justified.epoch };
};

for (const [epochs, params] of EPOCHS)
  t.test(
    `a node that is killed and opened again has the head and the leaves of one that ran on (${epochs})`,
    async (t) => {
      const runs = [];
      for (const seed of [1, 2, 3]) runs.push(await grow(seed, params));
      t.ok(
        runs.some(({ tips }) => tips >= 3),
        "trees with several tips",
      );
      t.ok(
        runs.some(({ finalEpoch }) => finalEpoch > 0),
        "some of it final",
      );
    },
  );
