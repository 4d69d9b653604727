import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import "../helpers/plain-spawn.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { hubFunction, viewDeal } from "../../node/market-client.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { HUB, TOKEN } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { chainOf, iexecConfig, iexecProject, installIexec, worked } from "../helpers/iexec-cli.ts";
import { deployAll } from "../helpers/iexec-steps.ts";

const VERSION = "9.0.1";
const NRLC_OF_RLC = 10n ** 9n;
const WEI_OF_NRLC = 10n ** 9n;
const ACTIVE = 1;
const FAILED = 4;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const lower = (hex: unknown): Address => String(hex).toLowerCase() as Address;

t.setTimeout(840_000);

const program = (await installIexec(VERSION)) ?? "";
const skip = program === "" && "npm's registry cannot be reached: iexec is not installed";

t.test(`iexec ${VERSION}, unmodified, with RLC as a token`, { skip }, async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  const ports = { rpcPort: 29_000, p2pPort: 29_100 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 0, slotsPerWorker: 0, accounts: 2, ...ports });
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  await untilAgreed(testnet);
  const { client, chainId } = testnet;
  const [user, other] = testnet.accounts;
  // The tool talks to one node, and what it says is checked at another.
  const chain = chainOf(client, chainId);
  mkdirSync(join(datadir, "user"));
  const project = iexecProject(program, join(datadir, "user"));
  const secret = ["--password", "secret"];
  const iexec = (...args: string[]) => project.iexec(...args);
  const signing = (...args: string[]) => project.iexec(...args, ...secret);
  const orders = () => project.read("orders.json")[String(chainId)];
  const deployed = (kind: string): Address => lower(project.read("deployed.json")[kind][String(chainId)]);
  const first: { dealid: Hash; tasks: Hash[]; claimable: number } = { dealid: "0x", tasks: [], claimable: 0 };

  await t.test("wallet and account: import, deposit by approveAndCall, withdraw, show", async (t) => {
    worked(t, await iexec("init", "--skip-wallet"));
    const rpc = testnet.members[1]!.rpcUrl;
    t.equal((await iexecConfig("--rpc", rpc, "--token", "--out", project.folder, "--force")).status, 0);
    worked(t, await iexec("wallet", "import", user!.privateKey, ...secret));
    const before = await chain.balance(user!.address);
    t.equal(BigInt(worked(t, await signing("wallet", "show")).balance.nRLC), before / WEI_OF_NRLC);
    const deposit = worked(t, await signing("account", "deposit", "500", "RLC"));
    const receipt = await chain.receipt(deposit.txHash);
    t.ok(
      receipt.logs.some(({ address }) => address === TOKEN),
      "the token moved it",
    );
    t.same(await chain.account(user!.address), { stake: 500n * NRLC_OF_RLC, locked: 0n });
    worked(t, await signing("account", "withdraw", "100", "RLC"));
    t.same(worked(t, await signing("account", "show")).balance, { stake: `${400n * NRLC_OF_RLC}`, locked: "0" });
    t.same(await chain.account(user!.address), { stake: 400n * NRLC_OF_RLC, locked: 0n });
    t.match((await signing("account", "deposit", "1000000", "RLC")).error, /exceed wallet balance/);
    t.match((await signing("account", "withdraw", "1000000", "RLC")).error, /exceed account balance/);
    t.match((await iexec("account", "withdraw", "1", "--password", "wrong")).error, /[Pp]assword/);
  });

  await t.test("app, dataset, workerpool: deploy, show, count", async (t) => {
    await deployAll(t, { iexec: signing, project, chain, owner: user!.address, chainId });
  });

  await t.test("orders: init, sign, fill, with the tag of an enclave; deal show, task show", async (t) => {
    worked(t, await signing("order", "init"));
    const conf = project.read("iexec.json");
    Object.assign(conf.order.workerpoolorder, { volume: "5", workerpoolprice: `${NRLC_OF_RLC}` });
    const wanted = { app: deployed("app"), workerpool: deployed("workerpool"), workerpoolmaxprice: `${NRLC_OF_RLC}` };
    Object.assign(conf.order.requestorder, { ...wanted, volume: "3" });
    project.write("iexec.json", conf);
    // Its own check of a dataset asks an SMS, which there is not.
    worked(t, await signing("order", "sign", "--skip-preflight-check"));
    for (const name of ["apporder", "workerpoolorder", "requestorder"] as const)
      t.equal(BigInt(orders()[name].tag) & 1n, 1n, `${name} asks for an enclave`);
    const filled = worked(t, await signing("order", "fill"));
    t.equal(filled.volume, "3");
    first.dealid = filled.dealid;
    const { logs } = await chain.receipt(filled.txHash);
    t.equal(logs.filter(({ topics }) => topics[0] === HUB_EVENTS.OrdersMatched!.topic).length, 1);
    const deal = await viewDeal(client, first.dealid);
    t.match(deal, { app: deployed("app"), pool: deployed("workerpool"), priceNrlc: NRLC_OF_RLC, botSize: 3 });
    const locked = (39n * NRLC_OF_RLC) / 10n;
    t.same(await chain.account(user!.address), { stake: 400n * NRLC_OF_RLC - locked, locked });
    const { deal: shown } = worked(t, await iexec("deal", "show", first.dealid));
    t.equal(lower(shown.workerpool.pointer), deployed("workerpool"));
    first.tasks = shown.tasks;
    first.claimable = Number(shown.finalTime);
    t.match((await iexec("task", "show", first.tasks[0]!)).error, /No task found/);
    const initialize = hubFunction("initialize").encode(first.dealid, 0n);
    await transact(client, other!.privateKey, { to: HUB, data: initialize });
    t.match(worked(t, await iexec("task", "show", first.tasks[0]!)).task, { statusName: "ACTIVE" });
    t.equal(await chain.taskStatus(first.tasks[0]!), ACTIVE);
    t.match((await signing("task", "claim", first.tasks[0]!)).error, /before reaching the consensus deadline/);
  });

  await t.test("orders are cancelled once, and fill no more", async (t) => {
    const { workerpoolorder } = orders();
    const hash = chain.orderHash("workerpoolorder", workerpoolorder);
    const cancelled = worked(t, await signing("order", "cancel", "--workerpool", "--force"));
    t.equal((await chain.receipt(cancelled.workerpoolorder.txHash)).status, "0x1");
    t.equal(await chain.consumed(hash), 5, "all of its volume");
    t.match((await signing("order", "cancel", "--workerpool", "--force")).error, /already canceled/);
    worked(t, await signing("order", "sign", "--request"));
    t.match((await signing("order", "fill")).error, /workerpoolorder is fully consumed/);
  });

  await t.test("app run, on a pool of one's own", async (t) => {
    const before = await chain.account(user!.address);
    const run = ["app", "run", "--workerpool", "deployed", "--args", "one two", "--force"];
    const [{ dealid }] = worked(t, await signing(...run)).deals;
    const deal = await viewDeal(client, dealid);
    t.match(deal, { app: deployed("app"), priceNrlc: 0n, botSize: 1 });
    t.equal(JSON.parse(deal.params).iexec_args, "one two");
    t.same(await chain.account(user!.address), before, "at no price nothing is locked");
  });

  await t.test("what nobody computed is claimed when its time is over", async (t) => {
    // The tool goes by the clock, the chain by its blocks.
    while (Date.now() / 1_000 < first.claimable + 3) await sleep(500);
    const claimed = worked(t, await signing("task", "claim", first.tasks[0]!));
    t.equal((await chain.receipt(claimed.txHash)).status, "0x1");
    t.equal(await chain.taskStatus(first.tasks[0]!), FAILED);
    const rest = worked(t, await signing("deal", "claim", first.dealid));
    t.same(Object.values(rest.claimed), first.tasks.slice(1));
    t.equal((await chain.account(user!.address)).locked, 0n);
    t.match((await signing("deal", "claim", first.dealid)).error, /Nothing to claim/);
  });
});
