import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { decodeBlock } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { readGenesis } from "../../chain/genesis.ts";
import { timestampOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import { createEngine } from "../../consensus/engine.ts";
import { bondsBurned, finality, reserve } from "../../consensus/records.ts";
import { fromHex } from "../../lib/bytes.ts";
import { silent } from "../helpers/chain.ts";
import { makeVectors } from "../vectors/make.ts";

t.setTimeout(180_000);

type Vectors = Awaited<ReturnType<typeof makeVectors>>;
const vectors = JSON.parse(readFileSync(join(import.meta.dirname, "../vectors/consensus.json"), "utf8")) as Vectors;

t.test("a node that knows the genesis document alone comes to each state of the vectors", async (t) => {
  const genesis = readGenesis(vectors.genesis);
  let nowMs = genesis.genesisTime * 1000;
  const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
  t.equal(engine.genesisHash, vectors.genesisHash);
  for (const expected of vectors.blocks) {
    nowMs = timestampOf(genesis, expected.slot) * 1000;
    const block = decodeBlock(fromHex(expected.encoded));
    t.equal(block.hash, expected.hash);
    t.equal(await engine.importBlock(block), "imported", `block ${expected.number}`);
    const state = engine.stateOf(block);
    t.match(finality.get(state, ONLY), {
      justifiedEpoch: expected.justifiedEpoch,
      finalizedEpoch: expected.finalizedEpoch,
    });
    t.equal(reserve.get(state, ONLY)?.toString(), expected.reserve);
    t.equal((bondsBurned.get(state, ONLY) ?? 0n).toString(), expected.bondsBurned);
  }
  const { body } = vectors.blocks
    .map((each) => decodeBlock(fromHex(each.encoded)))
    .reduce((all, block) => ({
      ...block,
      body: {
        transactions: [...all.body.transactions, ...block.body.transactions],
        workShares: [...all.body.workShares, ...block.body.workShares],
        certificates: [...all.body.certificates, ...block.body.certificates],
        evidence: [...all.body.evidence, ...block.body.evidence],
      },
    }));
  for (const [what, items] of Object.entries(body)) t.ok(items.length > 0, `the vectors hold ${what}`);
  await engine.stop();
});

t.test("the vectors are what the script makes", async (t) => {
  t.strictSame(JSON.parse(JSON.stringify(await makeVectors())), vectors);
});
