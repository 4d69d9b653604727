import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import "../helpers/plain-spawn.ts";
import type { Hex } from "../../lib/bytes.ts";
import { devKey } from "../../node/folder.ts";
import { deployApp, type JobRequest, lotsOfDeal, outcomesOf, submitJob } from "../../node/jobs.ts";
import { slotsOfWorker } from "../../node/market-client.ts";
import { followJob } from "../../node/progress.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { readEarnings } from "../../node/worker/earnings.ts";
import { defaultPolicy, readPolicy } from "../../node/worker/policy.ts";
import { createWorker, type WorkerStatus } from "../../node/worker/worker.ts";
import { rpcClient } from "../../rpc/client.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { STATUS } from "../../vm/wasm/status.ts";
import { silent } from "../helpers/chain.ts";

t.setTimeout(840_000);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const app = (name: string): Buffer => readFileSync(join(ROOT, "apps", "option-pricing", name));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

t.test("a worker takes inputs by URL, keeps to its owner's policy, and knows what it earned", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const book = app("positions.csv");
  let asked = 0;
  const web = createServer((_, response) => {
    asked += 1;
    response.end(book);
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  const testnet = await startTestnet({
    datadir,
    validators: 1,
    workers: 1,
    slotsPerWorker: 8,
    accounts: 2,
    rpcPort: 20_145,
    p2pPort: 20_185,
  });
  const folder = join(datadir, "own-worker");
  const workers: ReturnType<typeof createWorker>[] = [];
  t.teardown(async () => {
    for (const worker of workers) await worker.stop();
    await testnet.stop();
    web.close();
    rmSync(datadir, { recursive: true, force: true });
  });
  // The network's own worker makes room for one whose policy this test chooses.
  const theirs = testnet.members.find(({ role }) => role === "worker")!;
  const ended = new Promise((resolve) => theirs.process!.once("exit", resolve));
  theirs.process!.kill("SIGTERM");
  await ended;
  await untilAgreed(testnet);
  const node = testnet.members[0]!.rpcUrl;
  const client = rpcClient(node);
  const [key, other] = testnet.accounts.map((account) => account.privateKey) as [Hex, Hex];
  const deployed = await deployApp(client, node, key, app("option-pricing.wasm"), "option-pricing");
  const start = (given: object) => {
    const policy = readPolicy(defaultPolicy(2), { allowPrivateUrls: true, ...given });
    const worker = createWorker({ privateKey: devKey("worker", 0), node, datadir: folder, policy, log: silent });
    workers.push(worker);
    worker.start();
    return worker;
  };
  const request = (sha256: string, tasks = 1): JobRequest => ({
    app: deployed.app,
    params: JSON.stringify({
      iexec_args: "--paths 2000",
      iexec_input_files: [`http://127.0.0.1:${(web.address() as AddressInfo).port}/positions.csv#sha256=${sha256}`],
    }),
    tasks,
    gasLimit: 500_000_000,
    trust: 2,
  });
  const right = createHash("sha256").update(book).digest("hex");

  const worker = start({ requesters: [testnet.accounts[0]!.address] });
  const good = await submitJob(client, key, request(right, 5));
  const lots = await followJob(client, good.dealid, () => {}, 60_000);
  t.ok(lots.every((lot) => lot.status === LOT_STATUS.completed));
  for (let i = 0; i < 50 && (await outcomesOf(client, good.dealid)).some(({ receipt }) => !receipt); i++)
    await sleep(200);
  t.same(
    (await outcomesOf(client, good.dealid)).map(({ receipt }) => receipt?.status),
    Array(5).fill(STATUS.ok),
  );
  t.equal(asked, 1, "the input is fetched once for all lots");
  const { pins } = (await client.call("rolec_pins")) as { pins: { holder: string; until: number }[] };
  const until = new Map(lots.map((lot) => [`worker:${lot.id}`, lot.finalDeadline + 600]));
  const results = pins.filter(({ holder }) => holder.startsWith("worker:"));
  t.ok(results.length > 0);
  t.ok(
    results.every((pin) => until.get(pin.holder) === pin.until),
    "results are kept until the final deadline and the parameter's time after it",
  );

  const bad = await submitJob(client, key, request("ab".repeat(32)));
  const [declined] = await followJob(client, bad.dealid, () => {}, 60_000);
  t.equal(declined!.status, LOT_STATUS.failed, "another checksum is a file that is not to be had");
  t.ok(declined!.seats.every((seat) => seat.status === SEAT.declined));

  const before = await slotsOfWorker(client, worker.address);
  const foreign = await submitJob(client, other, request(right));
  await followJob(client, foreign.dealid, () => {}, 60_000);
  const [lot] = await lotsOfDeal(client, foreign.dealid);
  t.equal(lot!.status, LOT_STATUS.failed, "nobody else could compute it");
  t.ok(lot!.seats.every((seat) => seat.status === SEAT.declined));
  t.same(
    (await slotsOfWorker(client, worker.address)).map(({ stakeWei }) => stakeWei > 0n),
    before.map(() => true),
  );
  const status = JSON.parse(readFileSync(join(folder, "status.json"), "utf8")) as WorkerStatus;
  t.match(status.lastDecline, /does not name requester/);

  const sum = async () => readEarnings(client, worker.address, join(folder, "earnings.json"));
  let earned = await sum();
  for (let i = 0; i < 100 && earned.lots < lots.length; i++) {
    await sleep(300);
    earned = await sum();
  }
  t.equal(earned.lots, lots.length);
  t.equal(earned.withdrawableWei, earned.earnedWei, "what was earned is in the hub, none of it paid out");
  t.same(await sum(), { ...earned, throughBlock: (await sum()).throughBlock }, "asked again, it has not changed");

  await worker.stop();
  // A worker needs RLC of its own for nothing but to leave and to withdraw.
  await transact(client, key, { to: worker.address, value: 10n ** 18n });
  writeFileSync(
    join(folder, "worker.json"),
    JSON.stringify({ address: worker.address, privateKey: devKey("worker", 0) }),
    { mode: 0o600 },
  );
  const command = (name: string, ...more: string[]) =>
    spawnSync(process.execPath, [join(ROOT, "node/cli/main.ts"), "worker", name, "--datadir", folder, ...more], {
      encoding: "utf8",
    }).stdout;
  t.match(command("status"), /done +\d+ lots computed, \d+ declined/);
  const paid = JSON.parse(command("withdraw", "--node", node, "--to", testnet.accounts[1]!.address, "--json"));
  t.equal(paid.amountWei, String(earned.earnedWei));
  t.match(command("earnings", "--node", node), /in the hub: rolec worker withdraw +0\n/);
  const done = start({ maxLots: 1, exitWhenIdleSeconds: 1 });
  const last = await submitJob(client, key, request(right));
  await followJob(client, last.dealid, () => {}, 60_000);
  t.match(await done.ended, /nothing to do/);
  t.same(await slotsOfWorker(client, worker.address), [], "its slots are given back first");
});
