import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CID } from "multiformats/cid";
import { create as digest } from "multiformats/hashes/digest";
import t from "tap";
import { NRLC } from "../../lib/units.ts";
import "../helpers/plain-spawn.ts";
import type { Address } from "../../lib/bytes.ts";
import { uploadData } from "../../node/data-client.ts";
import { deployApp, outcomesOf, submitJob } from "../../node/jobs.ts";
import { hubStakeOf, slotsOfWorker } from "../../node/market-client.ts";
import { followJob } from "../../node/progress.ts";
import { startTestnet } from "../../node/testnet.ts";
import type { WorkerStatus } from "../../node/worker/worker.ts";
import { RAW, SHA2_256 } from "../../p2p/data/cid.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { MARKET_EVENTS } from "../../vm/market/abi.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { STATUS } from "../../vm/wasm/status.ts";

t.setTimeout(300_000);

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const app = (name: string): Buffer => readFileSync(join(ROOT, "apps", "option-pricing", name));
const book = app("positions.csv");
const shaOf = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");
const WORKERS = 4;
const SLOTS = 4;
/** Wei that the gas of a worker's few messages comes to, at most. */
const MESSAGES = 10n ** 16n;

/** What a worker has in its slots and in the hub, in wei. */
const worthOf = async (client: RpcClient, worker: Address): Promise<bigint> => {
  const slots = await slotsOfWorker(client, worker);
  const staked = slots.reduce((sum, { stakeWei }) => sum + stakeWei, 0n);
  return staked + (await hubStakeOf(client, worker)) * NRLC;
};

t.test("inputs of hostile jobs cost workers nothing, and keep no job from them", async (t) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-e2e-"));
  let asked = 0;
  const drips = new Set<ServerResponse>();
  const web = createServer((request, response) => {
    if (request.url === "/fickle/positions.csv") return void response.end(asked++ === 0 ? "other bytes" : book);
    if (request.url === "/liar/positions.csv") return void response.end("other bytes");
    drips.add(response);
    response.on("close", () => drips.delete(response));
  });
  const timer = setInterval(() => {
    for (const response of drips) response.write("x");
  }, 500);
  await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
  for (let i = 1; i <= WORKERS; i++) {
    mkdirSync(join(datadir, `worker-${i}`), { recursive: true });
    // Stands for a server on the internet.
    writeFileSync(join(datadir, `worker-${i}`, "policy.json"), JSON.stringify({ allowPrivateUrls: true }));
  }
  const ports = { rpcPort: 20_345, p2pPort: 20_385 };
  const network = { datadir, validators: 1, workers: WORKERS, slotsPerWorker: SLOTS, accounts: 6, ...ports };
  const testnet = await startTestnet(network);
  t.teardown(async () => {
    clearInterval(timer);
    web.closeAllConnections();
    web.close();
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  const node = testnet.members[0]!.rpcUrl;
  const client = rpcClient(node);
  const workers = testnet.members.filter(({ role }) => role === "worker");
  const worths = () => Promise.all(workers.map(({ address }) => worthOf(client, address)));
  const before = await worths();
  const deployed = await deployApp(
    client,
    node,
    testnet.accounts[0]!.privateKey,
    app("option-pricing.wasm"),
    "option-pricing",
  );
  const folder = await uploadData(node, [["positions.csv", book]]);
  const dead = CID.createV1(RAW, digest(SHA2_256, createHash("sha256").update("nobody has this").digest()));
  const url = (path: string, content: Uint8Array | string) =>
    `http://127.0.0.1:${(web.address() as AddressInfo).port}${path}/positions.csv#sha256=${shaOf(content)}`;
  const run = async (input: string, account: number) => {
    const { dealid } = await submitJob(client, testnet.accounts[account]!.privateKey, {
      app: deployed.app,
      params: JSON.stringify({ iexec_args: "--paths 2000", iexec_input_files: [input] }),
      tasks: 1,
      gasLimit: 500_000_000,
      trust: 4,
    });
    const [lot] = await followJob(client, dealid, () => {}, 120_000);
    return { lot: lot!, outcomes: await outcomesOf(client, dealid) };
  };

  const named = {
    "a server that drips": url("/drip", "never seen"),
    "a server that always gives other bytes": url("/liar", "never seen either"),
    "a folder": `/ipfs/${folder}?filename=positions.csv`,
    "a CID that nobody has": `/ipfs/${dead}?filename=positions.csv`,
  };
  const [fickle, ...hostile] = await Promise.all([
    run(url("/fickle", book), 0),
    ...Object.values(named).map((input, i) => run(input, i + 1)),
  ]);
  t.equal(fickle!.lot.status, LOT_STATUS.completed, "who got other bytes asked again");
  t.same(
    fickle!.lot.seats.map(({ status }) => status),
    fickle!.lot.seats.map(() => SEAT.proved),
  );
  for (const [i, what] of Object.keys(named).entries()) {
    t.equal(hostile[i]!.lot.status, LOT_STATUS.failed, what);
    t.ok(
      hostile[i]!.lot.seats.every(({ status }) => status === SEAT.declined),
      `${what}: declined in time by all`,
    );
  }

  const good = await run(`/ipfs/${await uploadData(node, book)}?filename=positions.csv`, 5);
  t.match(good.outcomes, [{ receipt: { status: STATUS.ok } }], "and they are free for the next job");
  const faults = await client.call("eth_getLogs", [
    { address: MARKET, fromBlock: "0x1", toBlock: "latest", topics: [MARKET_EVENTS.SlotFault!.topic] },
  ]);
  t.same(faults, [], "nobody is at fault");
  const after = await worths();
  for (const [i, { address, datadir: place }] of workers.entries()) {
    t.equal((await slotsOfWorker(client, address)).length, SLOTS);
    t.ok(after[i]! >= before[i]! - MESSAGES, "it has what it began with");
    const status = JSON.parse(readFileSync(join(place, "status.json"), "utf8")) as WorkerStatus;
    t.same(status.computing, [], "and no place is kept by what does not come");
  }
  t.equal(drips.size, 0, "the dripping server is left");
});
