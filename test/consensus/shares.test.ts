import t from "tap";
import { type Block, consensusRoot, MAX_WORK_SHARES, type WorkShare } from "../../chain/block.ts";
import { memoryDb } from "../../chain/db.ts";
import { hashHeader } from "../../chain/header.ts";
import { epochOf, slotOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import type { Transaction } from "../../chain/transaction.ts";
import { shareDifficulty } from "../../consensus/asert.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createEthash, type Ethash } from "../../consensus/ethash/ethash.ts";
import { reserve } from "../../consensus/records.ts";
import { checkShares, dropWorkOfEpoch, workOfEpoch } from "../../consensus/resources/work.ts";
import { decodeShare, encodeShare, sealHash, shareId } from "../../consensus/shares.ts";
import { buildBlock } from "../../consensus/transition.ts";
import { fromHex, type Hash, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { signCompact } from "../../lib/secp256k1.ts";
import { RLC } from "../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../node/folder.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { validators } from "../../vm/validator-store.ts";
import { accountOf, createTestNetwork, openAt, silent, testKey } from "../helpers/chain.ts";
import { EASY_WORK, forgeShare, mineShare } from "../helpers/mining.ts";
import { validatorCall } from "../helpers/validator-call.ts";

t.setTimeout(120_000);

const alice = accountOf("alice").address;

/** One validator that makes blocks, and a node that is offered what the test makes of them. */
const makeChain = async () => {
  const network = await createTestNetwork(1, [], EASY_WORK);
  const other = await createTestNetwork(1, [], EASY_WORK);
  const { engine } = network.nodes[0]!;
  const to = other.nodes[0]!.engine;
  const blockAt = (number: number): Block => engine.store.block(engine.store.canonical(number)!)!;
  return {
    ...network,
    engine,
    to,
    beneficiary: network.keys[0]!.address,
    blockAt,
    /** Gives the other node blocks up to this number, in time. */
    follow: async (number: number) => {
      const ahead = network.nodes[0]!.engine.head().header.number;
      const behind = to.head().header.number;
      await other.run(ahead - slotOf(other.genesis, Math.floor(to.now() / 1000)), new Set([0]));
      for (let n = behind + 1; n <= number; n++) await to.importBlock(blockAt(n));
    },
    /** A block of the validator, as it stands, with other shares. */
    withShares: (block: Block, workShares: readonly WorkShare[]): Block => {
      const body = { ...block.body, workShares };
      const header = { ...block.header, consensusRoot: consensusRoot(body) };
      const hash = hashHeader(header);
      return { hash, header, body, signature: signCompact(hash, testKey("validator 0")) };
    },
    stop: async () => {
      for (const each of [engine, to]) await each.stop();
    },
  };
};

t.test("a share travels as it is, its name leaves out the mix, its seal binds chain, anchor and miner", async (t) => {
  const { engine, beneficiary, stop } = await makeChain();
  const share = mineShare(engine, { beneficiary });
  t.same(decodeShare(encodeShare(share)), share);
  t.throws(() => decodeShare(encodeShare(share).subarray(1)), { code: "rlp" });
  t.equal(shareId(share), shareId({ ...share, mixHash: ZERO_HASH }));
  t.not(shareId(share), shareId({ ...share, nonce: "0xffffffffffffffff" }));
  const seals = [
    sealHash(engine.genesisHash, share),
    sealHash(ZERO_HASH, share),
    sealHash(engine.genesisHash, { ...share, anchorHash: ZERO_HASH }),
    sealHash(engine.genesisHash, { ...share, beneficiary: alice }),
    sealHash(engine.genesisHash, { ...share, extraNonce: word(1) }),
  ];
  t.equal(new Set(seals).size, 5);
  await stop();
});

t.test("a share is included once, and credits its validator with the anchor's difficulty on every node", async (t) => {
  const { nodes, run, keys } = await createTestNetwork(2, [], EASY_WORK);
  const [a, b] = [nodes[0]!.engine, nodes[1]!.engine];
  const beneficiary = keys[1]!.address;
  const share = mineShare(a, { beneficiary });
  for (const each of [a, b]) await each.addShare(share);
  await run(2);
  t.equal(a.head().hash, b.head().hash);
  for (const each of [a, b]) t.equal(validators.find(each.stateOf(each.head()), beneficiary)?.workCredit, 16n);
  const blocks = Array.from({ length: a.head().header.number }, (_, i) => a.store.block(a.store.canonical(i + 1)!)!);
  t.same(
    blocks.flatMap(({ body }) => body.workShares),
    [share],
  );
  await t.rejects(a.addShare(share), { code: "share-known" });
  for (const each of [a, b]) await each.stop();
});

t.test("a node that never saw a share before verifies it with its block", async (t) => {
  const { engine, to, beneficiary, run, follow, stop } = await makeChain();
  for (let i = 0; i < 3; i++) await engine.addShare(mineShare(engine, { beneficiary, extraNonce: word(i) }));
  await run(1);
  t.equal(engine.head().body.workShares.length, 3);
  await follow(1);
  t.equal(to.head().hash, engine.head().hash);
  t.equal(to.shares.size, 0);
  await stop();
});

t.test("a machine that cannot verify a share judges nothing by that: the block is imported later", async (t) => {
  const { engine, genesis, beneficiary, run, blockAt, stop } = await makeChain();
  await engine.addShare(mineShare(engine, { beneficiary }));
  await run(1);
  const real = createEthash();
  let faults = 2;
  const ethash: Ethash = {
    ...real,
    hash: (...question) => (faults-- > 0 ? Promise.reject(new Error("out of memory")) : real.hash(...question)),
  };
  const now = () => genesis.genesisTime * 1000 + 1000;
  const weak = await createEngine({ db: memoryDb(), genesis, now, log: silent, ethash });
  for (let i = 0; i < 2; i++) await t.rejects(weak.importBlock(blockAt(1)), { message: "out of memory" });
  t.equal(await weak.importBlock(blockAt(1)), "imported");
  t.equal(weak.head().hash, engine.head().hash);
  await weak.stop();
  await stop();
});

t.test("a share that one fork includes can be included by another one", async (t) => {
  const { engine, to, beneficiary, run, blockAt, follow, withShares, stop } = await makeChain();
  await run(1);
  const share = mineShare(engine, { beneficiary });
  await engine.addShare(share);
  await run(2);
  await follow(1);
  // Block 3 on block 1: slot 2, where the share is in, stays empty on this fork.
  const { header, body } = blockAt(3);
  const built = buildBlock(to.chain, openAt(to, 3), {
    beneficiary,
    randaoReveal: header.randaoReveal,
    transactions: [],
    workShares: [share],
    certificates: [],
    evidence: [],
    onRefused: (_, error) => t.fail(error.message),
    onBug: (error) => t.fail(error.message),
  });
  t.same(built.body.workShares, [share]);
  t.same([blockAt(2).body.workShares, body.workShares], [[share], []]);
  const fork = withShares({ ...built, signature: "0x" }, [share]);
  t.equal(await to.importBlock(fork), "imported");
  t.equal(await to.importBlock(blockAt(2)), "imported");
  t.equal(validators.find(to.stateOf(fork), beneficiary)?.workCredit, 16n);
  t.equal(validators.find(to.stateOf(blockAt(2)), beneficiary)?.workCredit, 16n);
  await stop();
});

t.test("a block with a share that breaks a rule is refused by that rule", async (t) => {
  const { engine, to, beneficiary, run, blockAt, follow, withShares, stop } = await makeChain();
  const early = mineShare(engine, { beneficiary });
  await engine.addShare(early);
  await run(34);
  await follow(33);
  const last = blockAt(34);
  const anchorAt = (number: number): Hash => blockAt(number).hash;
  const refused = async (shares: readonly WorkShare[], code: string, what: string) =>
    t.rejects(to.importBlock(withShares(last, shares)), { code }, what);
  t.same(blockAt(1).body.workShares, [early]);
  await refused([early], "share-anchor", "its anchor left the window");
  await refused([mineShare(engine, { beneficiary, anchor: anchorAt(1) })], "share-anchor", "33 blocks before");
  await refused([mineShare(engine, { beneficiary, anchor: anchorAt(34) })], "share-anchor", "a block's own hash");
  await refused([mineShare(engine, { beneficiary: alice, anchor: anchorAt(33) })], "share-beneficiary", "no validator");
  const good = mineShare(engine, { beneficiary, anchor: anchorAt(2) });
  await refused([good, good], "share-included", "twice in a block");
  const forged = forgeShare(engine, { beneficiary, anchor: anchorAt(33) });
  await refused([{ ...forged, mixHash: word(2n ** 255n) }], "share-target", "a result over the target");
  await refused([good, forged], "share-mix", "a mix that is not Ethash's");
  await refused([good], "header-state-root", "a good share earns a credit that the header must know");
  t.equal(await to.importBlock(last), "imported");
  await stop();
});

t.test("a share that the chain holds cannot come again while its anchor is in the window", async (t) => {
  const { engine, to, beneficiary, run, blockAt, follow, withShares, stop } = await makeChain();
  const share = mineShare(engine, { beneficiary });
  await engine.addShare(share);
  await run(31);
  await follow(30);
  await t.rejects(to.importBlock(withShares(blockAt(31), [share])), { code: "share-included" });
  await t.rejects(to.importBlock(withShares(blockAt(31), [{ ...share, mixHash: ZERO_HASH }])), {
    code: "share-included",
  });
  await t.rejects(to.addShare(share), { code: "share-stale" });
  await stop();
});

t.test("who registers in a block earns work from the next one on", async (t) => {
  const newcomer = validatorKeys(testKey("newcomer"));
  const minBondWei = (500n * RLC).toString();
  const { nodes, genesis, run } = await createTestNetwork(1, [newcomer.address], { ...EASY_WORK, minBondWei });
  const { engine } = nodes[0]!;
  await run(1);
  const { blsPublicKey, proofOfPossession } = genesisValidator(newcomer, 0n);
  const args = [fromHex(blsPublicKey), fromHex(proofOfPossession), newcomer.address];
  engine.addTransaction(validatorCall({ genesis, keys: newcomer, name: "register", args, value: 600n * RLC }));
  const share = mineShare(engine, { beneficiary: newcomer.address });
  /** The shares of a block with these transactions, and whether it leaves the newcomer registered. */
  const build = (transactions: Iterable<Transaction>) => {
    const slot = openAt(engine);
    const { body } = buildBlock(engine.chain, slot, {
      beneficiary: ZERO_ADDRESS,
      randaoReveal: engine.head().header.randaoReveal,
      transactions,
      workShares: [share],
      certificates: [],
      evidence: [],
      onRefused: (_, error) => t.fail(error.message),
      onBug: (error) => t.fail(error.message),
    });
    return [body.workShares, validators.find(slot.state, newcomer.address) !== undefined];
  };
  t.same(build(engine.pool.best()), [[], true]);
  await run(1);
  t.same(build([]), [[share], true]);
  await engine.stop();
});

t.test("who is jailed earns no work", async (t) => {
  const { engine, genesis, keys, run, stop } = await makeChain();
  await run(1);
  const share = mineShare(engine, { beneficiary: keys[0]!.address });
  const { state, context } = engine.nextContext(engine.head());
  const inclusion = (epoch = context.epoch): string => {
    let code = "included";
    checkShares(state, { ...context, epoch }, [share], (error) => {
      code = error.code;
    });
    return code;
  };
  t.equal(inclusion(), "included");
  const validator = validators.get(state, 0)!;
  validators.set(state, { ...validator, slashedEpoch: context.epoch });
  t.equal(inclusion(), "share-beneficiary");
  const { evidenceEpochs } = genesis.params;
  t.equal(inclusion(context.epoch + evidenceEpochs - 1), "share-beneficiary");
  t.equal(inclusion(context.epoch + evidenceEpochs), "included", "then it is over");
  await stop();
});

t.test("the pool takes what the head's chain may include, and refuses the rest with its reason", async (t) => {
  const { engine, beneficiary, run, blockAt, stop } = await makeChain();
  await run(3);
  const refused = (share: WorkShare, code: string) => t.rejects(engine.addShare(share), { code }, code);
  const good = mineShare(engine, { beneficiary });
  await refused({ ...good, anchorHash: word(1) }, "share-unknown-anchor");
  await refused(mineShare(engine, { beneficiary: alice }), "share-unfit");
  await refused({ ...good, nonce: "0xffffffffffffffff", mixHash: word(2n ** 200n) }, "share-target");
  await refused(forgeShare(engine, { beneficiary }), "share-mix");
  const both = await Promise.allSettled([engine.addShare(good), engine.addShare(good)]);
  t.same(
    both.map(({ status }) => status),
    ["fulfilled", "rejected"],
  );
  const old = mineShare(engine, { beneficiary, anchor: blockAt(1).hash });
  await engine.addShare(old);
  t.equal(engine.shares.size, 2);
  await run(31);
  await refused({ ...old, extraNonce: word(9) }, "share-stale");
  t.equal(engine.shares.size, 1, "what no block can take is forgotten");
  await stop();
});

t.test("a share that comes before its anchor waits for it, among others whose anchors never come", async (t) => {
  const { engine, to, beneficiary, run, follow, stop } = await makeChain();
  await run(1);
  const share = mineShare(engine, { beneficiary });
  for (let i = 0; i < 200; i++) await t.rejects(to.addShare({ ...share, anchorHash: word(i) }));
  await t.rejects(to.addShare(share), { code: "share-unknown-anchor" });
  const kept = new Promise<WorkShare>((resolve) => to.on("share", resolve));
  await follow(1);
  t.same(await kept, share);
  t.equal(to.shares.size, 1);
  await stop();
});

t.test("more shares at once than a node verifies are not looked at", async (t) => {
  const { engine, beneficiary, stop } = await makeChain();
  const forged = Array.from({ length: 300 }, (_, i) => forgeShare(engine, { beneficiary, extraNonce: word(i) }));
  const results = await Promise.allSettled(forged.map((share) => engine.addShare(share)));
  const codes = results.map((result) => (result.status === "rejected" ? (result.reason.code as string) : "kept"));
  t.equal(codes.filter((code) => code === "share-mix").length, 256);
  t.equal(codes.filter((code) => code === "share-busy").length, 44);
  await stop();
});

t.test("a block takes sixteen shares, the most difficult first, then those with the least time", async (t) => {
  const { engine, beneficiary, run, blockAt, stop } = await makeChain();
  const add = async (count: number, anchor: number, salt: number) => {
    for (let i = 0; i < count; i++)
      await engine.addShare(
        mineShare(engine, { beneficiary, anchor: blockAt(anchor).hash, extraNonce: word(salt + i) }),
      );
  };
  await run(1);
  await add(20, 1, 0);
  await run(1);
  t.equal(blockAt(2).body.workShares.length, MAX_WORK_SHARES);
  t.equal(blockAt(1).header.difficulty, 16n);
  await run(1);
  const harder = blockAt(3).header.difficulty;
  t.ok(harder > 16n);
  t.equal(blockAt(3).body.workShares.length, 4);
  await add(20, 2, 100);
  await add(3, 3, 200);
  await run(1);
  t.same(
    blockAt(4).body.workShares.map(({ anchorHash }) => anchorHash),
    [...Array(3).fill(blockAt(3).hash), ...Array(13).fill(blockAt(2).hash)],
  );
  await stop();
});

t.test("difficulty follows the shares that came, by ASERT, and comes back to genesis'", async (t) => {
  const { engine, genesis, beneficiary, run, blockAt, stop } = await makeChain();
  let ahead = 0;
  const plan = [0, 16, 16, 3, 0, 1, 0, 0];
  for (const [i, count] of plan.entries()) {
    for (let n = 0; n < count; n++) await engine.addShare(mineShare(engine, { beneficiary, extraNonce: word(n) }));
    await run(1);
    const { header, body } = blockAt(i + 1);
    t.equal(body.workShares.length, count);
    const { genesisDifficulty, asertHalfLifeSeconds, slotSeconds, workShareSeconds } = genesis.params;
    t.equal(
      header.difficulty,
      shareDifficulty(genesisDifficulty, BigInt(-ahead), asertHalfLifeSeconds),
      `block ${i + 1}`,
    );
    ahead = Math.max(0, ahead - slotSeconds + count * workShareSeconds);
  }
  t.equal(ahead, 29);
  await run(31);
  t.equal(engine.head().header.difficulty, 16n);
  await stop();
});

t.test("caches are made for who needs them: none without shares, the next epoch's ahead of its begin", async (t) => {
  const { nodes, run, keys } = await createTestNetwork(1, [], { ...EASY_WORK, ethashEpochSlots: 64 });
  const { engine } = nodes[0]!;
  await run(63);
  t.equal(engine.ethash.caches, 0);
  await run(1);
  await engine.addShare(mineShare(engine, { beneficiary: keys[0]!.address }));
  t.equal(engine.ethash.caches, 1);
  await run(62);
  t.equal(engine.ethash.caches, 1);
  await run(1);
  t.equal(engine.ethash.caches, 2);
  await engine.stop();
});

t.test("what blocks of an epoch include is kept for its rewards until it is dropped", async (t) => {
  const { engine, genesis, beneficiary, run, stop } = await makeChain();
  await run(4);
  const epoch = epochOf(genesis, 4);
  for (let i = 0; i < 2; i++) await engine.addShare(mineShare(engine, { beneficiary, extraNonce: word(i) }));
  await run(1);
  await engine.addShare(mineShare(engine, { beneficiary }));
  await run(1);
  const state = engine.stateOf(engine.head());
  const [first, second, third, ...rest] = workOfEpoch(state, genesis, epoch);
  t.same(first, { index: 0, difficulty: 16n, includer: beneficiary });
  t.same(second, first);
  t.same(third?.includer, beneficiary);
  t.same(rest, []);
  t.same(workOfEpoch(state, genesis, epoch - 1), []);
  dropWorkOfEpoch(state, genesis, epoch);
  t.same(workOfEpoch(state, genesis, epoch), []);
  await stop();
});

/** Where consensus/records.ts keeps the ids of included shares. */
const WORK_INCLUDED = 71;

t.test("the share of a validator that mines is paid, an eighth of it to the block that included it", async (t) => {
  const { engine, genesis, beneficiary, run, stop } = await makeChain();
  await engine.addShare(mineShare(engine, { beneficiary }));
  const left = () => reserve.get(engine.stateOf(engine.head()), ONLY)!;
  const { params } = genesis;
  await run((params.inclusionEpochs + 1) * params.slotsPerEpoch - 1);
  const before = left();
  await run(1); // closes epoch 0: nobody votes in it, one share was in it
  const issued = params.issuancePerSlotWei * BigInt(params.slotsPerEpoch);
  t.equal(before - left(), (issued * 21_000n) >> 16n);
  await stop();
});

t.test("the state forgets which shares were included once their anchors cannot be named", async (t) => {
  const { engine, genesis, beneficiary, run, stop } = await makeChain();
  const empty = engine.stateOf(engine.head());
  t.equal(empty.record(VALIDATORS, WORK_INCLUDED, word(1)), undefined);
  await engine.addShare(mineShare(engine, { beneficiary }));
  await run(1);
  const at = () => engine.stateOf(engine.head()).record(VALIDATORS, WORK_INCLUDED, word(1));
  t.ok(at());
  await run(31);
  t.ok(at(), "32 blocks on");
  await run(1);
  t.equal(at(), undefined);
  t.same(workOfEpoch(engine.stateOf(engine.head()), genesis, 0), [], "what was rewarded is forgotten");
  await stop();
});
