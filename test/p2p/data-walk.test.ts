import { Worker } from "node:worker_threads";
import { CID } from "multiformats/cid";
import t from "tap";
import { memoryDb } from "../../chain/db.ts";
import { utf8 } from "../../lib/bytes.ts";
import { createTurns } from "../../lib/turns.ts";
import { referencesOf } from "../../node/worker/location.ts";
import { MAX_LINKS, TREE_LIMITS, type TreeLimits } from "../../p2p/data/limits.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { createReader, type TreeNode } from "../../p2p/data/walk.ts";
import { parseReference } from "../../vm/wasm/params.ts";
import { directory, file, leaf, type MadeBlock, names, nest, places, shard, symlink } from "../helpers/trees.ts";

const empty = leaf(new Uint8Array(0));
const text = leaf(utf8("text"));

t.setTimeout(120_000);

/** Reads trees of these blocks, and counts what that takes. */
const readerOf = (blocks: readonly MadeBlock[], limits: Partial<TreeLimits> = {}, signal?: AbortSignal) => {
  const kept = new Map([empty, text, ...blocks].map(({ cid, bytes }) => [cid.toString(), bytes]));
  const counts = { reads: 0, turns: 0 };
  const turns = createTurns();
  const reader = createReader({
    get: (cid: CID) => {
      counts.reads += 1;
      return kept.get(cid.toString());
    },
    has: (cid) => kept.has(cid.toString()),
    limits: { ...TREE_LIMITS, ...limits },
    turns: {
      turn: () => {
        counts.turns += 1;
        return turns.turn();
      },
    },
    signal,
  });
  return { ...reader, counts };
};
const walked = async (nodes: AsyncIterable<TreeNode>): Promise<TreeNode[]> => {
  const found: TreeNode[] = [];
  for await (const node of nodes) found.push(node);
  return found;
};

t.test("a tree that repeats itself ends at its limit, whatever its shape, and the thread is shared", async (t) => {
  const shapes: Record<string, MadeBlock[]> = {
    "shards of shards of nothing": nest(4, shard([]), (below) => shard(places(below))),
    "directories of directories": nest(4, directory(names(100, text)), (below) => directory(names(100, below))),
    "a shard in each entry of a shard": nest(4, shard(places(text, "x")), (below) => shard(places(below, "y"))),
    "one file under many names": [directory(names(2_000, text))],
    "many parts of no bytes under many names": nest(1, file(names(1_000, empty)), (below) =>
      directory(names(100, below)),
    ),
  };
  for (const [shape, blocks] of Object.entries(shapes)) {
    const limits = { entries: 2_000, blocks: 4_000 };
    const { walk, counts } = readerOf(blocks, limits);
    await t.rejects(walked(walk(blocks.at(-1)!.cid)), { code: "data-limit" }, shape);
    t.ok(counts.reads <= limits.blocks, `${shape}: ${counts.reads} blocks read`);
    t.equal(counts.turns, counts.reads, "each in its turn");
  }
  const most = directory(names(MAX_LINKS - 1, text));
  t.equal((await walked(readerOf([most]).walk(most.cid))).length, TREE_LIMITS.entries);
});

t.test("what a file unfolds to is bounded, in bytes and in blocks of none", async (t) => {
  const limits = { bytes: 1_000, blocks: 2_000 };
  const deep = nest(30, leaf(Uint8Array.of(1)), (below) => file([["", below, 1]]));
  deep.push(file(names(900, deep.at(-1)!, 1)));
  const { walk, counts } = readerOf(deep, limits);
  const [root] = await walked(walk(deep.at(-1)!.cid));
  const reading = async () => {
    for await (const _ of (root as TreeNode & { kind: "file" }).read());
  };
  await t.rejects(reading(), { code: "data-limit" });
  t.ok(counts.reads <= 4 * limits.blocks, `${counts.reads} blocks read`);
  const says = file([["", text, 4]], [limits.bytes + 1]);
  await t.rejects(walked(readerOf([says], limits).walk(says.cid)), { code: "data-limit" }, "by what it says");
  const twice = directory(names(300, text));
  await t.rejects(walked(readerOf([twice], limits).walk(twice.cid)), { code: "data-limit" }, "bytes of all files");
  const lies = file([["", text, 4]], [900]);
  const [lying] = await walked(readerOf([lies], limits).walk(lies.cid));
  await t.rejects((lying as TreeNode & { kind: "file" }).read().next(), { code: "data-malformed" });
});

