import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { decodeBlock, encodeBlock } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import type { ConflictError } from "../../consensus/conflict.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { decodeVote, encodeVote, type Vote } from "../../consensus/votes.ts";
import type { RuleError } from "../../lib/rule-error.ts";
import { settledConflicts, writeConflict } from "../../node/conflict-file.ts";
import { validators } from "../../vm/validator-store.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";

/** Two worlds of one genesis, in each of which some validators live that know nothing of the other. */
const twoWorlds = async (count: number, ours: readonly number[], theirs: readonly number[], slots: number) => {
  const { genesis, keys } = testGenesis(count, []);
  const clock = { slot: 0 };
  const now = () => timestampOf(genesis, clock.slot) * 1000;
  const world = async (members: readonly number[]) => {
    const db = memoryDb();
    const engine = await createEngine({ db, genesis, now, log: silent });
    const votes: Vote[] = [];
    const producer = createProducer({
      engine,
      signers: members.map((i) => localSigner(keys[i]!)),
      protection: memoryProtection(),
      publishBlock: () => {},
      publishVote: (vote) => votes.push(vote),
      log: silent,
    });
    return { db, engine, votes, producer };
  };
  const worlds = [await world(ours), await world(theirs)] as const;
  const run = async (until: number, some: readonly Awaited<ReturnType<typeof world>>[]): Promise<void> => {
    for (; clock.slot < until; ) {
      clock.slot += 1;
      for (const each of some) {
        await each.producer.onSlot(clock.slot);
        each.producer.onHalfSlot(clock.slot);
      }
    }
  };
  await run(slots, worlds);
  return { genesis, worlds, run, now };
};

const codeOf = (error: unknown): string => (error as RuleError).code ?? (error as Error).name;

t.test("two conflicting final checkpoints are noticed, proven, and stop the node", async (t) => {
  const { worlds, genesis, now } = await twoWorlds(4, [0, 1, 2], [1, 2, 3], 40);
  const [a, b] = worlds;
  t.ok(a.engine.finalized().epoch >= 6 && b.engine.finalized().epoch >= 6);
  t.not(a.engine.finalized().hash, b.engine.finalized().hash);
  const fatal: Error[] = [];
  a.engine.on("fatal", (error) => fatal.push(error));
  const accused: number[] = [];
  a.engine.on("evidence", () => accused.push(1));
  const seen = new Set<string>();
  for (let n = 1; n <= b.engine.head().header.number && fatal.length === 0; n++) {
    const block = b.engine.store.block(b.engine.store.canonical(n)!)!;
    try {
      seen.add(await a.engine.importBlock(decodeBlock(encodeBlock(block))));
    } catch (error) {
      seen.add(codeOf(error));
    }
  }
  t.ok(seen.has("block-not-on-finalized"), [...seen].join());
  t.equal(fatal.length, 1);
  const { proofs, message } = fatal[0] as ConflictError;
  t.match(message, /two conflicting final checkpoints/);
  t.ok(proofs.ours.length > 0 && proofs.theirs.length > 0, "the certificates of both chains");
  t.ok(accused.length >= 2, "both that signed on two chains are accused");
  const state = a.engine.stateOf(a.engine.head());
  t.ok([...a.engine.evidenceFor(state)].length >= 2, "and will be slashed");
  const next = b.engine.store.block(b.engine.store.canonical(b.engine.head().header.number)!)!;
  await t.rejects(a.engine.importBlock(next), { name: "ConflictError" }, "it stays stopped");

  const datadir = mkdtempSync(join(tmpdir(), "rolec-conflict-"));
  const file = writeConflict(datadir, fatal[0] as ConflictError);
  t.throws(() => settledConflicts(datadir), /another chain became final/);
  const document = JSON.parse(readFileSync(file, "utf8"));
  t.equal(document.proofs.theirs.length, proofs.theirs.length);
  writeFileSync(file, JSON.stringify({ ...document, settled: true }));
  t.same(settledConflicts(datadir), [(fatal[0] as ConflictError).branch], "once the operator has acted it starts");
  const settled = await createEngine({ db: a.db, genesis, now, log: silent, settled: settledConflicts(datadir) });
  let stops = 0;
  settled.on("fatal", () => {
    stops += 1;
  });
  for (let n = 1; n <= b.engine.head().header.number; n++)
    await settled.importBlock(b.engine.store.block(b.engine.store.canonical(n)!)!).catch(() => undefined);
  t.equal(stops, 0, "and what is settled stops it no more");
});

t.test("votes for a chain that is not here prove offences too", async (t) => {
  const { worlds, run } = await twoWorlds(4, [0, 1, 2], [1, 2, 3], 24);
  const [a, b] = worlds;
  const codes = new Set<string>();
  for (const vote of b.votes)
    try {
      await a.engine.addVote(decodeVote(encodeVote(vote)));
    } catch (error) {
      codes.add(codeOf(error));
    }
  t.same([...codes].sort(), ["vote-stale", "vote-unknown-target"]);
  await run(28, [a]);
  const slashed = validators.all(a.engine.stateOf(a.engine.head())).filter((each) => each.slashedEpoch !== undefined);
  t.same(
    slashed.map((each) => each.index),
    [1, 2],
  );
});

t.test("a minority's chain, and signatures of another electorate, stop nobody", async (t) => {
  const { worlds } = await twoWorlds(4, [0, 1, 2], [3], 24);
  const [a, b] = worlds;
  let fatal = 0;
  a.engine.on("fatal", () => {
    fatal += 1;
  });
  for (let n = 1; n <= b.engine.head().header.number; n++)
    await a.engine
      .importBlock(decodeBlock(encodeBlock(b.engine.store.block(b.engine.store.canonical(n)!)!)))
      .catch(() => undefined);
  t.equal(fatal, 0);
});

t.test("what becomes excluded holds the proof too, and a stopped node votes no more", async (t) => {
  const { worlds, run } = await twoWorlds(4, [0, 1, 2], [1, 2, 3], 12);
  const [a, b] = worlds;
  // All of the other chain is imported while nothing of it is excluded; then both go on apart.
  const fatal: Error[] = [];
  a.engine.on("fatal", (error) => fatal.push(error));
  const tell = async (): Promise<void> => {
    for (let n = 1; n <= b.engine.head().header.number; n++)
      await a.engine.importBlock(b.engine.store.block(b.engine.store.canonical(n)!)!).catch(() => undefined);
  };
  await tell();
  for (let slot = 16; slot <= 40 && fatal.length === 0; slot += 2) {
    await run(slot, worlds);
    await tell();
  }
  t.equal(fatal[0]?.name, "ConflictError");
  const [vote] = b.votes;
  await t.rejects(a.engine.addVote(vote!), { name: "ConflictError" });
  t.throws(() => a.engine.castVote(vote!), { name: "ConflictError" });
  const { genesis, now } = await twoWorlds(4, [0], [1], 0);
  await t.rejects(createEngine({ db: a.db, genesis, now, log: silent }), /nobody has settled it/);
});
