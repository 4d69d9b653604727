import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import "../helpers/plain-spawn.ts";
import type { Address, Hex } from "../../lib/bytes.ts";
import { uploadData } from "../../node/data-client.ts";
import { devKey } from "../../node/folder.ts";
import { deployApp, fetchResults, outcomesOf, submitJob } from "../../node/jobs.ts";
import { lotsOfWorker, marketFunction, view } from "../../node/market-client.ts";
import { followJob } from "../../node/progress.ts";
import { type Member, startTestnet, untilAgreed } from "../../node/testnet.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createWorker } from "../../node/worker/worker.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { STATUS } from "../../vm/wasm/status.ts";
import { silent } from "../helpers/chain.ts";

t.setTimeout(840_000);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const app = (name: string): Buffer => readFileSync(join(ROOT, "apps", "option-pricing", name));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The stake of a worker's slots, in wei. */
const stakeOf = async (client: RpcClient, worker: Address): Promise<bigint> => {
  const [slots] = await view(client, MARKET, marketFunction("slotsOf"), worker, 0n);
  const views = await Promise.all(
    (slots as readonly bigint[]).map(
      async (id) => (await view(client, MARKET, marketFunction("viewSlot"), id))[0] as readonly unknown[],
    ),
  );
  return views.reduce((sum, slot) => sum + (slot[6] as bigint), 0n);
};
const kill = async (member: Member): Promise<void> => {
  const ended = new Promise((resolve) => member.process!.once("exit", resolve));
  member.process!.kill("SIGKILL");
  await ended;
};

t.test("what npm start runs sells, computes, verifies and pays twenty tasks, and moves power", async (t) => {
  const out = mkdtempSync(join(tmpdir(), "rolec-e2e-out-"));
  t.teardown(() => rmSync(out, { recursive: true, force: true }));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      join(ROOT, "node/cli/main.ts"),
      "demo",
      "--exit",
      "--json",
      "--out",
      out,
      "--port",
      "19545",
      "--p2p-port",
      "19745",
    ],
    { encoding: "utf8", env: { PATH: process.env.PATH, TMPDIR: out }, timeout: 400_000 },
  );
  t.equal(status, 0, stderr);
  const report = JSON.parse(stdout);
  t.same(report.tasks, { total: 20, completed: 20 });
  t.type(report.firstFinalizedSeconds, "number");
  t.type(report.jobSeconds, "number");
  t.equal(report.powerBefore.length, 4);
  const earned = report.powerAfter.reduce(
    (sum: bigint, row: { contribution: string }) => sum + BigInt(row.contribution),
    0n,
  );
  t.ok(earned > 0n, "verified work is credit");
  t.notSame(
    report.powerAfter.map((row: { power: string }) => row.power),
    report.powerBefore.map((row: { power: string }) => row.power),
  );
  t.equal(report.files.filter((file: string) => file.endsWith("out/prices.csv")).length, 20);
  t.match(
    readFileSync(
      report.files.find((file: string) => file.endsWith("task-0/out/prices.csv")),
      "utf8",
    ),
    /price/,
  );
});

t.test("the results of tasks that share a lot are got one by one, from another node than the worker's", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const ports = { rpcPort: 19_945, p2pPort: 19_985 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 1, slotsPerWorker: 8, accounts: 1, ...ports });
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  // The worker is on validator-1; the requester asks validator-2.
  const node = testnet.members[1]!.rpcUrl;
  const client = rpcClient(node);
  const key: Hex = testnet.accounts[0]!.privateKey;
  const deployed = await deployApp(client, node, key, app("option-pricing.wasm"), "option-pricing");
  const book = await uploadData(node, app("positions.csv"));
  const job = await submitJob(client, key, {
    app: deployed.app,
    params: JSON.stringify({ iexec_args: "--paths 2000", iexec_input_files: [`/ipfs/${book}?filename=positions.csv`] }),
    tasks: 5,
    gasLimit: 500_000_000,
    trust: 2,
  });
  const lots = await followJob(client, job.dealid, () => {}, 100_000);
  t.same(
    lots.map((lot) => lot.count),
    [3, 2],
    "four tasks have room in the gas of a lot, and lots are alike",
  );
  let files: string[] = [];
  for (let i = 0; i < 20 && files.filter((file) => file.endsWith("prices.csv")).length < 5; i++) {
    files = await fetchResults(client, node, job.dealid, join(datadir, "results"));
    await sleep(500);
  }
  t.equal(files.filter((file) => file.endsWith("prices.csv")).length, 5);
});

