import t from "tap";
import { ethashEpoch } from "../../consensus/ethash/sizes.ts";
import { type Hash, type Hex, word } from "../../lib/bytes.ts";
import { rpcClient } from "../../rpc/client.ts";
import { createRpcServer } from "../../rpc/server.ts";
import { createWorkDesk } from "../../rpc/work.ts";
import { createTestNetwork, silent } from "../helpers/chain.ts";
import { EASY_WORK, openMiner } from "../helpers/mining.ts";
import { startRpc } from "../helpers/rpc.ts";

t.setTimeout(120_000);

/** Ethereum's own sizes, and work so easy that a cache of 16 MiB finds it in a moment. */
const REAL_SIZES = { genesisDifficulty: "32", ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };

type Work = [seal: Hash, seed: Hash, target: Hash, number: Hex];

t.test("a miner of eth_getWork finds work of Ethereum's sizes, and it is in the next block", async (t) => {
  const { client, engine, genesis, validator, mine, stop } = await startRpc([], {}, REAL_SIZES);
  await mine(1);
  const [seal, seed, target, number] = (await client.call("eth_getWork")) as Work;
  t.equal(seed, `0x${"00".repeat(32)}`);
  t.equal(BigInt(target), (2n ** 256n - 1n) / 32n);
  t.equal(number, "0x0");
  const found = openMiner(genesis).search(seal, BigInt(target), 7n, 100_000);
  if (!found) return t.fail("32 hashes are expected to be enough");
  t.equal(await client.call("eth_submitWork", [found.nonce, seal, found.mixHash]), true);
  t.equal(await client.call("eth_submitWork", [found.nonce, seal, found.mixHash]), false, "known already");
  await mine(1);
  const [share] = engine.head().body.workShares;
  t.same([share?.nonce, share?.beneficiary], [found.nonce, validator.address]);
  t.match(await client.call("eth_getBlockByNumber", ["latest", false]), { workShares: [share] });
  const [row] = (await client.call("rolec_validators")) as { workCreditHashes: string }[];
  t.equal(row?.workCreditHashes, "32");
  await stop();
});

t.test("work is good for as long as its anchor, and wrong answers are false", async (t) => {
  const { client, genesis, mine, stop } = await startRpc([], {}, EASY_WORK);
  await mine(1);
  const [seal, , target] = (await client.call("eth_getWork")) as Work;
  const kernel = openMiner(genesis);
  const [first, second] = [0n, 10_000n].map((from) => kernel.search(seal, BigInt(target), from, 10_000)!);
  await mine(31);
  t.equal(await client.call("eth_submitWork", [first!.nonce, seal, first!.mixHash]), true, "31 blocks later");
  t.equal(await client.call("eth_submitWork", [second!.nonce, word(1), second!.mixHash]), false, "nobody's work");
  t.equal(await client.call("eth_submitWork", [second!.nonce, seal, word(1)]), false, "another mix");
  await mine(1);
  t.equal(await client.call("eth_submitWork", [second!.nonce, seal, second!.mixHash]), false, "32 blocks later");
  for (const params of [["0x1", seal, word(1)], [second!.nonce, "0x12", word(1)], [], [second!.nonce, seal, 5]])
    await t.rejects(client.call("eth_submitWork", params), { code: -32602 });
  await stop();
});

t.test("work stands on the head, and its number and seed name the Ethash epoch", async (t) => {
  const { client, engine, mine, stop } = await startRpc([], {}, { ...EASY_WORK, ethashEpochSlots: 4 });
  const [before] = (await client.call("eth_getWork")) as Work;
  await mine(9);
  const [seal, seed, , number] = (await client.call("eth_getWork")) as Work;
  t.not(seal, before);
  t.equal(number, "0xea60", "epoch 2, by Ethereum's count of blocks");
  t.equal(seed, "0x510e4e770828ddbf7f7b00ab00a9f6adaf81c0dc9cc85f1f8249c256942d61d9");
  const { ethashCacheBytes, ethashDatasetBytes } = EASY_WORK;
  t.match(await client.call("rolec_ethash"), {
    ...ethashEpoch(2, { ethashCacheBytes, ethashDatasetBytes }),
    seedHash: seed,
    difficulty: engine.head().header.difficulty.toString(),
  });
  await stop();
});

