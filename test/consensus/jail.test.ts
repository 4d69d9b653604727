import t from "tap";
import type { Block } from "../../chain/block.ts";
import { hashHeader } from "../../chain/header.ts";
import { mmrRootOf } from "../../chain/mmr.ts";
import { epochOf, slotOf } from "../../chain/params.ts";
import { voteEvidence } from "../../consensus/evidence.ts";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { randaoMessage } from "../../consensus/proposer.ts";
import { checkpoints } from "../../consensus/records.ts";
import { setAt } from "../../consensus/sets.ts";
import { penalizeSlashed, slash } from "../../consensus/slashing.ts";
import { blsSign } from "../../lib/bls.ts";
import { type Hex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address, big, encodeWith, hexOf, record, uint } from "../../lib/codec.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { isJailed, type Member, validators } from "../../vm/validator-store.ts";
import { createTestNetwork, testKey } from "../helpers/chain.ts";

t.test("who is slashed after the next set was chosen has no vote in it, and is punished again", async (t) => {
  const { nodes, run, keys, genesis } = await createTestNetwork(4);
  const { engine } = nodes[0]!;
  await run(20); // in era 1, at whose begin the set of era 2 was chosen
  const block = engine.head();
  const index = keys.findIndex((each) => each.address === block.header.beneficiary);
  const header = { ...block.header, extraData: Uint8Array.of(1) };
  const hash = hashHeader(header);
  const twin: Block = { ...block, header, hash, signature: signCompact(hash, keys[index]!.secp) };
  await engine.importBlock(twin);
  await run(14, new Set([index]));
  const stateNow = () => engine.stateOf(engine.head());
  const member = (): Member | undefined => validators.activeSet(stateNow()).find((each) => each.index === index);
  const epochNow = (): number => epochOf(genesis, slotOf(genesis, engine.head().header.timestamp));
  t.equal(epochNow(), 8, "era 2 has begun");
  const guilty = validators.get(stateNow(), index)!;
  t.ok(isJailed(guilty, epochNow(), genesis.params.evidenceEpochs));
  t.ok(member()!.power > 0n, "it keeps its slots, which stay empty");
  t.equal(member()!.votePower, 0n);
  const before = engine.finalized().epoch;
  const other = [1, 2, 3].find((i) => i !== index)!;
  await run(12, new Set([index, other]));
  t.ok(engine.finalized().epoch > before, "two of the three that have a vote go on alone");
  const link: Link = { sourceEpoch: 8, sourceHash: block.hash, targetEpoch: epochNow(), targetHash: block.hash };
  const sign = (of: Link) => ({
    indices: [index],
    link: of,
    signature: blsSign(keys[index]!.bls, voteMessage(engine.genesisHash, of)),
  });
  engine.addEvidence(voteEvidence(sign(link), sign({ ...link, targetHash: twin.hash })));
  await run(4, new Set([index]));
  const again = validators.get(stateNow(), index)!;
  t.ok(again.slashedEpoch! > guilty.slashedEpoch!, "an offence in jail is punished");
  t.equal(again.bond, guilty.bond - guilty.bond / 32n);
});

t.test("who was slashed twice counts once in what the others lose", async (t) => {
  const { nodes, run, genesis } = await createTestNetwork(4);
  await run(1);
  const { engine } = nodes[0]!;
  const bondAfter = (offences: readonly [index: number, epoch: number][]): bigint => {
    const state = engine.stateOf(engine.head());
    for (const [index, epoch] of offences) slash(state, epoch, index, ZERO_ADDRESS);
    for (let boundary = 1; boundary <= 100; boundary++) penalizeSlashed(state, genesis.params, boundary);
    return validators.get(state, 0)!.bond;
  };
  const twice: [number, number][] = [
    [0, 10],
    [1, 10],
    [1, 11],
    [1, 12],
  ];
  t.equal(bondAfter(twice), bondAfter(twice.slice(0, 2)));
});

