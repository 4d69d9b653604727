import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { pino } from "pino";
import { type Database, memoryDb, openDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import { createDisk, freeBytesOf, isDiskFull } from "../../lib/disk.ts";
import { validatorKeys } from "../../node/folder.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createWorker, type WorkerStatus } from "../../node/worker/worker.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { rpcClient } from "../../rpc/client.ts";
import { memoryProtection, silent, testGenesis } from "../helpers/chain.ts";
import { startWatched } from "../helpers/memory.ts";
import { startRpc } from "../helpers/rpc.ts";
import { smallDisk } from "../helpers/small-disk.ts";

t.setTimeout(240_000);

const disk = smallDisk(24);
const folder = disk?.folder ?? "";
t.teardown(() => disk?.remove());
const skip = !disk && "this user may not mount a disk";

const startDev = async (t: { teardown(work: () => Promise<void>): void }, ...more: string[]) => {
  const datadir = join(folder, "node");
  const node = startWatched(["dev", "--port", "0", "--datadir", datadir, "--json", ...more], 256);
  t.teardown(node.stop);
  for (let i = 0; i < 1_200 && !node.output().includes("accounts") && node.errors() === ""; i++) await sleep(50);
  const { rpcUrl } = JSON.parse(node.output()) as { rpcUrl: string };
  return { ...node, rpcUrl, client: rpcClient(rpcUrl) };
};
const heightOf = async (node: { client: ReturnType<typeof rpcClient> }): Promise<number> =>
  Number(await node.client.call("eth_blockNumber"));
const untilAbove = async (node: { client: ReturnType<typeof rpcClient> }, height: number): Promise<void> => {
  for (let i = 0; i < 1_200 && (await heightOf(node)) <= height; i++) await sleep(50);
};

t.test("a database that takes no more ends the engine once, and opens again at its last whole batch", async (t) => {
  const { genesis, keys } = testGenesis(1);
  let slot = 0;
  let isFull = false;
  const now = () => timestampOf(genesis, slot) * 1000;
  const memory = memoryDb();
  const db: Database = {
    ...memory,
    batch: (ops, sync) =>
      isFull ? Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" })) : memory.batch(ops, sync),
  };
  const open = async () => {
    const engine = await createEngine({ db, genesis, now, log: silent });
    const publish = { publishBlock: () => undefined, publishVote: () => undefined };
    const signers = [localSigner(keys[0]!)];
    return {
      engine,
      producer: createProducer({ engine, signers, protection: memoryProtection(), ...publish, log: silent }),
    };
  };
  const { engine, producer } = await open();
  const faults: Error[] = [];
  engine.on("fatal", (error) => faults.push(error));
  await producer.onSlot(++slot);
  const before = engine.head().hash;
  isFull = true;
  for (let i = 0; i < 2; i++) await producer.onSlot(++slot).catch(() => undefined);
  t.equal(faults.length, 1);
  t.ok(isDiskFull(faults[0]));
  await engine.stop();
  isFull = false;
  const again = await open();
  t.equal(again.engine.head().hash, before);
  await again.producer.onSlot(++slot);
  t.equal(again.engine.head().header.number, 2);
  await again.engine.stop();
});

t.test("below the reserve a node takes no data, and its chain goes on", { skip }, async (t) => {
  const node = await startDev(t, "--disk-reserve", "8");
  disk!.fill(6 * 1024 * 1024);
  const upload = () =>
    fetch(`${node.rpcUrl}/data`, {
      method: "POST",
      headers: { "content-type": "application/octet-stream" },
      body: new Uint8Array(1024),
    });
  const refused = await upload();
  t.equal(refused.status, 507);
  t.match(await refused.text(), /disk-reserve.*MiB left, and keeps 8 MiB/);
  const before = await heightOf(node);
  await untilAbove(node, before + 1);
  t.ok((await heightOf(node)) > before + 1, "blocks go on");
  disk!.free();
  const { status } = await upload();
  t.equal(status, 200, "and there is room again");
  await node.stop();
});

t.test("an upload under way ends above the reserve, whatever the database writes meanwhile", { skip }, async (t) => {
  const own = smallDisk(224)!;
  const free = freeBytesOf(own.folder);
  const db = await openDb(join(own.folder, "data"));
  const reserveMib = 64;
  const store = await openDataStore(db, { disk: createDisk(free, reserveMib) });
  let least = free();
  const timer = setInterval(() => {
    least = Math.min(least, free());
  }, 1);
  let pieces = 0;
  const endless = async function* () {
    for (; ; pieces++) yield randomBytes(1024 * 1024);
  };
  await t.rejects(store.importFile(endless(), { holder: "test" }), { code: "disk-reserve" });
  await sleep(1_000);
  clearInterval(timer);
  t.ok(pieces > 30, `${pieces} MiB were taken`);
  t.ok(least >= reserveMib * 1024 * 1024, `${Math.floor(least / 1024 / 1024)} MiB were always left`);
  await db.close();
  own.remove();
});

t.test(
  "a node whose disk is full stops with its name, and goes on where it was once there is room",
  { skip },
  async (t) => {
    const node = await startDev(t, "--disk-reserve", "0");
    await untilAbove(node, 1);
    const before = await heightOf(node);
    disk!.fill(0);
    t.equal(await node.ended, 1);
    t.match(node.errors(), `${join(folder, "node")}`);
    t.match(node.errors(), /the disk of \S+ is full: make room on it, then start again/);

    const again = startWatched(["dev", "--port", "0", "--datadir", join(folder, "node")], 256);
    t.equal(await again.ended, 1, "it does not start on a full disk");
    t.match(again.errors(), /is full: make room on it/);

    disk!.free();
    const later = await startDev(t, "--disk-reserve", "0");
    const after = await heightOf(later);
    t.ok(after >= before, `block ${after}, ${before} was seen before`);
    await untilAbove(later, after);
    t.ok((await heightOf(later)) > after, "and blocks go on");
    await later.stop();
    t.ok(readdirSync(join(folder, "node")).includes("chain"));
  },
);

t.test("a worker calls a full disk its own fault, once, and says why it starts nothing", { skip }, async (t) => {
  const node = await startRpc();
  t.teardown(() => node.stop());
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const datadir = join(folder, "worker");
  const options = { privateKey: validatorKeys().secp, node: node.url, datadir, policy: defaultPolicy(1), log };
  const worker = createWorker({ ...options, diskReserveMib: 1_000 });
  const status = () => JSON.parse(readFileSync(join(datadir, "status.json"), "utf8")) as WorkerStatus;
  worker.start();
  for (let i = 0; i < 600 && !readdirSync(datadir).includes("status.json"); i++) await sleep(50);
  t.match(status().paused, /keeps 1000 MiB for what cannot wait/);
  disk!.fill(0);
  for (let i = 0; i < 600 && lines.length === 0; i++) await sleep(50);
  const { seenBlock, writtenAt } = status();
  await sleep(3_000);
  await worker.stop();
  t.equal(lines.length, 1, lines.join(""));
  t.match(lines[0], `the disk of ${datadir} is full: make room on it`);
  t.match(status(), { seenBlock, writtenAt }, "the status before is whole");
  disk!.free();
});
