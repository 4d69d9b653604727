import t from "tap";
import type { Block } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { proposalEvidence, voteEvidence } from "../../consensus/evidence.ts";
import { createEvidencePool } from "../../consensus/evidence-pool.ts";
import { type Link, voteMessage } from "../../consensus/finality.ts";
import { createSlasher, watchedEpochs } from "../../consensus/slasher.ts";
import { blsAggregate, blsSign } from "../../lib/bls.ts";
import type { Hash } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { validators } from "../../vm/validator-store.ts";
import { createTestNetwork, silent } from "../helpers/chain.ts";

type Network = Awaited<ReturnType<typeof createTestNetwork>>;
const hashOf = (i: number): Hash => `0x${i.toString(16).padStart(64, "0")}`;
const voteOf = ({ nodes, keys }: Network) => {
  const { genesisHash } = nodes[0]!.engine;
  return (link: Link, indices: number[]) => ({
    indices,
    link,
    signature: blsAggregate(indices.map((i) => blsSign(keys[i]!.bls, voteMessage(genesisHash, link)))),
  });
};
const slashedOn = ({ nodes }: Network): number[] => {
  const { engine } = nodes[0]!;
  const all = validators.all(engine.stateOf(engine.head()));
  return all.filter((each) => each.slashedEpoch !== undefined).map((each) => each.index);
};
const LINK: Link = { sourceEpoch: 1, sourceHash: hashOf(1), targetEpoch: 4, targetHash: hashOf(2) };

t.setTimeout(180_000);

t.test("five of twelve that equivocate are slashed within three blocks, while nothing is final", async (t) => {
  const network = await createTestNetwork(12);
  const { nodes, run } = network;
  const silentOnes = new Set([6, 7, 8, 9, 10, 11]);
  await run(18);
  await run(6, silentOnes);
  const { engine } = nodes[0]!;
  const final = engine.finalized().epoch;
  const vote = voteOf(network);
  for (let i = 1; i <= 5; i++)
    engine.addEvidence(voteEvidence(vote(LINK, [i]), vote({ ...LINK, targetHash: hashOf(3) }, [i])));
  t.equal(engine.evidence().length, 5);
  const head = engine.head().header.number;
  for (let i = 0; i < 40 && engine.head().header.number < head + 3; i++) await run(1, silentOnes);
  t.same(slashedOn(network), [1, 2, 3, 4, 5]);
  t.equal(engine.finalized().epoch, final, "nothing became final meanwhile");
  t.same([...engine.evidenceFor(engine.stateOf(engine.head()))], [], "what is included waits for nothing but finality");
  t.equal(engine.evidence().length, 5);
});

t.test("of one offence one piece of evidence is kept, whatever copies and subsets others make of it", async (t) => {
  const network = await createTestNetwork(6);
  const { nodes, run, keys, genesis } = network;
  await run(18);
  const { engine } = nodes[0]!;
  const vote = voteOf(network);
  const [one, other] = [LINK, { ...LINK, targetHash: hashOf(3) }];
  engine.addEvidence(voteEvidence(vote(one, [2, 3, 4]), vote(other, [2, 3])));
  t.equal(engine.evidence().length, 1);
  const copies = [
    voteEvidence(vote(other, [2, 3]), vote(one, [2, 3, 4])),
    voteEvidence(vote(one, [2]), vote(other, [2])),
    voteEvidence(vote(one, [2, 4]), vote(other, [2, 5])),
    voteEvidence(vote(one, [3]), vote({ ...LINK, targetHash: hashOf(9) }, [3])),
  ];
  for (const copy of copies) t.throws(() => engine.addEvidence(copy), { code: "evidence-known" });
  engine.addEvidence(voteEvidence(vote(one, [3, 4]), vote(other, [3, 4])));
  t.equal(engine.evidence().length, 2, "what accuses one more is kept");

  // A double proposal has one encoding: v is 0 or 1.
  const block = engine.head();
  const key = keys.find((each) => each.address === block.header.beneficiary)!;
  const twin = { ...block.header, extraData: Uint8Array.of(1) };
  const signed = { header: twin, signature: signCompact(hashHeader(twin), key.secp) };
  const before = engine.evidence().length;
  const isAccused = [2, 3, 4].includes(keys.indexOf(key));
  const add = (a: Pick<Block, "header" | "signature">, b: Pick<Block, "header" | "signature">) =>
    engine.addEvidence(proposalEvidence(a, b));
  if (!isAccused) add(block, signed);
  t.throws(() => add(signed, block), { code: "evidence-known" });
  const high = { ...signed, signature: `${signed.signature.slice(0, -2)}1b` as `0x${string}` };
  t.throws(() => add(block, high), { code: "evidence-signature" });
  t.equal(engine.evidence().length, before + Number(!isAccused));
  t.ok(genesis.params.evidenceEpochs > 4);
});

