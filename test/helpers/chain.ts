import { pino } from "pino";
import type { Block } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { devGenesis, readGenesis } from "../../chain/genesis.ts";
import { type Genesis, type Params, slotOf, timestampOf } from "../../chain/params.ts";
import { DEV_PARAMS } from "../../chain/profiles.ts";
import { createEngine, type Engine } from "../../consensus/engine.ts";
import { drawSlot, type OpenSlot, openSlot } from "../../consensus/open-slot.ts";
import { createProducer, type Producer } from "../../consensus/producer.ts";
import { localSigner, type SlashingProtection } from "../../consensus/signer.ts";
import type { Vote } from "../../consensus/votes.ts";
import { type Address, type Hex, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, type ValidatorKeys, validatorKeys } from "../../node/folder.ts";

export const testKey = (name: string): Hex => keccak256(utf8(`test ${name}`));
export const silent = pino({ level: process.env.TEST_LOG ?? "silent" });

/** Parameters as a document has them, to be changed for a test. */
export type TestParams = Partial<Record<keyof Params, unknown>>;

/**
 * Four epochs of four slots an era, with all that counts in epochs: tests that were written down slot by slot say what they
 * mean on these, whatever the profiles are.
 */
export const FOUR_SLOTS: TestParams = {
  slotsPerEpoch: 4,
  epochsPerEra: 4,
  leakQuotient: (2n ** 14n).toString(),
  leakAfterEpochs: 4,
  inclusionEpochs: 2,
  membershipEpochs: 2,
  unbondingEpochs: 60,
  evidenceEpochs: 40,
  trustingEpochs: 30,
};
/** What the development profile says of epochs, to be given in the place of the four slots. */
export const PROFILE: TestParams = Object.fromEntries(
  Object.keys(FOUR_SLOTS).map((name) => [name, DEV_PARAMS[name as keyof Params & keyof typeof DEV_PARAMS]]),
);

/** Both, for tests that hold whatever an epoch is: `for (const [epochs, params] of EPOCHS) t.test(...)`. */
export const EPOCHS: readonly (readonly [name: string, params: TestParams])[] = [
  ["epochs of four slots", FOUR_SLOTS],
  ["epochs of the profile", PROFILE],
];

/**
 * Makes a genesis of the development profile, with epochs of four slots unless others are given, with validators and funded accounts.
 * The first validator has all RLC that is left; `changes` stand in the place of the document's own fields.
 */
export const testGenesis = (
  count: number,
  accounts: readonly Address[] = [],
  params: TestParams = {},
  changes: Readonly<Record<string, unknown>> = {},
): { genesis: Genesis; keys: ValidatorKeys[]; document: unknown } => {
  const keys = Array.from({ length: count }, (_, i) => validatorKeys(testKey(`validator ${i}`)));
  const document = {
    ...devGenesis({
      genesisTime: 1_700_000_000,
      validators: keys.map((each) => genesisValidator(each, 10_000n * RLC)),
      accounts: accounts.map((address) => ({ address, balance: (1_000n * RLC).toString() })),
      slots: [],
      params: { ...FOUR_SLOTS, ...params },
    }),
    ...changes,
  };
  return { genesis: readGenesis(document), keys, document };
};

/** Slashing protection that refuses what is slashable, in memory. */
export const memoryProtection = (): SlashingProtection => {
  const slots = new Map<Address, number>();
  const targets = new Map<Address, number>();
  const rise = (last: Map<Address, number>, of: Address, next: number, what: string): void => {
    if (next <= (last.get(of) ?? -1)) throw new Error(`${what} ${next} after ${last.get(of)}`);
    last.set(of, next);
  };
  return {
    allowProposal: async (validator, next) => rise(slots, validator, next, "slot"),
    allowVote: async (validator, _source, next) => rise(targets, validator, next, "target"),
  };
};

export interface TestNode {
  readonly engine: Engine;
  readonly producer: Producer;
}

/** Engines and producers of one chain in one process, on a clock that the test moves; messages arrive at once. */
export const createTestNetwork = async (
  count: number,
  accounts: readonly Address[] = [],
  params: TestParams = {},
  changes: Readonly<Record<string, unknown>> = {},
) => {
  const { genesis, keys } = testGenesis(count, accounts, params, changes);
  let nowMs = genesis.genesisTime * 1000;
  const nodes: TestNode[] = [];
  /** Pairs that do not hear each other. */
  const isCut = (from: number, to: number): boolean => cut.has(from) !== cut.has(to);
  const cut = new Set<number>();
  const to = async (from: number, what: (node: TestNode) => unknown): Promise<void> => {
    for (const [i, node] of nodes.entries()) {
      if (i === from || isCut(from, i)) continue;
      try {
        await what(node);
      } catch {
        // A message that a node refuses is that node's to judge.
      }
    }
  };
  let deliveries: Promise<void>[] = [];
  for (const [i, key] of keys.entries()) {
    const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
    const producer = createProducer({
      engine,
      signers: [localSigner(key)],
      protection: memoryProtection(),
      publishBlock: (block: Block) => deliveries.push(to(i, (node) => node.engine.importBlock(block))),
      publishVote: (vote: Vote) => deliveries.push(to(i, (node) => node.engine.addVote(vote))),
      log: silent,
    });
    engine.on("evidence", (evidence) => deliveries.push(to(i, (node) => node.engine.addEvidence(evidence))));
    nodes.push({ engine, producer });
  }
  let slot = 0;
  return {
    genesis,
    keys,
    nodes,
    cut,
    /** Lets slots pass in which nobody does anything. */
    skip: (slots: number): void => {
      slot += slots;
      nowMs = timestampOf(genesis, slot) * 1000;
    },
    /** Runs slots; the validators at `offline` do nothing. */
    run: async (slots: number, offline: ReadonlySet<number> = new Set()): Promise<void> => {
      for (let i = 0; i < slots; i++) {
        slot += 1;
        nowMs = timestampOf(genesis, slot) * 1000;
        for (const [n, { producer }] of nodes.entries()) {
          if (offline.has(n)) continue;
          await producer.onSlot(slot);
          await Promise.all(deliveries);
          deliveries = [];
        }
        for (const [n, { producer }] of nodes.entries()) if (!offline.has(n)) producer.onHalfSlot(slot);
      }
    },
  };
};

/** Opens a slot on the head of an engine, or on another block: the next one where none is named. */
export const openAt = (engine: Engine, slot?: number, parent: Block = engine.head()): OpenSlot => {
  const next = slotOf(engine.chain.genesis, parent.header.timestamp) + 1;
  return openSlot(engine.chain, drawSlot(engine.chain, engine.baseOf(parent), slot ?? next));
};

export const accountOf = (name: string): { key: Hex; address: Address } => ({
  key: testKey(name),
  address: addressOf(testKey(name)),
});
