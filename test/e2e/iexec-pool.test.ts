import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import "../helpers/plain-spawn.ts";
import { type Address, type Hex, toHex } from "../../lib/bytes.ts";
import { downloadFile, uploadData } from "../../node/data-client.ts";
import { hubFunction, viewDeal } from "../../node/market-client.ts";
import { createScheduler } from "../../node/pool/scheduler.ts";
import { createPoolServer } from "../../node/pool/server.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createWorker } from "../../node/worker/worker.ts";
import { HUB } from "../../vm/addresses.ts";
import { silent } from "../helpers/chain.ts";
import { chainOf, iexecConfig, iexecProject, installIexec, worked } from "../helpers/iexec-cli.ts";

t.setTimeout(840_000);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const COMPLETED = 3;

/** A user with the tool deploys app and pool, schedules the pool by rolec, and runs the app on it. */
const runOnOwnPool = async (t: Test, program: string, isNative: boolean, basePort: number): Promise<void> => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const ports = { rpcPort: basePort, p2pPort: basePort + 100 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 0, slotsPerWorker: 0, accounts: 4, ...ports });
  const stops: (() => Promise<void>)[] = [];
  t.teardown(async () => {
    for (const stop of stops.reverse()) await stop();
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  const { client, chainId } = testnet;
  const node = testnet.members[0]!.rpcUrl;
  const [user, ...helpers] = testnet.accounts;
  const chain = chainOf(client, chainId);
  mkdirSync(join(datadir, "user"));
  const project = iexecProject(program, join(datadir, "user"));
  const { iexec } = project;
  worked(t, await iexec("init", "--skip-wallet"));
  const configured = await iexecConfig(
    "--rpc",
    node,
    isNative ? "--native" : "--token",
    "--out",
    project.folder,
    "--force",
  );
  t.equal(configured.status, 0, configured.stderr);
  worked(t, await iexec("wallet", "import", user!.privateKey, "--password", "secret"));
  const secret = ["--password", "secret"];
  worked(t, await iexec("account", "deposit", "1000000000", ...secret));

  const module = readFileSync(join(ROOT, "apps/wind-tunnel/wind-tunnel.wasm"));
  worked(t, await iexec("app", "init"));
  const conf = project.read("iexec.json");
  Object.assign(conf.app, {
    name: "wind-tunnel",
    multiaddr: `/ipfs/${await uploadData(node, module)}`,
    checksum: toHex(createHash("sha256").update(module).digest()),
  });
  project.write("iexec.json", conf);
  worked(t, await iexec("app", "deploy", ...secret));
  worked(t, await iexec("workerpool", "init"));
  worked(t, await iexec("workerpool", "deploy", ...secret));
  const pool = String(project.read("deployed.json").workerpool[String(chainId)]).toLowerCase() as Address;

  const scheduler = createScheduler({
    privateKey: user!.privateKey,
    pool,
    node,
    datadir: join(datadir, "scheduler"),
    workers: [],
    noEnclave: !isNative,
    log: silent,
  });
  const server = createPoolServer({ scheduler, host: "127.0.0.1", port: 0, log: silent });
  const { port } = await server.start();
  scheduler.start();
  stops.push(
    () => scheduler.stop(),
    () => server.stop(),
  );
  const lend = async (privateKey: Hex, i: number): Promise<void> => {
    await transact(client, privateKey, { to: HUB, data: hubFunction("deposit").encode(), value: 10n ** 18n });
    const worker = createWorker({
      privateKey,
      node,
      datadir: join(datadir, `worker-${i}`),
      policy: defaultPolicy(1),
      pool: { url: `http://127.0.0.1:${port}`, noEnclave: !isNative },
      log: silent,
    });
    worker.start();
    stops.push(() => worker.stop());
  };
  await Promise.all(helpers.map(({ privateKey }, i) => lend(privateKey, i)));

  const small = "--resolution 4 --length 6 --time 2";
  // Trust 1: the tool cannot read a task of several contributors (docs/pools.md).
  const run = ["app", "run", "--workerpool", "deployed", "--args", small, "--watch", "--force"];
  const ran = worked(t, await iexec(...run, ...secret));
  const [{ dealid }] = ran.deals;
  t.equal((await viewDeal(client, dealid)).pool, pool);
  const shown = worked(t, await iexec("deal", "show", dealid));
  const taskid = Object.values(shown.deal.tasks)[0] as Hex;
  t.equal(await chain.taskStatus(taskid), COMPLETED);
  const task = worked(t, await iexec("task", "show", taskid, "--download", ...secret));
  t.match(task.task, { statusName: "COMPLETED", results: { storage: "ipfs" } });
  const cid = task.task.results.location.replace("/ipfs/", "");
  const summary = Buffer.from(await downloadFile(testnet.members[1]!.rpcUrl, cid, "out/summary.csv"));
  t.match(summary.toString(), /^shape,angle,reynolds/);
  t.ok(readFileSync(task.resultPath).includes(summary));
};

for (const [version, isNative, port] of [
  ["8.24.0", true, 28_000],
  ["9.0.1", false, 28_300],
] as const) {
  const program = (await installIexec(version)) ?? "";
  const skip = program === "" && "npm's registry cannot be reached: iexec is not installed";
  const mode = isNative ? "" : ", with no enclave: workers' keys sign in its place";
  await t.test(`app run of iexec ${version} ends with a task that rolec's workers computed${mode}`, { skip }, (t) =>
    runOnOwnPool(t, program, isNative, port),
  );
}
