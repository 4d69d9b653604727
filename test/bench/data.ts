// Moves data from a stream through the stores of two nodes, and measures the processor time of each part beside SHA-256 of the
// same bytes, which every block costs at least once. Usage: node test/bench/data.ts [MiB] [rounds]
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDb } from "../../chain/db.ts";
import { utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { createExchange } from "../../p2p/data/exchange.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createHost } from "../../p2p/host.ts";
import { silent } from "../helpers/chain.ts";

const SIZE = Number(process.argv[2] ?? 100);
const ROUNDS = Number(process.argv[3] ?? 3);
const MIB = 1024 * 1024;
const genesisHash = keccak256(utf8("bench"));
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const folders: string[] = [];

async function* noise(seed: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < SIZE; i++) {
    const piece = Buffer.alloc(MIB, i);
    piece.writeUInt32LE(seed * 65_536 + i, 0);
    yield piece;
  }
}
const start = async () => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-bench-"));
  folders.push(datadir);
  const host = await createHost({ datadir, listen: ["/ip4/127.0.0.1/tcp/0"], genesisHash });
  await host.start();
  const db = await openDb(join(datadir, "data"));
  const store = await openDataStore(db);
  const exchange = createExchange({ host, genesisHash, store, log: silent });
  await exchange.start();
  return { host, db, store, exchange };
};
const times = new Map<string, number[]>();
const measure = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
  const before = process.cpuUsage();
  const result = await work();
  const { user, system } = process.cpuUsage(before);
  times.set(what, [...(times.get(what) ?? []), (user + system) / 1e6]);
  return result;
};

const [from, to] = [await start(), await start()];
await from.host.dial(to.host.getMultiaddrs());
for (let round = 0; round < ROUNDS; round++) {
  await measure("SHA-256 alone", async () => {
    const hash = createHash("sha256");
    for await (const piece of noise(round)) hash.update(piece);
  });
  const { cid } = await measure("into a store", () => from.store.importFile(noise(round), { holder: "bench" }));
  await measure("from node to node, both ends", () => to.exchange.fetch(cid));
  await measure("out of a store", async () => {
    const file = await to.store.open(cid);
    if (file.kind === "file") for await (const _ of file.read());
  });
}
const hashing = median(times.get("SHA-256 alone")!);
console.log(`${SIZE} MiB, medians of ${ROUNDS} rounds, processor time:`);
for (const [what, seconds] of times) {
  const middle = median(seconds);
  console.log(
    `  ${what}: ${middle.toFixed(2)} s, ${(SIZE / middle).toFixed(0)} MiB a second, ${(middle / hashing).toFixed(1)} times SHA-256`,
  );
}
for (const { host, db, exchange } of [from, to]) {
  await exchange.stop();
  await host.stop();
  await db.close();
}
for (const folder of folders) rmSync(folder, { recursive: true, force: true });