t.test(
  "a job survives kill -9 of a worker and of a validator, and a liar loses its stake and changes nothing",
  async (t) => {
    const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
    const testnet = await startTestnet({
      datadir,
      validators: 4,
      workers: 4,
      // Half of the slots stay free for more rounds: each lot needs some four seats more where two lie.
      slotsPerWorker: 16,
      accounts: 2,
      rpcPort: 19_645,
      p2pPort: 19_845,
    });
    const member = (name: string): Member => testnet.members.find((each) => each.name === name)!;
    const liarFolder = mkdtempSync(join(tmpdir(), "rolec-liar-"));
    const lies = createWorker({
      privateKey: devKey("worker", 3),
      node: testnet.members[0]!.rpcUrl,
      datadir: liarFolder,
      policy: defaultPolicy(1),
      log: silent,
      // Another state root: a receipt in due form, of a computation that never was.
      tamper: (receipt) => receipt.with(160, receipt[160]! ^ 1),
    });
    t.teardown(async () => {
      await lies.stop();
      await testnet.stop();
      rmSync(datadir, { recursive: true, force: true });
      rmSync(liarFolder, { recursive: true, force: true });
    });
    await untilAgreed(testnet);
    const { client } = testnet;
    const node = testnet.members[0]!.rpcUrl;
    await kill(member("worker-4"));
    const before = await stakeOf(client, lies.address);
    t.ok(before > 0n);
    lies.start();

    const key: Hex = testnet.accounts[0]!.privateKey;
    const deployed = await deployApp(client, node, key, app("option-pricing.wasm"), "option-pricing");
    const book = await uploadData(node, app("positions.csv"));
    const job = await submitJob(client, key, {
      app: deployed.app,
      params: JSON.stringify({
        iexec_args: "--paths 200000",
        iexec_input_files: [`/ipfs/${book}?filename=positions.csv`],
      }),
      tasks: 6,
      // A minute for each lot: who is killed and comes back on a busy machine still answers in time.
      gasLimit: 12_000_000_000,
      // Seven seats a lot: a quarter of the slots, which lies, is a whole committee once in 16,000 draws.
      trust: 100,
    });
    const followed = followJob(client, job.dealid, () => {}, 200_000);
    await sleep(3_000);
    await kill(member("worker-1"));
    await kill(member("validator-2"));
    await sleep(3_000);
    await testnet.restart(member("validator-2"));
    await testnet.restart(member("worker-1"));
    const lots = await followed;
    const isDone = lots.every((lot) => lot.status === LOT_STATUS.completed);
    if (!isDone)
      for (const { name, log } of testnet.members)
        t.comment(`${name}:\n${readFileSync(log, "utf8").split("\n").slice(-15).join("\n")}`);
    t.ok(isDone, `${lots.map((lot) => `${lot.status}:${lot.seats.map((seat) => seat.status)}`)}`);
    const outcomes = await outcomesOf(client, job.dealid);
    t.ok(
      outcomes.every(({ receipt }) => receipt?.status === STATUS.ok),
      "each agreed receipt is of a run that ended well",
    );
    const seats = lots.flatMap((lot) => lot.seats).filter((seat) => seat.worker === lies.address);
    t.ok(seats.length > 0, "the liar was drawn");
    t.ok(
      seats.every((seat) => seat.status !== SEAT.proved),
      "no lie was proved",
    );
    t.ok((await stakeOf(client, lies.address)) < before, "the liar's stake is less");
    t.same(await lotsOfWorker(client, lies.address), [], "and its slots are in no lot any more");
  },
);