t.test("rates that miners tell add up until they are old", async (t) => {
  const { client, mine, stop } = await startRpc([], {}, EASY_WORK);
  t.equal(await client.call("eth_mining"), false);
  t.equal(await client.call("eth_hashrate"), "0x0");
  await client.call("eth_getWork");
  t.equal(await client.call("eth_mining"), true);
  t.equal(await client.call("eth_submitHashrate", ["0x100", word(1)]), true);
  await client.call("eth_submitHashrate", ["0x200", word(1)]);
  await client.call("eth_submitHashrate", [word(1n), word(2)]);
  t.equal(await client.call("eth_hashrate"), "0x201");
  await t.rejects(client.call("eth_submitHashrate", [`0x${"f".repeat(65)}`, word(1)]), { code: -32602 });
  for (let i = 0; i < 1_100; i++) await client.call("eth_submitHashrate", ["0x1", word(10 + i)]);
  t.equal(await client.call("eth_hashrate"), "0x400", "1,024 are kept");
  await mine(91);
  t.equal(await client.call("eth_hashrate"), "0x0");
  t.equal(await client.call("eth_mining"), false);
  await stop();
});

const CALL = { connection: undefined, client: {}, turn: () => Promise.resolve(), hold: () => undefined };

t.test("a node without a validator has no work to give, and says what it lacks", async (t) => {
  const { client, engine, validator, stop } = await startRpc([], {}, EASY_WORK);
  t.equal(await client.call("eth_coinbase"), validator.address);
  const desk = createWorkDesk({ engine });
  for (const name of ["eth_getWork", "eth_coinbase"])
    t.throws(() => desk.methods[name]!.run([], CALL), { code: -32000, message: /--beneficiary/ });
  const stranger: Hex = `0x${"ab".repeat(20)}`;
  const wrong = createWorkDesk({ engine, beneficiary: stranger });
  t.throws(() => wrong.methods.eth_getWork!.run([], CALL), { code: -32000, message: /no validator/ });
  await stop();
});

t.test("work is power from the second era after it on, in the proportion that the mix gives it", async (t) => {
  const { nodes, keys, genesis, run } = await createTestNetwork(2, [], { ...EASY_WORK, workFloorHashes: "64" });
  const { engine } = nodes[0]!;
  const desk = createWorkDesk({ engine, beneficiary: keys[1]!.address });
  const methods = desk.methods;
  // Whoever proposes next knows the shares.
  engine.on("share", (share) => void nodes[1]!.engine.addShare(share));
  const server = createRpcServer({ engine, host: "127.0.0.1", port: 0, log: silent, methods });
  const client = rpcClient(`http://127.0.0.1:${(await server.start()).port}`);
  const earner = async () => {
    const rows = (await client.call("rolec_validators")) as { address: Hex; power: string; workCreditHashes: string }[];
    return rows.find(({ address }) => address === keys[1]!.address)!;
  };
  await run(1);
  t.match(await earner(), { power: "500000000", workCreditHashes: "0" });
  const [seal, , target] = (await client.call("eth_getWork")) as Work;
  const kernel = openMiner(genesis);
  for (let from = 0n; from < 8n; from++) {
    const found = kernel.search(seal, BigInt(target), from << 32n, 10_000)!;
    t.equal(await client.call("eth_submitWork", [found.nonce, seal, found.mixHash]), true);
  }
  await run(3);
  t.match(await earner(), { power: "500000000", workCreditHashes: "128" });
  const eraSlots = genesis.params.slotsPerEpoch * genesis.params.epochsPerEra;
  await run(eraSlots);
  const { workDecayQ64 } = genesis.params;
  t.match(await earner(), { power: "500000000", workCreditHashes: ((128n * workDecayQ64) >> 64n).toString() });
  await run(eraSlots);
  // All credit is its own and over the floor: all of work's share, and half of what is stake's.
  const [work, stake] = [21_000n, 65_536n - 21_000n];
  const power = (work * 10n ** 9n + stake * (10n ** 9n / 2n)) >> 16n;
  t.equal((await earner()).power, power.toString());
  t.match(await client.call("rolec_power"), [{ work: "0" }, { power: power.toString() }]);
  await server.stop();
  for (const node of nodes) await node.engine.stop();
});
