import t from "tap";
import { epochOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { drawProposer, epochSeed, proposerOf } from "../../consensus/proposer.ts";
import { anchors, finality, must } from "../../consensus/records.ts";
import { activeSets } from "../../consensus/sets.ts";
import type { Vote } from "../../consensus/votes.ts";
import { blsSign } from "../../lib/bls.ts";
import { validatorKeys } from "../../node/folder.ts";
import { callsIn } from "../helpers/calls.ts";
import { createTestNetwork, EPOCHS, openAt, testKey } from "../helpers/chain.ts";
import { EASY_WORK, mineShare } from "../helpers/mining.ts";
import { validatorCall } from "../helpers/validator-call.ts";

t.setTimeout(120_000);

t.test("a slot is made ready once for each block that a node builds or imports, and for nothing else", async (t) => {
  const { nodes, run } = await createTestNetwork(4);
  const { crossBoundaries } = await callsIn("/consensus/epochs.ts", ["crossBoundaries"], () => run(16));
  t.same(
    nodes.map(({ engine }) => engine.head().header.number),
    [16, 16, 16, 16],
  );
  t.equal(crossBoundaries, 4 * 16);
  t.ok(nodes[0]!.engine.finalized().epoch > 0, "they proposed and voted");
  await Promise.all(nodes.map(({ engine }) => engine.stop()));
});

t.test("a block with work shares is checked once, and so are its shares", async (t) => {
  const { nodes, keys, run } = await createTestNetwork(2, [], EASY_WORK);
  await run(1);
  const share = mineShare(nodes[0]!.engine, { beneficiary: keys[0]!.address });
  for (const { engine } of nodes) await engine.addShare(share);
  const block = () => nodes[0]!.engine.head();
  const opened = await callsIn("/consensus/transition.ts", ["openBlock", "closeBlock", "buildBlock"], () => run(1));
  t.same(block().body.workShares, [share]);
  t.same(opened, { openBlock: 1, closeBlock: 1, buildBlock: 1 });
  const next = mineShare(nodes[0]!.engine, { beneficiary: keys[1]!.address });
  for (const { engine } of nodes) await engine.addShare(next);
  const checked = await callsIn("/consensus/resources/work.ts", ["checkShare"], () => run(1));
  t.same(block().body.workShares, [next]);
  t.same(checked, { checkShare: 2 }, "where it is built, and where it is imported");
  await Promise.all(nodes.map(({ engine }) => engine.stop()));
});

t.test("votes for a block that nobody has built on cross no boundary", async (t) => {
  const { nodes, keys, genesis, run, skip } = await createTestNetwork(4);
  const { slotsPerEpoch, epochsPerEra } = genesis.params;
  // The last two slots of an era stay empty: its last block is the checkpoint of the next era's first epoch.
  await run(slotsPerEpoch * epochsPerEra - 2);
  const { engine } = nodes[0]!;
  const target = engine.head();
  const { justifiedEpoch, justifiedHash } = must(finality.get(engine.stateOf(target), ONLY), "finality");
  const link = {
    sourceEpoch: justifiedEpoch,
    sourceHash: justifiedHash,
    targetEpoch: epochsPerEra,
    targetHash: target.hash,
  };
  const voteFor = (index: number, of: Link): Vote => ({
    index,
    link: of,
    signature: blsSign(keys[index]!.bls, voteMessage(engine.genesisHash, of)),
  });
  skip(3);
  const { crossBoundaries } = await callsIn("/consensus/epochs.ts", ["crossBoundaries"], async () => {
    await engine.addVote(voteFor(0, link));
    await t.rejects(engine.addVote(voteFor(1, { ...link, sourceHash: target.hash })), { code: "vote-source" });
    await t.rejects(engine.addVote(voteFor(2, { ...link, targetEpoch: epochsPerEra - 1 })), {
      code: "vote-unknown-target",
    });
  });
  t.equal(crossBoundaries, 0);
  t.same(
    engine.votes.all().filter((vote) => vote.link.targetEpoch === epochsPerEra),
    [voteFor(0, link)],
  );
  await Promise.all(nodes.map((node) => node.engine.stop()));
});

for (const [epochs, params] of EPOCHS)
  t.test(`who proposes is the same before boundaries are crossed as after them (${epochs})`, async (t) => {
    const leaver = validatorKeys(testKey("validator 2"));
    const { nodes, genesis, run, skip } = await createTestNetwork(3, [leaver.address], params);
    const { engine } = nodes[0]!;
    const { chain } = engine;
    const { slotsPerEpoch, epochsPerEra } = genesis.params;
    const era = slotsPerEpoch * epochsPerEra;
    for (const node of nodes) node.engine.addTransaction(validatorCall({ genesis, keys: leaver, name: "exit" }));
    const sizes = new Set<number>();
    const check = (): void => {
      const parent = engine.head();
      const { slot: first } = openAt(engine).common;
      for (const slot of [0, 1, slotsPerEpoch, 2 * slotsPerEpoch, era - 1, era, 2 * era].map((each) => first + each)) {
        const { state } = openAt(engine, slot);
        const epoch = epochOf(genesis, slot);
        const mix = epoch < 2 ? chain.genesisMix : must(anchors.get(state, epoch - 2), "an anchor").mixHash;
        const after = drawProposer(epochSeed(epoch, mix), slot, activeSets(state).members);
        t.equal(proposerOf(chain, parent.header, engine.stateOf(parent), slot).proposer.index, after.index);
        sizes.add(activeSets(state).members.length);
      }
    };
    for (let slot = 1; slot < 3 * era; slot++) {
      await run(1);
      check();
    }
    skip(3 * era + 1);
    await run(1);
    check();
    t.same([...sizes], [3, 2], "one leaves");
    await Promise.all(nodes.map((node) => node.engine.stop()));
  });