t.test("evidence that slashes nobody costs no signature", async (t) => {
  const network = await createTestNetwork(4);
  await network.run(18);
  const { engine } = network.nodes[0]!;
  const vote = voteOf(network);
  const forged = { ...vote(LINK, [1]), signature: `0x${"ab".repeat(96)}` as const };
  // A signature that is no point is refused as such where it is looked at, and none is where the epoch says enough.
  t.throws(() => engine.addEvidence(voteEvidence(forged, vote({ ...LINK, targetHash: hashOf(3) }, [1]))), {
    code: "evidence-signature",
  });
  const early = { ...LINK, targetEpoch: 10_000 };
  t.throws(
    () => engine.addEvidence(voteEvidence({ ...forged, link: early }, vote({ ...early, targetHash: hashOf(3) }, [1]))),
    { code: "evidence-early" },
  );
  engine.addEvidence(voteEvidence(vote(LINK, [1]), vote({ ...LINK, targetHash: hashOf(3) }, [1])));
  t.throws(() => engine.addEvidence(voteEvidence(forged, vote({ ...LINK, targetHash: hashOf(4) }, [1]))), {
    code: "evidence-known",
  });
  await network.run(16);
  t.same(slashedOn(network), [1]);
  t.same(engine.evidence(), [], "what is slashed under finality is forgotten");
  t.throws(() => engine.addEvidence(voteEvidence(forged, vote({ ...LINK, targetHash: hashOf(4) }, [1]))), {
    code: "evidence-useless",
  });
  const many = Array.from({ length: 2_048 }, (_, i) => i);
  const large = { ...forged, indices: many };
  const padded = voteEvidence(large, large) as unknown[];
  t.throws(() => engine.addEvidence([...padded, new Uint8Array(32_768)] as never), { code: "evidence-form" });
});

t.test("a pool of evidence that is full says so", async (t) => {
  const network = await createTestNetwork(2);
  const state = network.nodes[0]!.engine.stateOf(network.nodes[0]!.engine.head());
  const pool = createEvidencePool();
  const megabyte = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 15; i++) pool.add(state, [megabyte], { indices: [i], epoch: 1 });
  t.throws(() => pool.add(state, [megabyte, megabyte], { indices: [99], epoch: 1 }), { code: "evidence-full" });
  t.equal(pool.drop(state, 2).length, 15, "what is too old goes");
  t.same(pool.all(), []);
});

