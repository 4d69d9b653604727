import { bls12_381 } from "@noble/curves/bls12-381.js";
import t from "tap";
import type { Certificate } from "../../chain/block.ts";
import { epochOf, firstOpenEpoch, firstSlot, slotOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { bitmapOf, includeCertificate, type Link, verifyVotes, voteMessage } from "../../consensus/finality.ts";
import { checkpoints, finality, tallies } from "../../consensus/records.ts";
import type { Vote } from "../../consensus/votes.ts";
import { blsAggregate, blsKeygen, blsPublicKey, blsSign, blsSumOfKeys, blsVerifyReference } from "../../lib/bls.ts";
import { type Address, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { createTestNetwork, EPOCHS, openAt, PROFILE, type TestParams } from "../helpers/chain.ts";

t.setTimeout(180_000);

/** A chain of four validators before anybody votes in an epoch; certificates for it are made by hand. */
const chainAt = async (epoch: number, params?: TestParams) => {
  const network = await createTestNetwork(4, [], params);
  const { engine } = network.nodes[0]!;
  await network.run(firstSlot(network.genesis, epoch));
  const { state } = openAt(engine, firstSlot(network.genesis, epoch) + 1);
  const linkTo = (target: number): Link => {
    const checkpoint = checkpoints.get(state, target)!;
    return {
      sourceEpoch: checkpoint.sourceEpoch,
      sourceHash: checkpoint.sourceHash,
      targetEpoch: target,
      targetHash: checkpoint.hash,
    };
  };
  const certify = (link: Link, indices: readonly number[]): Certificate => ({
    ...link,
    bitmap: bitmapOf(indices, 4),
    signature: blsAggregate(indices.map((i) => blsSign(network.keys[i]!.bls, voteMessage(engine.genesisHash, link)))),
  });
  const include = (certificate: Certificate, at = epoch, includer: Address = ZERO_ADDRESS, on: State = state) =>
    includeCertificate(on, engine.genesisHash, firstOpenEpoch(network.genesis, at), includer, certificate);
  return { ...network, engine, state, linkTo, certify, include };
};

t.test("a certificate is refused by the rule that it breaks", async (t) => {
  const { linkTo, certify, include, state } = await chainAt(5);
  const link = linkTo(5);
  const fresh = certify(link, [0, 1]);
  const refused = (certificate: Certificate, code: string, at?: number) => {
    const before = state.snapshot();
    t.throws(() => include(certificate, at), { code }, code);
    state.revert(before);
  };
  refused(certify({ ...link, targetHash: ZERO_HASH }, [0]), "certificate-target");
  refused(certify({ ...link, targetEpoch: 77 }, [0]), "certificate-target");
  refused(certify({ ...link, sourceEpoch: link.sourceEpoch - 1 }, [0]), "certificate-source");
  refused(certify({ ...link, sourceHash: ZERO_HASH }, [0]), "certificate-source");
  refused({ ...fresh, bitmap: Uint8Array.of(0) }, "certificate-bitmap");
  refused({ ...fresh, bitmap: Uint8Array.of(0b11_0011) }, "certificate-bitmap");
  refused({ ...fresh, bitmap: Uint8Array.of(3, 0) }, "certificate-bitmap");
  refused({ ...fresh, bitmap: Uint8Array.of(7) }, "certificate-signature");
  refused({ ...fresh, signature: certify({ ...link, targetEpoch: 4 }, [0, 1]).signature }, "certificate-signature");
  refused(fresh, "certificate-target", 8); // too old to be paid, and no quorum
  include(fresh);
  refused(fresh, "certificate-useless");
  include(certify(link, [1, 2]));
  t.equal(finality.get(state, ONLY)?.justifiedEpoch, 5, "bits of one link add up to a quorum");
});

t.test("a late certificate is paid while its epoch is open; later it counts where it justifies", async (t) => {
  const { linkTo, certify, include, state, genesis } = await chainAt(5);
  const quorum = certify(linkTo(5), [0, 1, 2]);
  include(certify(linkTo(5), [3]), 5 + genesis.params.inclusionEpochs);
  t.equal(tallies.get(state, 5)?.inclusions.length, 1);
  include(quorum, 40);
  t.equal(finality.get(state, ONLY)?.justifiedEpoch, 5);
  t.equal(tallies.get(state, 5)?.inclusions.length, 1);
});

t.test("a link over justified epochs finalizes its source, whichever quorum comes last", async (t) => {
  const { linkTo, certify, include, state } = await chainAt(5);
  const was = finality.get(state, ONLY)!;
  const source = checkpoints.get(state, 3)!;
  // Epochs 4 and 5 were voted for when 3 was the last justified one, and 3 is not final yet.
  for (const epoch of [4, 5]) {
    const checkpoint = checkpoints.get(state, epoch)!;
    const from = { sourceEpoch: 3, sourceHash: source.hash, bits: new Uint8Array(0), justified: false };
    checkpoints.set(state, epoch, { ...checkpoint, ...from });
  }
  finality.set(state, ONLY, { ...was, justifiedEpoch: 3, justifiedHash: source.hash, finalizedEpoch: 2 });
  const before = state.snapshot();
  include(certify(linkTo(5), [0, 1, 2]));
  t.same(finality.get(state, ONLY)?.finalizedEpoch, 2, "over a hole it finalizes nothing");
  include(certify(linkTo(4), [0, 1, 2]));
  t.same(finality.get(state, ONLY)?.finalizedEpoch, 3);
  t.same(finality.get(state, ONLY)?.justifiedEpoch, 5);
  state.revert(before);
  // The link to 4 alone would do: only that to 5 spans it.
  checkpoints.set(state, 4, { ...checkpoints.get(state, 4)!, sourceEpoch: 2, sourceHash: ZERO_HASH, justified: true });
  include(certify(linkTo(5), [0, 1, 2]));
  t.same(finality.get(state, ONLY)?.finalizedEpoch, 3, "and the later quorum with it");
});

t.test("what is final keeps the checkpoints of open epochs, and forgets those before", async (t) => {
  for (const slotsPerEpoch of [2, 4]) {
    const network = await createTestNetwork(1, [], { slotsPerEpoch, epochsPerEra: 4 });
    const { engine } = network.nodes[0]!;
    await network.run(firstSlot(network.genesis, 9) + 1);
    const state = engine.stateOf(engine.head());
    const { finalizedEpoch } = finality.get(state, ONLY)!;
    const oldest = Math.min(finalizedEpoch, firstOpenEpoch(network.genesis, 9));
    t.ok(finalizedEpoch >= 6, `${slotsPerEpoch} slots: final ${finalizedEpoch}`);
    t.ok(checkpoints.get(state, oldest));
    t.equal(checkpoints.get(state, oldest - 2), undefined, `nothing long before ${oldest}`);
  }
});

t.test("who includes a vote first is written down, for the vote and no more", async (t) => {
  const { linkTo, certify, include, state } = await chainAt(5);
  const [one, two]: Address[] = [ZERO_ADDRESS, "0x00000000000000000000000000000000000000aa"];
  include(certify(linkTo(5), [0, 3]), 5, one);
  include(certify(linkTo(5), [0, 1, 3]), 5, two);
  t.same(tallies.get(state, 5)?.inclusions, [
    { includer: one, bits: Uint8Array.of(0b1001) },
    { includer: two, bits: Uint8Array.of(0b0010) },
  ]);
});

for (const [epochs, params] of EPOCHS)
  t.test(
    `a link from a justified epoch to the next finalizes its source; a longer one does not (${epochs})`,
    async (t) => {
      const { nodes, run, genesis } = await createTestNetwork(4, [], params);
      const { engine } = nodes[0]!;
      await run(firstSlot(genesis, 3) + 2);
      const before = finality.get(engine.stateOf(engine.head()), ONLY)!;
      t.equal(before.finalizedEpoch + 1, before.justifiedEpoch, "each epoch is final one later");
      // Two epochs in which half is silent: nothing is justified; then a link over the hole, which finalizes nothing.
      await run(8, new Set([2, 3]));
      const silent = finality.get(engine.stateOf(engine.head()), ONLY)!;
      await run(2);
      const after = finality.get(engine.stateOf(engine.head()), ONLY)!;
      t.ok(after.justifiedEpoch > silent.justifiedEpoch + 1, `${silent.justifiedEpoch} -> ${after.justifiedEpoch}`);
      t.equal(after.finalizedEpoch, silent.finalizedEpoch);
      await run(8);
      t.ok(finality.get(engine.stateOf(engine.head()), ONLY)!.finalizedEpoch >= after.justifiedEpoch);
    },
  );

t.test("a vote counts until its epoch is closed, and what it is for is kept until then, final or not", async (t) => {
  const { linkTo, certify, include, state, genesis, nodes, run } = await chainAt(5, PROFILE);
  const { inclusionEpochs } = genesis.params;
  const late = certify(linkTo(5), [0, 1]);
  t.throws(() => include(late, 5 + inclusionEpochs + 1), { code: "certificate-target" });
  include(late, 5 + inclusionEpochs);
  t.equal(tallies.get(state, 5)?.inclusions.length, 1, "it is to be paid");
  await run(30);
  const { engine } = nodes[0]!;
  const head = engine.stateOf(engine.head());
  const epoch = epochOf(genesis, slotOf(genesis, engine.head().header.timestamp));
  const { finalizedEpoch } = finality.get(head, ONLY)!;
  t.ok(finalizedEpoch > epoch - inclusionEpochs);
  const kept = Array.from({ length: epoch + 1 }, (_, i) => i).filter((e) => checkpoints.get(head, e));
  // A block that opens an epoch is its checkpoint: the state after it knows the epoch before.
  const newest = kept.at(-1)!;
  t.ok(newest >= epoch - 1);
  t.equal(kept[0], newest - inclusionEpochs);
  t.equal(tallies.get(head, kept[0]! - 1), undefined);
});

t.test("whose votes all others leave out is paid by the blocks of its own", async (t) => {
  const { nodes, keys, run } = await createTestNetwork(4, [], PROFILE);
  for (const { engine } of nodes.slice(0, 3)) {
    const { addVote } = engine;
    Object.assign(engine, { addVote: (vote: Vote) => (vote.index === 3 ? Promise.resolve() : addVote(vote)) });
  }
  await run(120);
  const { engine } = nodes[0]!;
  const [at, first] = [engine.head(), engine.store.block(engine.genesisHash)!].map(engine.stateOf);
  const earned = keys.map(({ address }) => at!.balance(address) - first!.balance(address));
  // Of six slots in which a vote counts each is its own in one of four cases; of two it would be paid for 44 % of its votes.
  t.ok(earned[3]! * 10n > 6n * earned[0]!, `${earned}`);
});

t.test("votes for another source, and votes for what is final, are refused", async (t) => {
  const { engine, keys, linkTo } = await chainAt(6);
  const [vote] = engine.votes.all();
  if (!vote) return t.fail("there are votes");
  const sign = (link: Link) => ({
    index: 1,
    link,
    signature: blsSign(keys[1]!.bls, voteMessage(engine.genesisHash, link)),
  });
  const link = linkTo(6);
  await t.rejects(engine.addVote(sign({ ...link, sourceEpoch: link.sourceEpoch - 1 })), { code: "vote-source" });
  await t.rejects(engine.addVote(sign({ ...link, targetEpoch: 1 })), { code: "vote-stale" });
});

t.test("whoever signed of many, the sums of groups say what the keys say one by one", async (t) => {
  const count = 70;
  const secrets = Array.from({ length: count }, (_, i) => blsKeygen(Uint8Array.of(i)));
  // The first group is of one hand, which chose its keys so that they cancel out.
  const [one, order] = [BigInt(secrets[0]!), bls12_381.fields.Fr.ORDER];
  for (let i = 0; i < 32; i += 2) {
    const key = (one + BigInt(i)) % order;
    secrets[i] = word(key);
    secrets[i + 1] = word(order - key);
  }
  const voters = secrets.map((secret, index) => ({ index, address: ZERO_ADDRESS, blsPublicKey: blsPublicKey(secret) }));
  t.equal(blsSumOfKeys(voters.slice(0, 32).map((voter) => voter.blsPublicKey)), undefined);
  const link = { sourceEpoch: 0, sourceHash: ZERO_HASH, targetEpoch: 1, targetHash: ZERO_HASH };
  const message = voteMessage(ZERO_HASH, link);
  const all = [...secrets.keys()];
  for (const signers of [
    all,
    all.slice(1),
    all.slice(32),
    all.slice(0, 64),
    all.slice(0, 40),
    [69],
    all.slice(31, 65),
  ]) {
    const signature = blsAggregate(signers.map((i) => blsSign(secrets[i]!, message)));
    const verify = (bits: readonly number[]) =>
      verifyVotes({ voters }, ZERO_HASH, link, bitmapOf(bits, count), signature);
    const plain = blsVerifyReference(
      signers.map((i) => voters[i]!.blsPublicKey),
      message,
      signature,
    );
    t.ok(plain);
    t.ok(verify(signers), `${signers.length} signers`);
    t.ok(verify(signers), "again, with known sums");
    t.notOk(verify(signers.slice(0, -1)), "fewer than signed");
  }
});