t.test("levels and paths are bounded", async (t) => {
  const wrap = (below: MadeBlock) => directory([["d", below]]);
  const deep = nest(TREE_LIMITS.depth + 1, text, wrap);
  await t.rejects(walked(readerOf(deep).walk(deep.at(-1)!.cid)), { code: "data-limit" });
  t.equal((await walked(readerOf(deep).walk(deep.at(-2)!.cid))).length, TREE_LIMITS.depth + 1);
  await t.rejects(readerOf(deep).resolve(deep.at(-1)!.cid, "d/".repeat(TREE_LIMITS.depth + 1)), { code: "data-limit" });
  const shards = nest(TREE_LIMITS.depth + 1, shard([["00a", text]]), (below) => shard([["00", below]]));
  await t.rejects(walked(readerOf(shards).walk(shards.at(-1)!.cid)), { code: "data-limit" });
  const files = nest(TREE_LIMITS.depth + 2, text, (below) => file([["", below, 4]]));
  const [root] = await walked(readerOf(files).walk(files.at(-1)!.cid));
  await t.rejects((root as TreeNode & { kind: "file" }).read().next(), { code: "data-limit" });
  const long = nest(30, directory(names(400, text)), (below) => directory([["d".repeat(255), below]]));
  await t.rejects(walked(readerOf(long).walk(long.at(-1)!.cid)), { code: "data-limit" }, "bytes of all paths");
  const chain = nest(2 * TREE_LIMITS.depth + 1, text, (below) => file([["", below, 4]]));
  await t.rejects(readerOf(chain).blocks(chain.at(-1)!.cid), { code: "data-limit" }, "a chain of blocks to keep");
  t.equal((await readerOf(chain).blocks(chain.at(-2)!.cid)).length, 2 * TREE_LIMITS.depth + 1);
});

t.test("a block of too many links is refused before they are decoded", async (t) => {
  const many = directory(names(MAX_LINKS + 1, text));
  const sizes = file([], Array(MAX_LINKS + 1).fill(1));
  for (const block of [many, sizes]) {
    const { walk, blocks, counts } = readerOf([block]);
    await t.rejects(walked(walk(block.cid)), { code: "data-limit" });
    await t.rejects(blocks(block.cid), { code: "data-limit" });
    t.equal(counts.reads, 2);
  }
  const few = readerOf([directory(names(9, text))], { blocks: 9 });
  await t.rejects(walked(few.walk(directory(names(9, text)).cid)), { code: "data-limit" });
  t.equal(few.counts.reads, 1, "all that a block links to is counted before any of it is read");
});

t.test("a shard whose links share a place, or have none, is no directory", async (t) => {
  for (const links of [
    [["0a", text] as const, ["0b", text] as const],
    [["0", text] as const, ["0b", text] as const],
    [["8a", text] as const],
    [["za", text] as const],
    [["", text] as const],
  ]) {
    const block = shard(links, 8);
    await t.rejects(walked(readerOf([block]).walk(block.cid)), { code: "data-malformed" }, String(links[0]![0]));
  }
  const within = shard([["00", text]]);
  await t.rejects(walked(readerOf([within]).walk(within.cid)), { code: "data-malformed" }, "a file for a shard");
});

