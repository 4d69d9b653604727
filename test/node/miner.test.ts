import "../helpers/plain-spawn.ts";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { WorkShare } from "../../chain/block.ts";
import { ethashEpoch, seedHash } from "../../consensus/ethash/sizes.ts";
import { createTroubles } from "../../lib/trouble.ts";
import { startMiner } from "../../node/miner/miner.ts";
import { rpcSource, sizesOf } from "../../node/miner/rpc-source.ts";
import type { WorkSource } from "../../node/miner/source.ts";
import { epochOfSeed, stratumSource } from "../../node/miner/stratum-source.ts";
import { createStratum } from "../../rpc/stratum.ts";
import { silent } from "../helpers/chain.ts";
import { EASY_WORK } from "../helpers/mining.ts";
import { startRpc } from "../helpers/rpc.ts";

t.setTimeout(120_000);

const PARAMS = { ...EASY_WORK, genesisDifficulty: "32768" };
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

/** Mines until a share is in the node's pool, then once more after a new block. */
const mineTwice = async (
  t: { equal(a: unknown, b: unknown): boolean; ok(value: unknown, message: string): boolean },
  rpc: Awaited<ReturnType<typeof startRpc>>,
  source: WorkSource,
  memoryBytes: number,
): Promise<string[]> => {
  const { engine, mine } = rpc;
  const lines: string[] = [];
  const shareAt = (number: number) =>
    new Promise<WorkShare>((resolve) => {
      const end = engine.on("share", (share) => {
        if (share.anchorHash !== engine.store.canonical(number)) return;
        end();
        resolve(share);
      });
    });
  await mine(1);
  const first = shareAt(1);
  const miner = startMiner({
    source,
    threads: 2,
    memoryBytes,
    say: (line) => lines.push(line),
    troubles: createTroubles({ log: silent }),
    reportMs: 200,
  });
  t.equal((await first).beneficiary, rpc.validator.address);
  await mine(1);
  await shareAt(2);
  await miner.stop();
  const { hashes, accepted, refused } = miner.stats;
  t.ok(hashes > 0 && accepted >= 2, `${accepted} accepted of ${hashes} hashes`);
  t.equal(refused, 0);
  await mine(1);
  t.ok(engine.head().body.workShares.length > 0, "a block includes them");
  return lines;
};

t.test("the miner finds shares over the dataset by eth_getWork, on each new head", async (t) => {
  const rpc = await startRpc([], {}, PARAMS);
  const lines = await mineTwice(t, rpc, rpcSource(rpc.client, t.fail), 2 ** 20);
  t.match(lines[0], /epoch 0: making the dataset of 1 MiB/);
  t.match(lines[1], /epoch 0: ready/);
  t.ok(lines.some((line) => /^share 0x[0-9a-f]{16} accepted$/.test(line)));
  await rpc.stop();
});

t.test("the miner goes on in the next Ethash epoch, with that one's dataset", async (t) => {
  const rpc = await startRpc([], {}, { ...PARAMS, ethashEpochSlots: 2 });
  const lines = await mineTwice(t, rpc, rpcSource(rpc.client, t.fail), 2 ** 20);
  t.match(
    lines.filter((line) => line.includes("making")),
    [/^epoch 0: making/, /^epoch 1: making/],
  );
  await rpc.stop();
});

t.test("where the dataset does not fit its memory, it mines by the cache", async (t) => {
  const rpc = await startRpc([], {}, { ...PARAMS, genesisDifficulty: "64" });
  const lines = await mineTwice(t, rpc, rpcSource(rpc.client, t.fail), 1_000);
  t.match(lines[0], /making the cache/);
  await rpc.stop();
});

t.test("the miner speaks EthereumStratum, with sizes from the node's RPC", async (t) => {
  const rpc = await startRpc([], {}, PARAMS);
  const { engine, desk } = rpc;
  const server = createStratum({ engine, desk, host: "127.0.0.1", port: 0, log: silent });
  const port = await server.start();
  const sizes = (epoch: number) => sizesOf(rpc.client, epoch);
  const source = stratumSource({ host: "127.0.0.1", port, user: "rig", sizes, onTrouble: t.fail });
  const lines = await mineTwice(t, rpc, source, 2 ** 20);
  t.match(lines[0], /epoch 0: making the dataset/);
  await server.stop();
  await rpc.stop();
});

t.test("a node that does not tell sizes means Ethereum's, and a seed names its epoch", async (t) => {
  const rpc = await startRpc([], {}, PARAMS);
  const start = { ethashCacheBytes: 2 ** 24, ethashDatasetBytes: 2 ** 30 };
  const plain = { ...rpc.client, call: (_: string) => rpc.client.call("no_such_method") };
  t.same(await sizesOf(plain, 5), ethashEpoch(5, start));
  await t.rejects(sizesOf(rpc.client, 5), /epoch 0, its work was of 5/);
  t.equal(epochOfSeed(seedHash(390)), 390);
  t.throws(() => epochOfSeed(`0x${"77".repeat(32)}`), /no Ethash epoch/);
  await rpc.stop();
});

t.test("rolec miner mines, says what it does, and stops at Ctrl-C", async (t) => {
  const rpc = await startRpc([], {}, PARAMS);
  await rpc.mine(1);
  const found = new Promise((resolve) => rpc.engine.on("share", resolve));
  const child = spawn(process.execPath, [MAIN, "miner", "--rpc", rpc.url, "--threads", "1", "--memory", "64"]);
  let output = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve));
  await found;
  child.kill("SIGINT");
  t.equal(await ended, 0);
  t.match(output, /mining with 1 thread for http:/);
  t.match(output, /\d+ hashes, \d+ shares accepted, \d+ refused\n$/);
  await rpc.stop();
});

t.test("a miner by Stratum alone says whose sizes it takes", async (t) => {
  const child = spawn(process.execPath, [MAIN, "miner", "--stratum", "127.0.0.1:1", "--threads", "1"]);
  t.teardown(() => child.kill("SIGKILL"));
  let output = "";
  for await (const data of child.stdout) {
    output += data;
    if (output.includes("--rpc <url>")) break;
  }
  t.match(output, /Stratum tells no sizes of the dataset: Ethereum's are taken/);
});

t.test("rolec miner refuses an endpoint that is none", async (t) => {
  const child = spawn(process.execPath, [MAIN, "miner", "--stratum", "nowhere"]);
  let errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const code = await new Promise<number | null>((resolve) => child.on("exit", resolve));
  t.not(code, 0);
  t.match(errors, /a host and a port are expected/);
});
