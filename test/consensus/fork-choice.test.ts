import t from "tap";
import { ONLY } from "../../chain/records.ts";
import { drawSlot } from "../../consensus/open-slot.ts";
import { finality } from "../../consensus/records.ts";
import { sets } from "../../vm/validator-store.ts";
import { createTestNetwork, EPOCHS } from "../helpers/chain.ts";

t.setTimeout(180_000);

t.test("a quorum of votes justifies as soon as it is seen, before a block carries it", async (t) => {
  const { nodes, keys, run } = await createTestNetwork(4);
  await run(4);
  const { engine: any } = nodes[0]!;
  const { proposer } = drawSlot(any.chain, any.baseOf(any.head()), 5);
  // The three others vote, and no block of slot 5 tells of it.
  await run(1, new Set([keys.findIndex((key) => key.address === proposer.address)]));
  for (const { engine } of nodes) {
    t.equal(engine.head().header.number, 4);
    t.equal(finality.get(engine.stateOf(engine.head()), ONLY)?.justifiedEpoch, 0);
    t.equal(engine.justified().epoch, 1);
  }
});

for (const [epochs, params] of EPOCHS)
  t.test(`sets of validators that nothing names any more are not kept (${epochs})`, async (t) => {
    const { nodes, run } = await createTestNetwork(2, [], params);
    await run(120);
    const { engine } = nodes[0]!;
    const state = engine.stateOf(engine.head());
    const kept = Array.from({ length: 20 }, (_, i) => i + 1).filter((id) => sets.get(state, id) !== undefined);
    t.ok(kept.length <= 3, `sets ${kept}`);
    t.ok(kept.at(-1)! >= 5, "each era brings one");
    t.ok(engine.finalized().epoch >= 26);
  });

for (const [epochs, params] of EPOCHS)
  t.test(`of two tips of one height the timely one is the head, on every node (${epochs})`, async (t) => {
    const { nodes, run, cut } = await createTestNetwork(4, [], params);
    await run(10);
    cut.add(0);
    await run(3);
    cut.clear();
    const chain = (engine: (typeof nodes)[number]["engine"]) =>
      Array.from({ length: 16 }, (_, i) => engine.store.canonical(i)).flatMap((hash) =>
        hash ? [engine.store.block(hash)!] : [],
      );
    const all = nodes.map(({ engine }) => chain(engine));
    for (const { engine } of nodes)
      for (const blocks of all) for (const block of blocks) await engine.importBlock(block);
    await run(8);
    t.equal(new Set(nodes.map(({ engine }) => engine.head().hash)).size, 1);
  });
