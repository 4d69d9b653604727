import blst from "@chainsafe/blst";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { slotOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { openBlock } from "../../consensus/transition.ts";
import { recoverCompact } from "../../lib/secp256k1.ts";
import { createTestNetwork, silent } from "../helpers/chain.ts";

/** Counts what is verified while some work is done. */
const pairingsIn = async (work: () => unknown): Promise<number> => {
  const { fastAggregateVerify } = blst;
  let count = 0;
  blst.fastAggregateVerify = (...args) => {
    count += 1;
    return fastAggregateVerify(...args);
  };
  try {
    await work();
  } finally {
    blst.fastAggregateVerify = fastAggregateVerify;
  }
  return count;
};

t.test(
  "a block's reveal is verified once, by gossip's screen or where it waits, and its body's signatures once",
  async (t) => {
    const { nodes, run, genesis } = await createTestNetwork(1);
    await run(2);
    const { store } = nodes[0]!.engine;
    const [first, second] = [1, 2].map((number) => store.block(store.canonical(number)!)!);
    const now = () => second!.header.timestamp * 1000;
    const engine = await createEngine({ db: memoryDb(), genesis, now, log: silent });
    const alone = await pairingsIn(async () => {
      engine.screenBlock(first!);
      await engine.importBlock(first!, "gossip");
    });
    t.equal(alone, 1);
    const other = await createEngine({ db: memoryDb(), genesis, now, log: silent });
    const waiting = await pairingsIn(async () => {
      other.screenBlock(second!);
      t.equal(await other.importBlock(second!, "gossip"), "waiting");
      other.screenBlock(first!);
      t.equal(await other.importBlock(first!, "gossip"), "imported");
    });
    t.equal(other.head().hash, second!.hash);
    t.equal(waiting, 2 + second!.body.certificates.length);
    await Promise.all([engine.stop(), other.stop()]);
  },
);

t.test("a reveal that was verified by another key than the proposer's is verified again", async (t) => {
  const { nodes, run, genesis } = await createTestNetwork(1);
  const { engine } = nodes[0]!;
  const base = engine.baseOf(engine.head());
  await run(1);
  const block = engine.head();
  const screened = {
    slot: slotOf(genesis, block.header.timestamp),
    signer: recoverCompact(block.hash, block.signature)!,
    revealKey: `0x${"c0".padEnd(96, "0")}` as const,
  };
  t.equal(await pairingsIn(() => openBlock(engine.chain, base, block, screened)), 1);
});
