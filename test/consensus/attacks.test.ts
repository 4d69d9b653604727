import t from "tap";
import type { Block } from "../../chain/block.ts";
import { hashHeader } from "../../chain/header.ts";
import { timestampOf } from "../../chain/params.ts";
import { voteMessage } from "../../consensus/finality.ts";
import { blsSign } from "../../lib/bls.ts";
import { concat, fromHex, type Hash, type Hex, toHex, uint64, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { createTestNetwork, testKey } from "../helpers/chain.ts";

/** Two nodes of one chain: the first makes blocks, the second is offered them. */
const pair = async (slots: number) => {
  const network = await createTestNetwork(1);
  const spectator = await createTestNetwork(1);
  await network.run(slots);
  await spectator.run(slots, new Set([0]));
  const { engine } = network.nodes[0]!;
  const blocks = Array.from({ length: slots }, (_, i) => engine.store.block(engine.store.canonical(i + 1)!)!);
  return { blocks, to: spectator.nodes[0]!.engine, maker: engine, genesis: network.genesis, keys: network.keys };
};

t.test("a copy of a block with a false signature or body does not poison the block", async (t) => {
  const { blocks, to } = await pair(3);
  const [first, second] = blocks as [Block, Block];
  await t.rejects(to.importBlock({ ...first, signature: signCompact(first.hash, testKey("thief")) }), {
    code: "block-signer",
  });
  await t.rejects(to.importBlock({ ...first, signature: `${first.signature.slice(0, -2)}1b` as Hex }), {
    code: "block-signer",
  });
  await t.rejects(to.importBlock({ ...first, body: { ...first.body, evidence: [new Uint8Array(1)] } }), {
    code: "header-consensus-root",
  });
  t.equal(await to.importBlock(first), "imported");
  t.equal(await to.importBlock(first), "known");
  t.equal(await to.importBlock(second), "imported");
});

t.test("a block whose header breaks a rule is refused by that rule, and remembered", async (t) => {
  const { blocks, to, genesis } = await pair(3);
  const [first, second] = blocks as [Block, Block];
  const change = (header: Partial<Block["header"]>): Block => {
    const changed = { ...first.header, ...header };
    return {
      ...first,
      header: changed,
      hash: hashHeader(changed),
      signature: signCompact(hashHeader(changed), testKey("validator 0")),
    };
  };
  const wrong: [Partial<Block["header"]>, string][] = [
    [{ timestamp: genesis.genesisTime }, "header-timestamp"],
    [{ number: 2 }, "header-number"],
    [{ ommersHash: ZERO_HASH }, "header-ommers"],
    [{ gasLimit: 1 }, "header-gas-limit"],
    [{ gasUsed: 400_000_000 }, "header-gas-used"],
    [{ baseFeePerGas: 1n }, "header-base-fee"],
    [{ consensusRoot: ZERO_HASH }, "header-consensus-root"],
    [{ transactionsRoot: ZERO_HASH }, "header-transactions-root"],
    [{ randaoReveal: second.header.randaoReveal }, "block-reveal"],
    [{ mixHash: ZERO_HASH }, "header-mix"],
    [{ difficulty: 1n }, "header-difficulty"],
    [{ validatorsRoot: ZERO_HASH }, "header-validators-root"],
    [{ historyRoot: ZERO_HASH }, "header-history-root"],
    [{ gasUsed: 21_000 }, "header-gas-used"],
    [{ receiptsRoot: ZERO_HASH }, "header-receipts-root"],
    [{ logsBloom: new Uint8Array(256).fill(1) }, "header-bloom"],
    [{ stateRoot: ZERO_HASH }, "header-state-root"],
  ];
  for (const [header, code] of wrong) await t.rejects(to.importBlock(change(header)), { code }, code);
  t.equal(await to.importBlock(first), "imported");
  const early = { ...second.header, timestamp: first.header.timestamp };
  const signed = { hash: hashHeader(early), signature: signCompact(hashHeader(early), testKey("validator 0")) };
  await t.rejects(to.importBlock({ ...second, header: early, ...signed }), { code: "header-slot" });
  const bad = change({ difficulty: 2n });
  await t.rejects(to.importBlock(bad), { code: "header-difficulty" });
  await t.rejects(to.importBlock(bad), { code: "block-known-invalid" });
  const child = { ...second.header, parentHash: bad.hash };
  await t.rejects(to.importBlock({ ...second, header: child, hash: hashHeader(child) }), {
    code: "block-parent-invalid",
  });
});

t.test(
  "orphans and blocks from the future are put off, and a flood of them does not keep the real ones out",
  async (t) => {
    const { blocks, to, genesis } = await pair(4);
    const [first, second, third] = blocks as [Block, Block, Block];
    for (let i = 0; i < 2_000; i++) {
      const header = { ...first.header, parentHash: keccak256(uint64(i)) };
      const hash = hashHeader(header);
      if (i < 20)
        await t.rejects(
          to.importBlock({ ...first, header, hash, signature: signCompact(hash, testKey("nobody")) }),
          { code: "block-signer" },
          "what no validator signed is not kept, and no fault of a clock",
        );
      const signed = { ...first, header, hash, signature: signCompact(hash, testKey("validator 0")) };
      t.equal(await to.importBlock(signed), "waiting");
    }
    await t.rejects(to.importBlock({ ...third, body: { ...third.body, evidence: [new Uint8Array(1)] } }), {
      code: "header-consensus-root",
    });
    t.equal(await to.importBlock(third), "waiting");
    t.equal(await to.importBlock(second), "waiting");
    t.equal(await to.importBlock(first), "imported");
    t.equal(to.head().hash, third.hash);
    const twins = [1, 2, 3].map((i) => {
      const header = { ...first.header, extraData: Uint8Array.of(i) };
      return {
        ...first,
        header,
        hash: hashHeader(header),
        signature: signCompact(hashHeader(header), testKey("validator 0")),
      };
    });
    t.equal(await to.importBlock(twins[0]!, "gossip"), "imported");
    t.equal(await to.importBlock(twins[1]!, "gossip"), "imported");
    await t.rejects(
      to.importBlock(twins[2]!, "gossip"),
      { code: "block-equivocation" },
      "two of a slot are proof enough",
    );
    // Of an era that this node has seen nothing final of: it cannot know who may propose then.
    const spectator = await createTestNetwork(1);
    spectator.skip(40);
    const unknown = { ...first.header, parentHash: keccak256(uint64(1)), timestamp: timestampOf(genesis, 40) };
    const stranger = { hash: hashHeader(unknown), signature: signCompact(hashHeader(unknown), testKey("nobody")) };
    await t.rejects(spectator.nodes[0]!.engine.importBlock({ ...first, header: unknown, ...stranger }), {
      code: "block-parent-unknown",
    });
    const far = { ...first.header, timestamp: timestampOf(genesis, 100_000) };
    await t.rejects(to.importBlock({ ...first, header: far, hash: hashHeader(far) }), { code: "block-future" });
    await to.stop();
  },
);

t.test("a vote is refused by the rule that it breaks before it costs anything", async (t) => {
  const { maker, keys } = await pair(9);
  const [vote] = maker.votes.all();
  if (!vote) return t.fail("the validator has voted");
  const refused = (link: Partial<typeof vote.link>, code: string) =>
    t.rejects(maker.addVote({ ...vote, link: { ...vote.link, ...link } }), { code }, code);
  await refused({ targetEpoch: 2 ** 40 }, "vote-future");
  await refused({ targetHash: ZERO_HASH }, "vote-signature");
  await refused({ sourceEpoch: vote.link.sourceEpoch + 7 }, "vote-signature");
  await t.rejects(maker.addVote({ ...vote, index: 5 }), { code: "vote-member" });
  const forged: Hash = toHex(concat(fromHex(vote.link.sourceHash).subarray(0, 31), Uint8Array.of(0)));
  await refused({ sourceHash: forged }, "vote-signature");
  await t.rejects(maker.addVote({ ...vote, signature: `0x${"ab".repeat(96)}` }), { code: "vote-known" });
  await t.resolves(maker.addVote(vote), "the same again");
  const stray = { ...vote.link, targetHash: ZERO_HASH };
  const signed = blsSign(keys[0]!.bls, voteMessage(maker.genesisHash, stray));
  await t.rejects(maker.addVote({ ...vote, link: stray, signature: signed }), { code: "vote-unknown-target" });
  await t.rejects(
    maker.addVote({ ...vote, link: { ...vote.link, sourceHash: forged } }),
    { code: "vote-source" },
    "no more is verified of one that has signed twice",
  );
});
