import { readFileSync } from "node:fs";
import t from "tap";
import { decodeBlock, encodeBlock } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { createEngine } from "../../consensus/engine.ts";
import { silent } from "../helpers/chain.ts";
import { documentedMethods, NOT_ASKED } from "./questions.ts";
import { firstDifference, formatRecord, gapsOf, makeGolden, otherAnswers, parseRecord, RECORD } from "./record.ts";

// A chain of 500 blocks in which everything happens, against a record of it: a change that is to change nothing changes no byte.
t.setTimeout(900_000);

const recorded = readFileSync(RECORD, "utf8");
const expected = parseRecord(recorded);
const golden = await makeGolden();
const { stage } = golden;
t.teardown(() => stage.stop());

t.test("every story of the chain comes to its end", (t) => {
  t.same(
    golden.errors.map(({ message }) => message),
    [],
  );
  t.end();
});

t.test("each block, transaction and event is what was recorded", (t) => {
  t.equal(firstDifference(expected, golden), undefined);
  t.end();
});

t.test("JSON-RPC answers about the chain what was recorded", (t) => {
  t.same(otherAnswers(expected, golden), []);
  t.end();
});

t.test("the record is written as it is read", (t) => {
  t.equal(formatRecord(expected), recorded);
  t.end();
});

t.test("every function works once and reverts once, and every event is logged", (t) => {
  t.same(gapsOf(golden.coverage), []);
  t.end();
});

t.test("every method of docs/rpc.md is asked, or said why not", (t) => {
  const left = documentedMethods().filter((method) => !golden.questions.has(method));
  t.same(left.sort(), Object.keys(NOT_ASKED).sort());
  t.end();
});

t.test("the chain has shares, certificates, evidence of both kinds, empty slots and blocks that were given up", (t) => {
  const { engine } = stage.nodes[0]!;
  const bodies = expected.blocks.map((_, i) => engine.store.block(engine.store.canonical(i + 1)!)!.body);
  const count = (of: "workShares" | "certificates" | "evidence"): number =>
    bodies.reduce((sum, body) => sum + body[of].length, 0);
  t.ok(count("workShares") > 100, "shares");
  t.ok(count("certificates") > 200, "certificates");
  t.same(
    bodies.flatMap(({ evidence }) =>
      evidence.map(([kind]) => Number(`0x${Buffer.from(kind as Uint8Array).toString("hex") || "0"}`)),
    ),
    [0, 1],
  );
  t.ok(Number(expected.blocks.at(-1)!.fields[1]) > expected.blocks.length + 20, "empty slots");
  t.ok(Number(/reorganized (\d+)/.exec(expected.end)![1]) > 0, "blocks that were given up");
  t.end();
});

t.test("a node that is given the blocks alone comes to the same", async (t) => {
  const { engine } = stage.nodes[0]!;
  const { genesis } = stage;
  const other = await createEngine({ db: memoryDb(), genesis, now: engine.now, log: silent });
  for (let number = 1; number <= stage.head().header.number; number++) {
    const block = decodeBlock(encodeBlock(engine.store.block(engine.store.canonical(number)!)!));
    if ((await other.importBlock(block)) !== "imported") t.fail(`block ${number} is imported`);
  }
  t.equal(other.head().hash, stage.head().hash);
  t.same(other.finalized(), engine.finalized());
  await other.stop();
});
