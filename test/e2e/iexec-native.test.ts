import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { type Address, type Hash, toHex } from "../../lib/bytes.ts";
import { downloadFile, uploadData } from "../../node/data-client.ts";
import { hubFunction, viewDeal } from "../../node/market-client.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { HUB, WORKERPOOL_REGISTRY } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { chainOf, iexecConfig, iexecProject, installIexec, worked } from "../helpers/iexec-cli.ts";
import { deployAll } from "../helpers/iexec-steps.ts";

const VERSION = "8.24.0";
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const RLC = 10n ** 9n;
const TASK = { unset: 0, active: 1, completed: 3, failed: 4 };
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const lower = (hex: unknown): Address => String(hex).toLowerCase() as Address;
const seconds = (): number => Math.floor(Date.now() / 1000);

t.setTimeout(840_000);

const program = (await installIexec(VERSION)) ?? "";
const skip = program === "" && "npm's registry cannot be reached: iexec is not installed";

t.test(`iexec ${VERSION}, unmodified, with RLC as the chain's coin`, { skip }, async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const ports = { rpcPort: 21_000, p2pPort: 21_100 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 1, slotsPerWorker: 8, accounts: 2, ...ports });
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  const { client, chainId } = testnet;
  const node = testnet.members[0]!.rpcUrl;
  const [user, other] = testnet.accounts;
  const id = String(chainId);
  // The tool talks to one node, and what it says is checked at another.
  const chain = chainOf(client, chainId);
  const folder = (name: string): string => {
    const path = join(datadir, name);
    mkdirSync(path);
    return path;
  };
  const project = iexecProject(program, folder("user"));
  const { iexec } = project;
  const configure = (...args: string[]) =>
    iexecConfig("--rpc", testnet.members[1]!.rpcUrl, "--native", "--out", project.folder, ...args);
  const edit = (changes: (conf: Conf) => void): void => {
    const conf = project.read("iexec.json");
    changes(conf);
    project.write("iexec.json", conf);
  };
  const orders = () => project.read("orders.json")[id];
  const deployed = (kind: string): Address => lower(project.read("deployed.json")[kind][id]);
  /** When the first deal can be claimed, and what it locked. */
  const first: { dealid: Hash; tasks: Hash[]; claimable: number } = { dealid: "0x", tasks: [], claimable: 0 };

  await t.test("iexec-config writes chain.json, and replaces nothing without being told", async (t) => {
    const printed = await iexecConfig("--rpc", node, "--native");
    t.match(JSON.parse(printed.stdout), {
      default: "rolec",
      chains: { rolec: { id, host: node, hub: HUB, native: true } },
    });
    t.match(printed.stderr, /iexec wallet import/);
    worked(t, await iexec("init", "--skip-wallet"));
    const refused = await configure();
    t.equal(refused.status, 1);
    t.match(refused.stderr, /chain\.json exists; --force replaces it/);
    t.notOk(project.read("chain.json").chains.rolec);
    t.equal((await configure("--force")).status, 0);
    t.equal(project.read("chain.json").chains.rolec.hub, HUB);
    t.notOk(existsSync(join(project.folder, "orders.json")));
    const nowhere = await iexecConfig("--rpc", "http://127.0.0.1:21999");
    t.equal(nowhere.status, 1);
    t.match(nowhere.stderr, /rolec: /);
    t.match(worked(t, await iexec("info")), { hubAddress: HUB, useNative: true });
  });

  await t.test("wallet and account: deposit, withdraw, show", async (t) => {
    const imported = worked(t, await iexec("wallet", "import", user!.privateKey, "--unencrypted"));
    t.equal(lower(imported.address), user!.address);
    const before = await chain.balance(user!.address);
    const shown = worked(t, await iexec("wallet", "show"));
    t.equal(BigInt(shown.balance.nRLC), before / RLC);

    const deposit = worked(t, await iexec("account", "deposit", "500", "RLC"));
    const receipt = await chain.receipt(deposit.txHash);
    t.equal(receipt.status, "0x1");
    t.same(await chain.account(user!.address), { stake: 500n * RLC, locked: 0n });
    const fee = BigInt(receipt.gasUsed) * BigInt(receipt.effectiveGasPrice);
    t.equal(await chain.balance(user!.address), before - 500n * RLC * RLC - fee);
    worked(t, await iexec("account", "withdraw", "100", "RLC"));
    t.same(await chain.account(user!.address), { stake: 400n * RLC, locked: 0n });
    t.same(worked(t, await iexec("account", "show")).balance, { stake: `${400n * RLC}`, locked: "0" });

    for (const [amount, words] of [
      ["deposit", /exceed wallet balance/],
      ["withdraw", /exceed account balance/],
    ] as const) {
      const refused = await iexec("account", amount, "1000000", "RLC");
      t.notOk(refused.ok);
      t.equal(refused.status, 1);
      t.match(refused.error, words);
    }
    // The tool looks before it asks; who does not look is told by the chain.
    const tooMuch = hubFunction("withdraw").encode(10n ** 15n);
    t.match(await chain.revertOf(user!.address, HUB, tooMuch), /execution reverted/);
    t.same(await chain.account(user!.address), { stake: 400n * RLC, locked: 0n });
  });

  await t.test("allowances, and RLC for others", async (t) => {
    worked(t, await iexec("account", "approve", "7", other!.address));
    t.equal(await chain.allowance(user!.address, other!.address), 7n);
    t.equal(Number(`0x${worked(t, await iexec("account", "allowance", other!.address)).amount}`), 7);
    worked(t, await iexec("account", "revoke", other!.address));
    t.equal(await chain.allowance(user!.address, other!.address), 0n);
    const before = await chain.balance(other!.address);
    worked(t, await iexec("wallet", "send-RLC", "2", "--to", other!.address, "--force"));
    t.equal(await chain.balance(other!.address), before + 2n * RLC * RLC);
  });

  await t.test("app, dataset, workerpool: deploy, show, count", async (t) => {
    await deployAll(t, { iexec, project, chain, owner: user!.address, chainId });
  });

  await t.test("orders: init, sign, fill; deal show, task show", async (t) => {
    worked(t, await iexec("order", "init"));
    edit(({ order }) => {
      Object.assign(order.workerpoolorder!, { volume: "5", workerpoolprice: `${RLC}` });
      const wanted = { app: deployed("app"), workerpool: deployed("workerpool"), workerpoolmaxprice: `${RLC}` };
      Object.assign(order.requestorder!, { ...wanted, volume: "3" });
    });
    worked(t, await iexec("order", "sign"));
    const filled = worked(t, await iexec("order", "fill"));
    t.equal(filled.volume, "3");
    first.dealid = filled.dealid;
    const receipt = await chain.receipt(filled.txHash);
    const matched = receipt.logs.filter((log) => log.topics[0] === HUB_EVENTS.OrdersMatched!.topic);
    t.equal(matched.length, 1);
    const deal = await viewDeal(client, filled.dealid);
    t.match(deal, { app: deployed("app"), priceNrlc: RLC, botFirst: 0, botSize: 3 });
    // The user is both sides: three prices as requester, and 30 % of each as owner of the pool.
    t.same(await chain.account(user!.address), { stake: 400n * RLC - (39n * RLC) / 10n, locked: (39n * RLC) / 10n });
    const { apporder, workerpoolorder, requestorder } = orders();
    for (const [name, json] of Object.entries({ apporder, workerpoolorder, requestorder }))
      t.equal(await chain.consumed(chain.orderHash(name as "apporder", json)), 3, name);

    const { deal: shown } = worked(t, await iexec("deal", "show", first.dealid));
    t.match(shown, { requester: /^0x/, botSize: "3", trust: "1", startTime: String(deal.startTime) });
    t.equal(lower(shown.workerpool.pointer), deployed("workerpool"));
    t.equal(Number(shown.finalTime), deal.startTime + 100, "ten times the ten seconds of category 0");
    first.tasks = shown.tasks;
    first.claimable = Number(shown.finalTime);

    const unknown = await iexec("task", "show", first.tasks[0]!);
    t.match(unknown.error, /No task found/, "what nobody initialized is no task to the tool");
    // The scheduler's part, which is not the tool's.
    const initialize = hubFunction("initialize").encode(first.dealid, 0n);
    await transact(client, other!.privateKey, { to: HUB, data: initialize });
    const { task, claimable } = worked(t, await iexec("task", "show", first.tasks[0]!));
    t.match(task, { statusName: "ACTIVE", dealid: first.dealid, idx: "0", finalDeadline: String(first.claimable) });
    t.notOk(claimable);
    t.equal(await chain.taskStatus(first.tasks[0]!), TASK.active);
    t.match((await iexec("task", "claim", first.tasks[0]!)).error, /before reaching the consensus deadline/);
    t.match((await iexec("deal", "claim", first.dealid)).error, /before reaching the final time/);
    t.equal(await chain.taskStatus(first.tasks[0]!), TASK.active);
  });

  await t.test("orders are cancelled once, by their owner, and fill no more", async (t) => {
    const { workerpoolorder, apporder } = orders();
    const hash = chain.orderHash("workerpoolorder", workerpoolorder);
    // Somebody else's wallet, with the same orders.
    const stranger = iexecProject(program, folder("stranger"));
    for (const file of ["chain.json", "iexec.json", "orders.json"])
      cpSync(join(project.folder, file), join(stranger.folder, file));
    worked(t, await stranger.iexec("wallet", "import", other!.privateKey, "--unencrypted"));
    const refused = await stranger.iexec("order", "cancel", "--workerpool", "--force");
    t.notOk(refused.ok);
    t.match(refused.error, /execution reverted: invalid-signature-format/);
    t.equal(await chain.consumed(hash), 3);

    const cancelled = worked(t, await iexec("order", "cancel", "--workerpool", "--force"));
    const receipt = await chain.receipt(cancelled.workerpoolorder.txHash);
    t.equal(receipt.logs[0]!.topics[0], HUB_EVENTS.ClosedWorkerpoolOrder!.topic);
    t.equal(await chain.consumed(hash), 5, "all of its volume");
    const again = await iexec("order", "cancel", "--workerpool", "--force");
    t.notOk(again.ok);
    t.match(again.error, /already canceled/);

    worked(t, await iexec("order", "sign", "--request"));
    const { requestorder } = orders();
    t.match((await iexec("order", "fill")).error, /workerpoolorder is fully consumed/);
    const match = chain.matchOrders({ apporder, workerpoolorder, requestorder });
    t.match(await chain.revertOf(user!.address, HUB, match), /execution reverted: iExecV5-matchOrders-0x60/);
    t.equal(await chain.consumed(chain.orderHash("requestorder", requestorder)), 0);
  });

  await t.test("what the tool does not check itself, the chain refuses in the reference's words", async (t) => {
    edit(({ order }) => Object.assign(order.workerpoolorder!, { apprestrict: other!.address }));
    worked(t, await iexec("order", "sign", "--workerpool"));
    const restricted = await iexec("order", "fill");
    t.equal(restricted.status, 1);
    t.match(restricted.error, /execution reverted: iExecV5-matchOrders-0x19/);
    edit(({ order }) => Object.assign(order.workerpoolorder!, { apprestrict: `0x${"0".repeat(40)}` }));
  });

  await t.test("app run, on a pool of one's own", async (t) => {
    const before = await chain.account(user!.address);
    const ran = worked(t, await iexec("app", "run", "--workerpool", "deployed", "--args", "one two", "--force"));
    const { dealid } = ran.deals[0];
    const deal = await viewDeal(client, dealid);
    t.match(deal, { app: deployed("app"), priceNrlc: 0n, botSize: 1 });
    t.equal(JSON.parse(deal.params).iexec_args, "one two");
    t.same(await chain.account(user!.address), before, "at no price nothing is locked");
    const elsewhere = await iexec("app", "run", "--force");
    t.match(elsewhere.error, /Missing iexecGateway/, "other pools' orders are found at a marketplace");
  });

  await t.test("the public pool computes what the tool ordered, and the tool downloads the result", async (t) => {
    const module = readFileSync(join(ROOT, "apps/word-count/word-count.wasm"));
    const text = Buffer.from("the chain draws, the worker counts, the chain pays\n");
    const place = async (bytes: Uint8Array) => ({
      multiaddr: `/ipfs/${await uploadData(node, bytes)}`,
      checksum: toHex(createHash("sha256").update(bytes).digest()),
    });
    const [app, dataset] = [await place(module), await place(text)];
    edit((conf) => {
      Object.assign(conf.app, { name: "word-count", ...app });
      Object.assign(conf.dataset, { name: "text", ...dataset });
    });
    worked(t, await iexec("app", "deploy"));
    worked(t, await iexec("dataset", "deploy"));
    const { apporder: kept } = orders();
    const written = await configure("--pool-order", "--volume", "4", "--force");
    t.equal(written.status, 0, written.stderr);
    t.same(orders().apporder, kept, "what else was signed stays");
    const { workerpoolorder } = orders();
    edit(({ order }) => {
      order.apporder!.app = deployed("app");
      order.datasetorder!.dataset = deployed("dataset");
      const { workerpool, workerpoolprice, trust } = workerpoolorder;
      const wanted = { app: deployed("app"), dataset: deployed("dataset"), workerpool, trust };
      Object.assign(order.requestorder!, { ...wanted, workerpoolmaxprice: workerpoolprice, volume: "1" });
    });
    for (const which of ["--app", "--dataset", "--request"]) worked(t, await iexec("order", "sign", which));
    const { dealid } = worked(t, await iexec("order", "fill"));
    t.match(await viewDeal(client, dealid), { dataset: deployed("dataset"), botSize: 1 });
    const watched = worked(t, await iexec("deal", "show", dealid, "--watch"));
    t.match(watched, { tasksCount: 1, completedTasksCount: 1, failedTasksCount: 0 });
    const { taskid } = watched.tasks[0];
    t.equal(await chain.taskStatus(taskid), TASK.completed);
    const got = worked(t, await iexec("task", "show", taskid, "--download"));
    t.match(got.task, { statusName: "COMPLETED", results: { storage: "ipfs" } });
    // Another node than the one that the tool asked; the archive is stored, not compressed.
    const cid = got.task.results.location.replace("/ipfs/", "");
    const counts = Buffer.from(await downloadFile(node, cid, "out/counts.csv"));
    t.match(counts.toString(), /^the,3$/m);
    t.ok(readFileSync(got.resultPath).includes(counts));
    t.match((await iexec("task", "claim", taskid)).error, /status COMPLETED/);
  });

  await t.test("what nobody computed is claimed when its time is over, task by task and deal by deal", async (t) => {
    // The tool goes by the clock, the chain by its blocks.
    while (seconds() < first.claimable + 3) await sleep(500);
    t.match(worked(t, await iexec("task", "show", first.tasks[0]!)), { claimable: true });
    const before = await chain.account(user!.address);
    const claimed = worked(t, await iexec("task", "claim", first.tasks[0]!));
    t.equal((await chain.receipt(claimed.txHash)).status, "0x1");
    t.equal(await chain.taskStatus(first.tasks[0]!), TASK.failed);
    // The price comes back to the requester; the pool's 30 % goes to the kitty.
    const after = await chain.account(user!.address);
    t.same([after.stake - before.stake, before.locked - after.locked], [RLC, (13n * RLC) / 10n]);
    t.match((await iexec("task", "claim", first.tasks[0]!)).error, /status FAILED/);
    const rest = worked(t, await iexec("deal", "claim", first.dealid));
    t.same(Object.values(rest.claimed), first.tasks.slice(1));
    for (const task of first.tasks) t.equal(await chain.taskStatus(task), TASK.failed);
    t.equal((await chain.account(user!.address)).locked, 0n);
    t.match((await iexec("deal", "claim", first.dealid)).error, /Nothing to claim/);
  });

  await t.test("an entry goes to another owner, and a wallet is emptied", async (t) => {
    worked(t, await iexec("workerpool", "transfer", deployed("workerpool"), "--to", other!.address, "--force"));
    t.equal(await chain.ownerOf(WORKERPOOL_REGISTRY, deployed("workerpool")), other!.address);
    const before = await chain.balance(other!.address);
    worked(t, await iexec("wallet", "sweep", "--to", other!.address, "--force"));
    t.equal(await chain.balance(user!.address), 0n);
    t.ok((await chain.balance(other!.address)) > before);
    t.match((await iexec("account", "deposit", "1")).error, /exceed wallet balance/);
  });
});

interface Conf {
  app: Record<string, string>;
  dataset: Record<string, string>;
  order: Record<"apporder" | "datasetorder" | "workerpoolorder" | "requestorder", Record<string, string>>;
}
