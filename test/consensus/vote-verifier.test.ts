import t from "tap";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { createVoteVerifier } from "../../consensus/vote-verifier.ts";
import type { Vote } from "../../consensus/votes.ts";
import { blsKeygen, blsPublicKey, blsSign, blsVerify, blsVerifySameMessage } from "../../lib/bls.ts";
import { utf8, ZERO_HASH } from "../../lib/bytes.ts";
import { createTestNetwork } from "../helpers/chain.ts";

const linkTo = (targetEpoch: number): Link => ({
  sourceEpoch: targetEpoch - 1,
  sourceHash: ZERO_HASH,
  targetEpoch,
  targetHash: ZERO_HASH,
});
const keys = Array.from({ length: 100 }, (_, i) => blsKeygen(utf8(`voter ${i}`)));
const publicKeys = keys.map(blsPublicKey);
const LINK = linkTo(1);
const signatures = keys.map((key) => blsSign(key, voteMessage(ZERO_HASH, LINK)));
const verifier = () => createVoteVerifier(ZERO_HASH, () => 5);

t.test("signatures of one message are verified together as one by one", async (t) => {
  const message = voteMessage(ZERO_HASH, LINK);
  const signed = publicKeys.map((publicKey, i) => ({ publicKey, signature: signatures[i]! }));
  t.ok(await blsVerifySameMessage(message, signed));
  const [a, b] = [signed[0]!, signed[1]!];
  // Their plain sum is right: only random factors tell.
  const swapped = [
    { publicKey: a.publicKey, signature: b.signature },
    { publicKey: b.publicKey, signature: a.signature },
  ];
  t.notOk(await blsVerifySameMessage(message, swapped));
  t.notOk(await blsVerifySameMessage(message, [a, { ...b, signature: `0x${"00".repeat(96)}` }]), "malformed");
  t.notOk(await blsVerifySameMessage(message, [a, { ...b, signature: `0xc0${"00".repeat(95)}` }]), "infinity");
  t.notOk(await blsVerifySameMessage(utf8("another"), signed));
  t.ok(blsVerify(a.publicKey, message, a.signature));
});

t.test("each vote of a batch gets its own verdict, whatever the others are", async (t) => {
  for (const bad of [[], [0], [63], [5, 6, 40], [...keys.keys()].filter((i) => i % 2 === 0), [...keys.keys()]]) {
    const { verify } = verifier();
    const verdicts = await Promise.all(
      publicKeys.map((publicKey, i) => verify(publicKey, LINK, signatures[bad.includes(i) ? (i + 1) % 100 : i]!)),
    );
    t.same(
      [...verdicts.keys()].filter((i) => verdicts[i] !== "good"),
      bad,
      `${bad.length} are bad`,
    );
  }
});

t.test("votes for several links that come in turns are judged each for its own", async (t) => {
  const { verify } = verifier();
  const links = [1, 2, 3].map(linkTo);
  const verdicts = await Promise.all(
    publicKeys.slice(0, 30).map((publicKey, i) => {
      const link = links[i % 3]!;
      return verify(publicKey, link, blsSign(keys[i]!, voteMessage(ZERO_HASH, i === 7 ? links[0]! : link)));
    }),
  );
  t.same(
    verdicts.filter((each) => each === "bad"),
    ["bad"],
  );
  t.equal(verdicts[7], "bad");
});

t.test("what else one brought who brought a bad vote is left, and nothing of others", async (t) => {
  const { verify } = verifier();
  const verdicts = await Promise.all(
    publicKeys.map((publicKey, i) =>
      verify(publicKey, LINK, signatures[i === 10 ? 11 : i]!, i % 2 ? "honest" : "liar"),
    ),
  );
  t.equal(verdicts[10], "bad");
  t.ok(verdicts.every((each, i) => i % 2 === 0 || each === "good"));
  t.ok(verdicts.filter((each) => each === "left").length > 30);
  t.equal(await verify(publicKeys[0]!, LINK, signatures[0]!, "liar"), "good", "once all is done it is heard again");
});

t.test("votes beyond a bound are left, and an end leaves none open", async (t) => {
  const { verify, stop } = createVoteVerifier(ZERO_HASH, () => 60_000);
  const asked = Array.from({ length: 2_050 }, () => verify(publicKeys[0]!, LINK, signatures[0]!));
  await stop();
  const verdicts = await Promise.all(asked);
  t.equal(verdicts.filter((each) => each === "good").length, 2_048);
  t.equal(verdicts.filter((each) => each === "left").length, 2);
});

t.test("the engine takes votes of a batch as one by one, and says why it leaves one", async (t) => {
  const { nodes, keys, run } = await createTestNetwork(8);
  await run(9, new Set([6, 7]));
  const { engine } = nodes[0]!;
  const { link } = engine.votes.all().at(-1)!;
  const vote = (index: number, signer = index): Vote => ({
    index,
    link,
    signature: blsSign(keys[signer]!.bls, voteMessage(engine.genesisHash, link)),
  });
  const before = engine.votes.all().length;
  const [bad, left, good] = await Promise.allSettled([
    engine.addVote(vote(6, 7), "liar"),
    engine.addVote(vote(7), "liar"),
    engine.addVote(vote(6), "honest"),
  ]);
  t.match(bad, { reason: { code: "vote-signature" } });
  t.match(left, { reason: { code: "vote-busy" } });
  t.match(good, { status: "fulfilled" });
  await Promise.all([engine.addVote(vote(7)), engine.addVote(vote(7))]);
  t.equal(engine.votes.all().length, before + 2, "the same at once counts once");
});
