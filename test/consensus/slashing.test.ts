import t from "tap";
import { type Block, decodeBlock, encodeBlock } from "../../chain/block.ts";
import { hashHeader } from "../../chain/header.ts";
import { firstSlot } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import {
  type Attestation,
  checkEvidence,
  decodeEvidence,
  encodeEvidence,
  isSlashable,
  proposalEvidence,
  voteEvidence,
} from "../../consensus/evidence.ts";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { bondsBurned } from "../../consensus/records.ts";
import { penalizeSlashed, slash } from "../../consensus/slashing.ts";
import { blsAggregate, blsSign } from "../../lib/bls.ts";
import { type Address, EMPTY, fromHex, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { validators } from "../../vm/validator-store.ts";
import { createTestNetwork, EPOCHS, type TestParams } from "../helpers/chain.ts";

t.setTimeout(180_000);

const hashOf = (byte: string): Hash => `0x${byte.repeat(32)}`;
const REPORTER: Address = "0x00000000000000000000000000000000000000fe";

const network = async (count: number, slots: number, params?: TestParams) => {
  const net = await createTestNetwork(count, [], params);
  await net.run(slots);
  const { engine } = net.nodes[0]!;
  const { genesisHash } = engine;
  const attest = (link: Link, indices: number[]): Attestation => ({
    indices,
    link,
    signature: blsAggregate(indices.map((i) => blsSign(net.keys[i]!.bls, voteMessage(genesisHash, link)))),
  });
  /** Signs another block of the slot of one that stands. */
  const twin = (block: Block): Block => {
    const header = { ...block.header, extraData: Uint8Array.of(1) };
    const key = net.keys.find((each) => each.address === block.header.beneficiary)!;
    return { ...block, header, hash: hashHeader(header), signature: signCompact(hashHeader(header), key.secp) };
  };
  return { ...net, engine, attest, twin };
};

t.test("two links conflict where they have one target epoch, or where one surrounds the other", async (t) => {
  const link = (sourceEpoch: number, targetEpoch: number, target = "aa"): Link => ({
    sourceEpoch,
    sourceHash: hashOf(String(10 + sourceEpoch)),
    targetEpoch,
    targetHash: hashOf(target),
  });
  t.notOk(isSlashable(link(1, 2), link(1, 2)), "one vote twice");
  t.ok(isSlashable(link(1, 2), link(1, 2, "bb")), "two targets");
  t.ok(isSlashable(link(0, 2), link(1, 2)), "two sources");
  t.ok(isSlashable(link(1, 5), link(2, 4)) && isSlashable(link(2, 4), link(1, 5)), "one surrounds the other");
  t.notOk(isSlashable(link(1, 2), link(2, 3)), "one follows the other");
  t.notOk(isSlashable(link(1, 4), link(1, 5)), "the same source and a later target");
  t.notOk(isSlashable(link(1, 4), link(2, 5)), "an overlap");
});

t.test("evidence is refused by the rule that it breaks", async (t) => {
  const { engine, attest, twin, genesis, keys } = await network(2, 9);
  const state = engine.stateOf(engine.head());
  const check = (evidence: ReturnType<typeof voteEvidence>, epoch = 3) =>
    checkEvidence(engine.chain, state, epoch, genesis.params.evidenceEpochs, evidence);
  const link: Link = { sourceEpoch: 0, sourceHash: engine.genesisHash, targetEpoch: 2, targetHash: hashOf("aa") };
  const other: Link = { ...link, targetHash: hashOf("bb") };
  t.same(check(voteEvidence(attest(link, [0, 1]), attest(other, [1]))), [1], "who signed both");
  const refused = (first: Attestation, second: Attestation, code: string, epoch?: number) =>
    t.throws(() => check(voteEvidence(first, second), epoch), { code }, code);
  refused(attest(link, [1]), attest(link, [1]), "evidence-not-slashable");
  refused(attest(link, [0]), attest(other, [1]), "evidence-useless");
  refused(attest(link, [1]), { ...attest(other, [1]), signature: attest(link, [1]).signature }, "evidence-signature");
  refused({ ...attest(link, [1]), indices: [1, 1] }, attest(other, [1]), "evidence-form");
  refused({ ...attest(link, [1]), indices: [1, 7] }, attest(other, [1]), "evidence-signature");
  refused(attest(link, [1]), attest(other, [1]), "evidence-early", 1);
  refused(attest(link, [1]), attest(other, [1]), "evidence-old", 3 + genesis.params.evidenceEpochs);
  t.throws(() => check([Uint8Array.of(7)]), { code: "evidence-form" });
  t.throws(() => check(EMPTY), { code: "evidence-form" });

  const block = engine.store.block(engine.store.canonical(8)!)!;
  const index = keys.findIndex((each) => each.address === block.header.beneficiary);
  t.same(check(proposalEvidence(block, twin(block))), [index]);
  const travelled = decodeEvidence(encodeEvidence(proposalEvidence(block, twin(block))));
  t.same(check(travelled), [index], "after it went over the network");
  t.throws(() => check(proposalEvidence(block, block)), { code: "evidence-not-slashable" });
  const thief = signCompact(twin(block).hash, keys[1 - index]!.secp);
  t.throws(() => check(proposalEvidence(block, { ...twin(block), signature: thief })), { code: "evidence-signature" });
  const foreign = {
    ...block.header,
    randaoReveal: engine.store.block(engine.store.canonical(7)!)!.header.randaoReveal,
  };
  const ofAnotherChain = { header: foreign, signature: signCompact(hashHeader(foreign), keys[index]!.secp) };
  t.throws(
    () => check(proposalEvidence(block, ofAnotherChain)),
    { code: "evidence-signature" },
    "a header of another chain, by the same key",
  );
});

for (const [epochs, params] of EPOCHS)
  t.test(
    `a validator that proposes twice is found, slashed, jailed and takes no part any more (${epochs})`,
    async (t) => {
      const { nodes, run, keys, engine, twin, genesis } = await network(4, 10, params);
      const block = engine.head();
      const index = keys.findIndex((each) => each.address === block.header.beneficiary);
      const bond = 10_000n * RLC;
      const burned = () => bondsBurned.get(engine.stateOf(engine.head()), ONLY) ?? 0n;
      // The twin has another header and the same state: valid but for its extraData, which a block may choose.
      t.equal(await engine.importBlock(decodeBlock(encodeBlock(twin(block)))), "imported");
      t.equal(engine.evidence().length, 1, "the node that saw both has the evidence");
      await run(6);
      const guilty = () => validators.get(engine.stateOf(engine.head()), index)!;
      const { slashedEpoch } = guilty();
      t.type(slashedEpoch, "number");
      t.equal(guilty().bond, bond - bond / 32n);
      t.equal(burned(), bond / 32n - bond / 32n / 64n, "a part went to who reported it");
      await run(8);
      const votePower = () => validators.activeSet(engine.stateOf(engine.head())).find((each) => each.index === index);
      t.equal(votePower()?.votePower ?? 0n, 0n);
      const after = engine.head().header.number;
      await run(8, new Set([index]));
      const proposers = Array.from({ length: engine.head().header.number - after }, (_, i) => {
        const at = engine.store.block(engine.store.canonical(after + 1 + i)!)!;
        return keys.findIndex((each) => each.address === at.header.beneficiary);
      });
      t.notOk(proposers.includes(index));
      t.equal(new Set(nodes.filter((_, i) => i !== index).map((each) => each.engine.head().hash)).size, 1);
      await run(8, new Set([index]));
      t.ok(engine.finalized().epoch >= 6, "three of four go on alone");
      t.equal(engine.evidence().length, 0, "what is final is forgotten");
      const half = genesis.params.evidenceEpochs / 2;
      await run(firstSlot(genesis, slashedEpoch! + half) - 32 + 1);
      // A quarter of all power was slashed: three quarters of what was left is taken.
      const left = bond - bond / 32n;
      const share = (2n ** 32n * 3n * (votePower()?.power ?? 0n)) / 10n ** 9n;
      t.ok(guilty().bond < left / 3n && guilty().bond > left / 6n, `${guilty().bond} of ${left}, share ${share}`);
    },
  );

t.test("what is taken grows with what was slashed near it, to the wei", async (t) => {
  const { engine, genesis } = await network(4, 6);
  const { params } = genesis;
  const half = params.evidenceEpochs / 2;
  const run = (slashes: readonly [index: number, epoch: number][]): { state: State; bonds: bigint[] } => {
    const state = engine.stateOf(engine.head());
    for (const [index, epoch] of slashes) slash(state, epoch, index, REPORTER);
    for (let boundary = 1; boundary <= 200; boundary++) penalizeSlashed(state, params, boundary);
    return { state, bonds: validators.all(state).map((each) => each.bond) };
  };
  const first = 10_000n * RLC - (10_000n * RLC) / 32n;
  const quarter = (2n ** 32n * 250_000_000n) / 1_000_000_000n;
  const after = (factor: bigint) => first - ((first * factor) >> 32n);
  t.same(run([[0, 10]]).bonds.slice(0, 2), [after(3n * quarter), 10_000n * RLC]);
  const together = run([
    [0, 10],
    [1, 10 + half - 1],
  ]);
  t.same(together.bonds.slice(0, 2), [0n, 0n], "half of all power within the time: everything");
  t.same(
    run([
      [0, 10],
      [1, 10 + half + 1],
    ]).bonds.slice(0, 2),
    [after(3n * quarter), after(3n * quarter)],
    "further apart they do not count for each other",
  );
  const { state } = run([[0, 10]]);
  const taken = 10_000n * RLC - validators.get(state, 0)!.bond;
  const reward = (10_000n * RLC) / 32n / 64n + (first - after(0n) + ((first * 3n * quarter) >> 32n)) / 64n;
  t.equal(state.balance(REPORTER), reward);
  t.equal(bondsBurned.get(state, ONLY), taken - reward);
  t.equal(validators.get(state, 0)!.slashedEpoch, 10);
});

t.test("the same evidence slashes once, and what was done before a slashing is paid by it", async (t) => {
  const { engine, attest, genesis } = await network(2, 9);
  const { evidenceEpochs } = genesis.params;
  const state = engine.stateOf(engine.head());
  const link: Link = { sourceEpoch: 0, sourceHash: engine.genesisHash, targetEpoch: 2, targetHash: ZERO_HASH };
  const evidence = voteEvidence(attest(link, [1]), attest({ ...link, targetHash: hashOf("cc") }, [1]));
  const check = (epoch: number) => checkEvidence(engine.chain, state, epoch, evidenceEpochs, evidence);
  t.same(check(3), [1]);
  slash(state, 3, 1, REPORTER);
  t.throws(() => check(3), { code: "evidence-useless" });
  slash(state, 2, 0, REPORTER);
  const later = voteEvidence(
    attest({ ...link, targetEpoch: 50 }, [1]),
    attest({ ...link, targetEpoch: 50, targetHash: hashOf("dd") }, [1]),
  );
  t.same(checkEvidence(engine.chain, state, 50, evidenceEpochs, later), [1], "a new offence after the jail");
  t.ok(fromHex(ZERO_HASH).length === 32);
});
