import { createHash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import t from "tap";
import "../helpers/plain-spawn.ts";
import { uploadFile } from "../../node/data-client.ts";
import { writeNodeFolder } from "../../node/folder.ts";
import type { NodeInfo } from "../../node/node.ts";
import { testGenesis } from "../helpers/chain.ts";
import { canWatchMemory, startWatched } from "../helpers/memory.ts";

t.setTimeout(280_000);

const MIB = 1024 * 1024;
const SIZE = 150 * MIB;
const HEAP_MIB = 64;
/** What a transfer may hold beyond a small one: pieces under way, and what the collector has not come to yet. */
const HELD = 96 * MIB;
const WARM_UP = 12 * MIB;

/** Yields bytes of which no two chunks are alike. */
async function* noise(size: number, seed: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < size; at += MIB) {
    const piece = Buffer.alloc(Math.min(MIB, size - at), seed);
    for (let i = 0; i + 4 <= piece.length; i += 32) piece.writeUInt32LE((at + i) >>> 0, i);
    yield piece;
  }
}
const hashOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
};
const mib = (bytes: number): string => `${Math.round(bytes / MIB)} MiB`;

t.test(
  "150 MiB go from a file through two nodes into a file, and no process holds them in memory",
  { skip: !canWatchMemory && "only Linux tells a process's memory" },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "rolec-memory-"));
    t.teardown(() => rmSync(folder, { recursive: true, force: true }));
    const { document } = testGenesis(1);
    const startNode = async (name: string, ...more: string[]) => {
      const datadir = join(folder, name);
      writeNodeFolder(datadir, document);
      const args = ["node", "--datadir", datadir, "--port", "0", "--p2p-port", "0", "--log-level", "warn", ...more];
      const node = startWatched(args, HEAP_MIB);
      t.teardown(node.stop);
      await node.untilFile(join(datadir, "node.json"));
      const info = JSON.parse(readFileSync(join(datadir, "node.json"), "utf8")) as NodeInfo;
      return { ...node, info };
    };
    const a = await startNode("a");
    const b = await startNode("b", "--bootstrap", a.info.p2p[0]!);

    // Once through with little, so that what is measured is the size alone.
    const small = await uploadFile(a.info.rpcUrl, noise(WARM_UP, 1));
    t.equal((await fetch(`${b.info.rpcUrl}/ipfs/${small}`)).status, 200);
    const before = { a: a.peak(), b: b.peak() };

    const source = join(folder, "source");
    mkdirSync(source);
    await pipeline(Readable.from(noise(SIZE, 2)), createWriteStream(join(source, "large")));
    writeFileSync(join(source, "note"), "beside it");
    const run = async (...args: string[]) => {
      const since = Date.now();
      const command = startWatched(args, HEAP_MIB);
      t.equal(await command.ended, 0, command.errors());
      const seconds = (Date.now() - since) / 1000;
      return {
        output: command.output(),
        errors: command.errors(),
        peak: command.peak(),
        speed: `${(SIZE / MIB / seconds).toFixed(0)} MiB/s`,
      };
    };
    const idle = (await run("--version")).peak;
    const added = await run("data", "add", source, "--node", a.info.rpcUrl, "--json");
    const { cid } = JSON.parse(added.output) as { cid: string };
    const uploading = a.peak();
    const got = await run("data", "get", cid, "--out", join(folder, "got"), "--node", b.info.rpcUrl, "--json");
    const [serving, fetching] = [a.peak(), b.peak()];
    t.equal(await hashOf(join(folder, "got", "large")), await hashOf(join(source, "large")));
    t.equal(readFileSync(join(folder, "got", "note"), "utf8"), "beside it");
    const zip = await fetch(`${b.info.rpcUrl}/ipfs/${cid}`);
    let zipped = 0;
    for await (const piece of zip.body!) zipped += piece.length;
    t.equal(zipped, Number(zip.headers.get("content-length")));
    const zipping = b.peak();

    const held = {
      "node that takes an upload": uploading - before.a,
      "node that serves another": serving - before.a,
      "node that fetches and answers": fetching - before.b,
      "node that zips": zipping - before.b,
      "command that adds": added.peak - idle,
      "command that gets": got.peak - idle,
    };
    t.equal(added.errors + got.errors, "", "nothing is said beside the answer");
    for (const [who, bytes] of Object.entries(held)) t.ok(bytes < HELD, `${who}: ${mib(bytes)} more than with little`);
    t.comment(`before: ${mib(before.a)}, ${mib(before.b)}, ${mib(idle)}; added at ${added.speed}, got at ${got.speed}`);
    for (const [who, bytes] of Object.entries(held)) t.comment(`${who}: ${mib(bytes)}`);
  },
);