t.test("the slasher is not blinded by what one validator signs, and forgets nothing over a restart", async (t) => {
  const times = { slotSeconds: 4, slotsPerEpoch: 4 };
  const slasher = createSlasher(times);
  const attest = (link: Link, index: number) => ({
    indices: [index],
    link,
    signature: `0x${"00".repeat(96)}` as const,
  });
  slasher.vote(attest(LINK, 5));
  let found = 0;
  for (let i = 0; i < 4_096; i++)
    found += slasher.vote(attest({ ...LINK, sourceHash: hashOf(i + 100) }, 7)).evidence.length;
  t.equal(found, 4_095, "each excludes the first that it signed");
  t.equal(slasher.vote(attest({ ...LINK, targetHash: hashOf(9) }, 5)).evidence.length, 1);
  const late = { ...LINK, sourceEpoch: 2, targetEpoch: 4 + watchedEpochs(times) };
  slasher.vote(attest(late, 5));
  t.equal(slasher.vote(attest({ ...LINK, targetHash: hashOf(10) }, 5)).evidence.length, 0, "too old to be watched");
  t.equal(
    slasher.vote(attest({ ...LINK, sourceEpoch: 1, targetEpoch: 5 + watchedEpochs(times) }, 5)).evidence.length,
    1,
    "a vote that surrounds another",
  );

  const network = await createTestNetwork(4);
  await network.run(9);
  const { genesis, keys } = network;
  const db = memoryDb();
  const now = () => timestampOf(genesis, 9) * 1000;
  const first = await createEngine({ db, genesis, now, log: silent });
  const { store } = network.nodes[0]!.engine;
  for (let n = 1; n <= 9; n++) await first.importBlock(store.block(store.canonical(n)!)!);
  const vote = voteOf(network);
  const [link, other] = [7, 8].map((i) => ({ ...LINK, targetEpoch: 2, targetHash: hashOf(i) })) as [Link, Link];
  const stray = (of: Link) => ({ index: 3, link: of, signature: vote(of, [3]).signature });
  await t.rejects(first.addVote(stray(link)), { code: "vote-unknown-target" });
  const head = first.head();
  const key = keys.find((each) => each.address === head.header.beneficiary)!;
  await first.stop();
  const second = await createEngine({ db, genesis, now, log: silent });
  await t.rejects(second.addVote(stray(other)), { code: "vote-unknown-target" });
  t.ok(second.evidence().length >= 1, "the vote from before the restart proves it");
  const header = { ...head.header, extraData: Uint8Array.of(9) };
  const twin = { ...head, header, hash: hashHeader(header), signature: signCompact(hashHeader(header), key.secp) };
  const before = second.evidence().length;
  second.screenBlock(twin);
  const grown = second.evidence().length - before;
  t.equal(grown, Number(keys.indexOf(key) !== 3), "so does the header from before it");
  t.throws(() => second.screenBlock(head), { code: "block-known" });
  await second.stop();
  const third = await createEngine({ db, genesis, now, log: silent });
  t.equal(third.evidence().length, before + grown, "evidence that waits is kept too");
  await third.stop();
});

t.test("no more votes of one that has signed two for an epoch are verified", async (t) => {
  const network = await createTestNetwork(4);
  await network.run(10);
  const { engine } = network.nodes[0]!;
  const vote = voteOf(network);
  const link = { ...LINK, targetEpoch: 2 };
  for (const i of [11, 12, 13, 14]) {
    const of = { ...link, targetHash: hashOf(i) };
    await t.rejects(engine.addVote({ index: 2, link: of, signature: vote(of, [2]).signature }), {
      code: "vote-unknown-target",
    });
  }
  t.equal(engine.evidence().length, 1);
  const known = engine.votes.all().find((each) => each.link.targetEpoch === 2 && each.index === 1)!;
  const fresh = await createEngine({
    db: memoryDb(),
    genesis: network.genesis,
    now: () => timestampOf(network.genesis, 10) * 1000,
    log: silent,
  });
  const { store } = engine;
  for (let n = 1; n <= engine.head().header.number; n++) await fresh.importBlock(store.block(store.canonical(n)!)!);
  for (const i of [11, 12]) {
    const of = { ...link, targetHash: hashOf(i) };
    await t.rejects(fresh.addVote({ index: 1, link: of, signature: vote(of, [1]).signature }), {
      code: "vote-unknown-target",
    });
  }
  await t.rejects(fresh.addVote(known), { code: "vote-equivocation" });
  await fresh.stop();
});
