import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { RLC } from "../../lib/units.ts";
import "../helpers/plain-spawn.ts";
import { readFileSync } from "node:fs";
import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { publicPool } from "../../node/iexec-files.ts";
import { deployApp } from "../../node/jobs.ts";
import { hubFunction, viewDeal } from "../../node/market-client.ts";
import { findOrder } from "../../node/orders.ts";
import { createPool } from "../../node/pool/owner.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import { HUB } from "../../vm/addresses.ts";

t.setTimeout(280_000);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Runs a command of rolec to its end. */
const rolec = (...args: string[]): Promise<{ code: number; out: string; error: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, "node/cli/main.ts"), ...args], { timeout: 60_000 }, (error, out, stderr) =>
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, error: stderr }),
    );
  });

t.test("orders placed at one node are listed, matched and cancelled at another", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-orders-"));
  const ports = { rpcPort: 23_545, p2pPort: 23_745 };
  const testnet = await startTestnet({ datadir, validators: 2, workers: 1, slotsPerWorker: 2, accounts: 4, ...ports });
  t.teardown(async () => {
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  const { client, accounts, chainId } = testnet;
  const [here, there] = testnet.members.map(({ rpcUrl }) => rpcUrl) as [string, string];
  const [developer, owner, requester, anybody] = accounts.map(({ privateKey }) => privateKey) as [
    Hash,
    Hash,
    Hash,
    Hash,
  ];
  await untilAgreed(testnet);
  for (const key of [owner, requester])
    await transact(client, key, { to: HUB, data: hubFunction("deposit").encode(), value: RLC });
  const module = readFileSync(join(ROOT, "apps", "option-pricing", "option-pricing.wasm"));
  const { app } = await deployApp(client, here, developer, module, "option-pricing");
  const pool = await createPool(client, owner, "classic", { stakePercent: 30n, ownerPercent: 10n });

  const place = async (...args: string[]): Promise<Hash> => {
    const placed = await rolec("order", "place", ...args, "--node", here, "--json");
    t.equal(placed.code, 0, placed.error);
    return JSON.parse(placed.out).hash;
  };
  /** Lists at the other node until there are so many. */
  const listed = async (kind: string, count: number): Promise<{ hash: Hash; remaining: string }[]> => {
    for (let i = 0; ; i++) {
      const { out } = await rolec("order", "list", kind, "--node", there, "--json");
      const found = JSON.parse(out);
      if (found.length === count || i > 40) return found;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  };
  await place("app", app, "--key", developer, "--price", "0.001", "--volume", "10");
  const dear = await place("workerpool", pool, "--key", owner, "--price", "0.02", "--volume", "10", "--trust", "5");
  const cheap = await place("workerpool", pool, "--key", owner, "--price", "0.01", "--volume", "2", "--trust", "5");
  t.strictSame(
    (await listed("workerpool", 2)).map(({ hash }) => hash),
    [cheap, dear],
    "the cheaper comes first",
  );
  t.equal((await listed("app", 1)).length, 1);
  const prices = ["--price", "0.03", "--app-price", "0.001"];
  const ask = [app, "--key", requester, ...prices, "--for-pool", pool, "--args", "--paths 2000"];
  const request = await place("request", ...ask, "--volume", "3", "--trust", "2");
  t.equal((await listed("request", 1))[0]!.hash, request);
  const text = (await rolec("order", "list", "request", "--node", there)).out;
  t.match(text, /order\s+app\s+RLC a task\s+tasks left\s+category\s+trust/);
  t.match(text, /0\.03\s+3\s+0\s+2/);

  const match = () =>
    rolec("order", "match", "--once", "--key", anybody, "--node", there, "--datadir", join(datadir, "matcher"));
  const matched = await match();
  t.equal(matched.code, 0, matched.error);
  const deals = [...matched.out.matchAll(/^deal (0x[0-9a-f]{64}): (\d) tasks? at ([\d.]+) RLC/gm)];
  t.strictSame(
    deals.map(([, , volume, price]) => [volume, price]),
    [
      ["2", "0.011"],
      ["1", "0.021"],
    ],
    "the cheapest offer first, then the next",
  );
  const deal = await viewDeal(client, deals[0]![1] as Hash);
  t.equal(deal.pool, pool);
  t.equal(deal.requester, accounts[2]!.address);
  t.equal(deal.params, '{"iexec_args":"--paths 2000"}');
  t.equal((await listed("request", 0)).length, 0, "what is used up is gone");
  t.equal((await listed("workerpool", 1))[0]!.remaining, "9");
  t.match((await match()).out, /no orders cross/);

  // The public pool stands by any request at its price: nobody has to place an order for it.
  const publicPrice = ["--price", "0.2", "--app-price", "0.001"];
  const open = await place("request", app, "--key", requester, ...publicPrice, "--volume", "1", "--trust", "1");
  const asked = await findOrder(client, open);
  t.equal(asked?.signed.kind === "request" && asked.signed.order.workerpool, await publicPool(client));
  await place("request", app, "--key", requester, "--price", "0.001", "--app-price", "0.001", "--any-pool");
  await listed("request", 2);
  const second = await match();
  const [, id] = /^deal (0x[0-9a-f]{64}): 1 task/m.exec(second.out) ?? [];
  t.ok(id, second.out);
  t.equal((await listed("request", 1)).length, 1, "who pays too little waits");

  const cancel = (key: Hash) => rolec("order", "cancel", dear, "--key", key, "--node", there);
  t.match((await cancel(anybody)).error, /signed this order, not/);
  t.match((await cancel(owner)).out, /^cancelled by 0x/);
  t.equal((await listed("workerpool", 0)).length, 0);
  t.match((await cancel(owner)).error, /does not stand/);
  t.match((await rolec("order", "show", dear, "--node", here)).error, /does not stand/);

  // A file of iExec's tools.
  const file = join(datadir, "orders.json");
  const printed = await rolec("pool", "order", pool, "--key", owner, "--price", "0.05", "--node", here);
  writeFileSync(file, printed.out);
  t.match((await rolec("order", "submit", file, "--node", here)).out, /^workerpool order 0x[0-9a-f]{64} stands/);
  t.equal((await listed("workerpool", 1)).length, 1);
  const forged = JSON.parse(printed.out);
  forged[chainId].workerpoolorder.workerpoolprice = "1";
  writeFileSync(file, JSON.stringify(forged));
  t.match((await rolec("order", "submit", file, "--node", here)).error, /has not signed it/);
  writeFileSync(file, JSON.stringify({ [chainId]: { apporder: { app: 7 } } }));
  t.match((await rolec("order", "submit", file, "--node", here)).error, /"app" of the order must be an address/);
  t.match((await rolec("order", "submit", join(datadir, "none.json"), "--node", here)).error, /does not exist/);
  t.match((await rolec("order", "place", "ap", app, "--key", owner)).error, /Allowed choices/);
  const unknown: Address = ZERO_ADDRESS;
  t.match((await rolec("order", "place", "app", unknown, "--key", owner, "--node", here)).error, /no such entry/);
  const wrong = { code: -32602, message: /unknown field price/ };
  await t.rejects(client.call("rolec_orders", [{ kind: "app", price: 1 }]), wrong);
  await t.rejects(client.call("rolec_orders", [{ kind: "apps" }]), { message: /expected one of app, dataset/ });
  await t.rejects(client.call("rolec_orders", [{ kind: "app", limit: 101 }]), { message: /1 to 100/ });
  await t.rejects(client.call("rolec_placeOrder", ["app", { app }]), { code: -32602, message: /"appprice"/ });
});