t.test("a symbolic link, odd hashes and bytes that are no protobuf end a walk with the rule", async (t) => {
  const odd: MadeBlock[] = [symlink("/etc/passwd")];
  for (const bytes of [[0xff], [0x12, 0xff, 0xff, 0xff, 0x7f], [0x0b], [0x0a, 2, 8, 0x80], Array(99).fill(0x80)])
    odd.push({ ...symlink(String(bytes)), bytes: Uint8Array.from(bytes) });
  // A CID of the identity function holds its bytes itself; another names a hash that is not made here.
  for (const hash of [0x00, 0xb2_20]) {
    const { cid } = text;
    const multihash = {
      ...cid.multihash,
      code: hash,
      bytes: Uint8Array.from([hash & 0x7f, 32, ...cid.multihash.digest]),
    };
    const bytes = Uint8Array.from([1, 0x55, ...(hash > 0x7f ? [0xa0, 0xe4, 2, 32] : [0, 32]), ...cid.multihash.digest]);
    odd.push(directory([["x", { cid: { ...cid, multihash, bytes } as unknown as CID, bytes: text.bytes }]]));
  }
  for (const block of odd) {
    const { walk, blocks } = readerOf([block]);
    await t.rejects(walked(walk(block.cid)), { code: "data-malformed" });
    await t.rejects(blocks(block.cid), { code: "data-malformed" });
  }
});

t.test("a walk stops when nobody wants it any more", async (t) => {
  const gone = new AbortController();
  const blocks = nest(3, directory(names(100, text)), (below) => directory(names(50, below)));
  const { walk, counts } = readerOf(blocks, {}, gone.signal);
  let seen = 0;
  const walking = async () => {
    for await (const _ of walk(blocks.at(-1)!.cid)) if (++seen === 10) gone.abort(new Error("gone"));
  };
  await t.rejects(walking(), { message: "gone" });
  t.equal(counts.reads, 10);
});

t.test("others run while a tree is walked over", async (t) => {
  const store = await openDataStore(memoryDb());
  const blocks = nest(1, directory(names(90, text)), (below) => directory(names(30, below)));
  for (const { cid, bytes } of [...blocks, text]) await store.blocks.put(cid, bytes);
  let rounds = 0;
  const count = (): void => {
    rounds += 1;
    next = setImmediate(count);
  };
  let next = setImmediate(count);
  const lists = await Promise.all(Array.from({ length: 4 }, () => store.listTree(blocks.at(-1)!.cid.toString())));
  clearImmediate(next);
  t.equal(lists[3]!.length, 1 + 30 + 2_700);
  t.ok(rounds >= 3, `${rounds} rounds of the event loop`);
});

t.test("two blocks that stand for 900 million entries cost a small heap nothing", async (t) => {
  const thread = new Worker(new URL("../helpers/walk-thread.ts", import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
  const codes = await new Promise((resolve, reject) => thread.once("message", resolve).once("error", reject));
  await thread.terminate();
  t.same(codes, ["data-limit", "data-limit", "data-limit", "data-limit"]);
});

t.test("a name that is no CID is refused before it is decoded, which takes the square of its length", async (t) => {
  const store = await openDataStore(memoryDb());
  for (const length of [65, 1_000_000]) await t.rejects(store.open(`z${"y".repeat(length)}`), { code: "data-cid" });
  t.throws(() => parseReference(`/ipfs/z${"y".repeat(65_000)}`), { name: "WasmRefused" });
  const long = Uint8Array.from([0xa5, 0x03, 0x80, 0x80, 0x04, ...new Uint8Array(65_536).fill(7)]);
  t.throws(() => referencesOf(long), { name: "WasmRefused" });
  const huge = {
    ...text,
    cid: CID.createV1(0x70, { ...text.cid.multihash, code: 0, bytes: new Uint8Array(1_000_000) }),
  };
  const error = await store.open(huge.cid as unknown as string).catch((thrown: Error) => thrown);
  t.match(error, { code: "data-cid" });
  t.ok((error as Error).message.length < 200, "and is not written out");
});
