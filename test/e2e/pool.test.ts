import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { RLC } from "../../lib/units.ts";
import "../helpers/plain-spawn.ts";
import { type Address, fromHex, type Hash, type Hex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { addressOf, signCompact } from "../../lib/secp256k1.ts";
import { downloadFile, uploadData } from "../../node/data-client.ts";
import { devKey } from "../../node/folder.ts";
import { deployApp, matchedDealsOf } from "../../node/jobs.ts";
import { hubFunction, hubStakeOf, view, viewContributions, viewTasks } from "../../node/market-client.ts";
import { createPool, signPoolOrder } from "../../node/pool/owner.ts";
import { fetchScheduled, isScheduled, progressOf, scheduledTasks } from "../../node/scheduled-deals.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createWorker } from "../../node/worker/worker.ts";
import type { RpcClient } from "../../rpc/client.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { HUB } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { taskId } from "../../vm/market/deal.ts";
import {
  APP_ORDER,
  type AppOrder,
  DATASET_ORDER,
  type OrderKind,
  orderHash,
  REQUEST_ORDER,
  type RequestOrder,
  WORKERPOOL_ORDER,
} from "../../vm/market/order.ts";
import { CONTRIBUTION_STATUS, TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { silent } from "../helpers/chain.ts";

t.setTimeout(840_000);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const app = (name: string): Buffer => readFileSync(join(ROOT, "apps", "option-pricing", name));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const PRICE = 1_000_000n;

const signed = <T extends { readonly sign: Uint8Array }>(
  chainId: number,
  kind: OrderKind<T>,
  key: Hex,
  order: T,
): T => {
  const sign = fromHex(signCompact(orderHash(chainId, kind, order), key));
  sign[64]! += 27;
  return { ...order, sign };
};
const anyone = {
  datasetrestrict: ZERO_ADDRESS,
  workerpoolrestrict: ZERO_ADDRESS,
  requesterrestrict: ZERO_ADDRESS,
  salt: ZERO_HASH,
  sign: new Uint8Array(0),
};
const deposit = (client: RpcClient, key: Hex): Promise<unknown> =>
  transact(client, key, { to: HUB, data: hubFunction("deposit").encode(), value: RLC });

t.test("a scheduler and its workers compute deals of a classic pool, whoever lies or is killed", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-pool-"));
  const ports = { rpcPort: 22_545, p2pPort: 22_745 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 0, slotsPerWorker: 0, accounts: 7, ...ports });
  const { client, accounts, chainId } = testnet;
  const node = testnet.members[0]!.rpcUrl;
  const [ownerKey, requesterKey, ...workerKeys] = accounts.map((account) => account.privateKey);
  let daemon: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    if (!daemon || daemon.exitCode !== null || daemon.signalCode !== null) return;
    const ended = new Promise((resolve) => daemon!.once("exit", resolve));
    daemon.kill("SIGKILL");
    await ended;
  };
  const workers = workerKeys.slice(0, 4).map((privateKey, i) =>
    createWorker({
      privateKey,
      node,
      datadir: join(datadir, `classic-${i}`),
      policy: { ...defaultPolicy(1), allowPrivateUrls: true },
      pool: { url: "http://127.0.0.1:22900", noEnclave: true },
      log: silent,
      ...(i === 3 ? { tamper: (receipt: Uint8Array) => receipt.with(160, receipt[160]! ^ 1) } : {}),
    }),
  );
  const liar = workers[3]!.address;
  t.teardown(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await kill();
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  await Promise.all([ownerKey!, requesterKey!, ...workerKeys].map((key) => deposit(client, key)));
  const pool = await createPool(client, ownerKey!, "classic", { stakePercent: 30n, ownerPercent: 10n });
  const startDaemon = (): void => {
    const args = ["pool", "start", pool, "--key", ownerKey!, "--datadir", join(datadir, "scheduler"), "--node", node];
    daemon = spawn(process.execPath, [join(ROOT, "node/cli/main.ts"), ...args, "--port", "22900", "--no-enclave"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    daemon.stderr!.on("data", (data) => {
      if (!/"level":[1-3]0/.test(data)) t.comment(String(data).slice(0, 500));
    });
  };
  startDaemon();
  const module = await deployApp(client, node, devKey("account", 0), app("option-pricing.wasm"), "option-pricing");
  const book = await uploadData(node, app("positions.csv"));
  const paramsOf = (input: string): string =>
    JSON.stringify({ iexec_args: "--paths 2000", iexec_input_files: [input] });
  const fromBook = paramsOf(`/ipfs/${book}?filename=positions.csv`);

  const match = async (trust: bigint, volume: bigint, tag: bigint, params = fromBook): Promise<Hash[]> => {
    const appOrder = signed<AppOrder>(chainId, APP_ORDER, ownerKey!, {
      ...anyone,
      app: module.app,
      appprice: 0n,
      volume: 100n,
      tag: word(tag),
    });
    const poolOrder = signPoolOrder(chainId, ownerKey!, {
      pool,
      priceNrlc: PRICE,
      volume,
      category: 0n,
      tag,
      trust,
    });
    const requester = addressOf(requesterKey!);
    const request = signed<RequestOrder>(chainId, REQUEST_ORDER, requesterKey!, {
      app: module.app,
      appmaxprice: 0n,
      dataset: ZERO_ADDRESS,
      datasetmaxprice: 0n,
      workerpool: ZERO_ADDRESS,
      workerpoolmaxprice: PRICE,
      requester,
      volume,
      tag: word(tag),
      category: 0n,
      trust,
      beneficiary: requester,
      callback: ZERO_ADDRESS,
      params,
      salt: word(tag + 1n),
      sign: new Uint8Array(0),
    });
    const noDataset = DATASET_ORDER.values({
      dataset: ZERO_ADDRESS,
      datasetprice: 0n,
      volume: 0n,
      tag: ZERO_HASH,
      apprestrict: ZERO_ADDRESS,
      workerpoolrestrict: ZERO_ADDRESS,
      requesterrestrict: ZERO_ADDRESS,
      salt: ZERO_HASH,
      sign: new Uint8Array(0),
    });
    const data = hubFunction("matchOrders").encode(
      APP_ORDER.values(appOrder),
      noDataset,
      WORKERPOOL_ORDER.values(poolOrder),
      REQUEST_ORDER.values(request),
    );
    const receipt = await transact(client, requesterKey!, { to: HUB, data });
    const log = receipt.logs.find((each) => each.topics[0] === HUB_EVENTS.SchedulerNotice!.topic)!;
    const dealid = log.data.slice(0, 66) as Hash;
    return Array.from({ length: Number(volume) }, (_, i) => taskId(dealid, i));
  };
  const untilOver = async (ids: readonly Hash[], seconds: number): Promise<number[]> => {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const statuses = (await viewTasks(client, ids)).map(({ status }) => status);
      if (statuses.every((status) => status >= TASK_STATUS.completed) || Date.now() > deadline) return statuses;
      await sleep(500);
    }
  };
  const resultOf = async (id: Hash): Promise<string> => {
    const [task] = await view(client, HUB, hubFunction("viewTask"), id);
    const { storage, location } = JSON.parse(Buffer.from((task as AbiValue[])[12] as Uint8Array).toString());
    t.equal(storage, "ipfs");
    const cid = (location as string).slice("/ipfs/".length);
    return Buffer.from(await downloadFile(testnet.members[1]!.rpcUrl, cid, "out/prices.csv")).toString();
  };

  for (const worker of workers) worker.start();
  const stakeBefore = await hubStakeOf(client, liar);
  // Two honest words of weight 2 are enough, and three where the liar spoke too.
  const ids = await match(3n, 3n, 0n);
  while (!(await viewTasks(client, ids)).some(({ contributors }) => contributors.length > 0)) await sleep(200);
  await kill();
  await sleep(1_000);
  startDaemon();
  t.same(await untilOver(ids, 65), [TASK_STATUS.completed, TASK_STATUS.completed, TASK_STATUS.completed]);
  for (const id of ids) t.match(await resultOf(id), /price/);
  const { dealid } = (await viewTasks(client, ids))[0]!;
  t.ok(await isScheduled(client, dealid));
  const results = await fetchScheduled(client, testnet.members[1]!.rpcUrl, dealid, join(datadir, "results"));
  t.equal(results.filter((file) => file.endsWith("out/prices.csv")).length, 3, "the results of a deal are got at once");
  t.same(
    (await scheduledTasks(client, dealid)).map(({ index }) => index),
    [0, 1, 2],
  );
  t.match(await matchedDealsOf(client, addressOf(requesterKey!)), [{ dealid, botSize: 3 }], "and is listed");
  t.same(await progressOf(client, dealid), { completed: 3, failed: 0 });
  const addresses = workers.map(({ address }): Address => address);
  let lies = 0;
  for (const id of ids) {
    const found = await viewContributions(client, id, addresses);
    const said = found.filter(({ status }) => status !== CONTRIBUTION_STATUS.unset);
    t.ok(said.filter(({ status }) => status === CONTRIBUTION_STATUS.proved).length >= 2, "two proved the result");
    t.not(found[3]!.status, CONTRIBUTION_STATUS.proved, "a lie is not proved");
    lies += Number(found[3]!.status !== CONTRIBUTION_STATUS.unset);
    t.ok(said.length - Number(found[3]!.status !== CONTRIBUTION_STATUS.unset) <= 3, "nobody was asked in vain");
  }
  t.equal(await hubStakeOf(client, liar), stakeBefore - 300_000n * BigInt(lies), "each lie costs the stake");

  // Tag bits 0 and 1: an enclave of iExec's framework, in whose place the workers' keys sign.
  const enclave = await match(1n, 1n, 3n);
  t.same(await untilOver(enclave, 60), [TASK_STATUS.completed]);
  const [contribution] = (
    await Promise.all(
      addresses.map((worker) => view(client, HUB, hubFunction("viewContribution"), enclave[0]!, worker)),
    )
  )
    .map(([fields], i) => ({ worker: addresses[i]!, fields: fields as AbiValue[] }))
    .filter(({ fields }) => fields[0] !== 0n);
  t.equal(contribution!.fields[3], contribution!.worker, "the challenge is the worker's own key");

  // Longer than a worker may wait of the 20 s that it is given, and there is no other worker.
  const [all, takesMs] = [app("positions.csv"), 12_000];
  let asked = 0;
  const web = createServer(async (_, response) => {
    asked += 1;
    response.write(all.subarray(0, 1));
    await sleep(takesMs);
    response.end(all.subarray(1));
  });
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    web.closeAllConnections();
    web.close();
  });
  await Promise.all(workers.slice(1).map((worker) => worker.stop()));
  const sha256 = createHash("sha256").update(all).digest("hex");
  const slow = `http://127.0.0.1:${(web.address() as AddressInfo).port}/positions.csv#sha256=${sha256}`;
  t.same(await untilOver(await match(1n, 1n, 0n, paramsOf(slow)), 110), [TASK_STATUS.completed]);
  t.equal(asked, 1, "what came too late for one ask was there for the next");
});