t.test("a checkpoint is weighed with the sets that its header names", async (t) => {
  const coder = record({ index: uint, address, blsPublicKey: hexOf(48), power: big, votePower: big });
  const { nodes, run, skip } = await createTestNetwork(4);
  const { engine } = nodes[0]!;
  await run(37); // era 2 began at slot 32; votes for epoch 9 are cast in slot 37
  skip(2); // so that the checkpoint block of epoch 10 includes them, and confirms the change
  await run(3);
  const state = engine.stateOf(engine.head());
  let changes = 0;
  for (const epoch of [9, 10]) {
    const { hash, set, setBefore } = checkpoints.get(state, epoch)!;
    const leaves = [set, setBefore]
      .filter((id) => id !== 0)
      .flatMap((id) => setAt(state, id).members)
      .map(({ index, power, votePower }) => {
        const { address: at, blsPublicKey } = validators.get(state, index)!;
        return encodeWith(coder, { index, address: at, blsPublicKey, power, votePower });
      });
    t.equal(mmrRootOf(leaves), engine.store.head(hash)!.header.validatorsRoot, `epoch ${epoch}`);
    changes += Number(setBefore !== 0);
  }
  t.ok(changes > 0, "a change was unconfirmed");
});

t.test(
  "where voters have not seen the block of a first slot, the chain goes on from what they voted for",
  async (t) => {
    const { nodes, run, keys } = await createTestNetwork(4);
    await run(3);
    const { engine } = nodes[0]!;
    const last = engine.head();
    const everybody = new Set([0, 1, 2, 3]);
    // The proposer of the first slot of epoch 1 is the only one that votes for its block.
    await run(1);
    const first = engine.head();
    t.equal(first.header.parentHash, last.hash, "a block in the epoch's first slot");
    const link: Link = {
      sourceEpoch: 0,
      sourceHash: engine.genesisHash,
      targetEpoch: 1,
      targetHash: last.hash,
    };
    for (const index of [0, 1, 2])
      await engine.addVote({
        index,
        link,
        signature: blsSign(keys[index]!.bls, voteMessage(engine.genesisHash, link)),
      });
    await run(1, everybody);
    await new Promise((resolve) => setTimeout(resolve, 0));
    t.same(engine.justified(), { epoch: 1, hash: last.hash, number: last.header.number });
    t.equal(engine.head().hash, last.hash, "no leaf is a candidate, and the justified block is the head");
  },
);

t.test(
  "who claims a slot that was another's is refused without a second draw, and a stranger before any",
  async (t) => {
    const { nodes, run, keys, genesis } = await createTestNetwork(4);
    await run(5);
    const { engine } = nodes[0]!;
    const head = engine.head();
    const parent = engine.store.block(head.header.parentHash)!;
    const slot = slotOf(genesis, head.header.timestamp);
    const claim = ({ secp, bls }: { secp: Hex; bls: Hex }, extra: number): Block => {
      const randaoReveal = blsSign(bls, randaoMessage(engine.genesisHash, slot));
      const header = { ...head.header, randaoReveal, extraData: Uint8Array.of(extra) };
      return { ...head, header, hash: hashHeader(header), signature: signCompact(hashHeader(header), secp) };
    };
    const others = keys.filter((each) => each.address !== head.header.beneficiary);
    const stranger = claim({ secp: testKey("nobody"), bls: others[0]!.bls }, 1);
    t.throws(() => engine.screenBlock(stranger), { code: "block-signer" });
    t.equal(parent.header.number + 1, head.header.number);
    const thief = claim(others[0]!, 2);
    t.doesNotThrow(() => engine.screenBlock(thief), "a validator's claim is worth a look");
    await t.rejects(engine.importBlock(thief, "gossip"), { code: "block-proposer" });
    t.throws(() => engine.screenBlock(claim(others[1]!, 3)), { code: "block-proposer" }, "the draw is known");
    const owner = keys.find((each) => each.address === head.header.beneficiary)!;
    const mute = claim({ secp: owner.secp, bls: others[0]!.bls }, 4);
    t.throws(() => engine.screenBlock(mute), { code: "block-reveal" }, "a header without its signer's reveal");
  },
);
