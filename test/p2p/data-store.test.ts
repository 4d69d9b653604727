import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { memoryDb, type Op, openDb } from "../../chain/db.ts";
import { equalBytes, utf8 } from "../../lib/bytes.ts";
import { createDisk } from "../../lib/disk.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { outputRoot } from "../../vm/wasm/output.ts";

const MIB = 1024 * 1024;
const noise = (size: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  let x = seed * 2_654_435_761 + 1;
  for (let i = 0; i < size; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
};

t.test("trees have the CIDs of the profile unixfs-v1-2025", async (t) => {
  const store = await openDataStore(memoryDb());
  const empty = await store.importTree([
    { path: "out" },
    { path: "stderr", bytes: new Uint8Array(0) },
    { path: "stdout", bytes: new Uint8Array(0) },
  ]);
  t.equal(empty.cid, "bafybeigroawwmgibzntuqeclonl7syqsvcbez3i77qhqw6tusrrzosewby");
  t.equal(empty.root, "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e");
  const run = await store.importTree([
    { path: "out/r.csv", bytes: utf8("1\n") },
    { path: "stderr", bytes: new Uint8Array(0) },
    { path: "stdout", bytes: utf8("hi\n") },
  ]);
  t.equal(run.root, "0x5d6fcc974f720d342288064ebe0c56e06c5a65961db98c3756fc6b0d8bb2aa07");
  const files = new Map([
    ["out/big", noise(3 * MIB + 7, 1)],
    ["stderr", new Uint8Array(0)],
    ["stdout", utf8("hi\n")],
  ]);
  const made = await outputRoot(files);
  t.equal((await store.importTree([...files].map(([path, bytes]) => ({ path, bytes })))).cid, made.cid);
  const other = await openDataStore(memoryDb());
  t.same(await other.importBlocks(made.cid, made.blocks), { cid: made.cid, root: made.root }, "a task's own blocks");
});

t.test("what was imported is listed and read again", async (t) => {
  const store = await openDataStore(memoryDb());
  const big = noise(2 * MIB + 1, 2);
  const { cid } = await store.importTree([
    { path: "a/b/.hidden", bytes: utf8("x") },
    { path: "a/big", bytes: big },
    { path: "empty" },
  ]);
  t.same(
    (await store.listTree(cid)).map(({ path, kind, size }) => [path, kind, size]),
    [
      ["", "directory", 0],
      ["a", "directory", 0],
      ["a/b", "directory", 0],
      ["a/b/.hidden", "file", 1],
      ["a/big", "file", big.length],
      ["empty", "directory", 0],
    ],
  );
  t.ok(equalBytes(await store.readFile(cid, "a/big"), big));
  const exported = new Map<string, Uint8Array | undefined>();
  for await (const { path, bytes } of store.exportTree(cid)) exported.set(path, bytes);
  t.same(exported.get("a/b/.hidden"), utf8("x"));
  const file = await store.importFile(big);
  t.ok(equalBytes(await store.readFile(file.cid), big));
  t.same(
    (await store.listTree(file.cid)).map(({ path, size }) => [path, size]),
    [["", big.length]],
  );
  await t.rejects(store.readFile(cid, "a/nothing"), { code: "data-missing" });
  await t.rejects(store.readFile(cid), { code: "data-malformed" });
  await t.rejects(store.readFile("/ipfs/nonsense"), { code: "data-cid" });
});

t.test("a directory of many entries is sharded, and read again", async (t) => {
  const store = await openDataStore(memoryDb());
  const entries = Array.from({ length: 6_000 }, (_, i) => ({ path: `file number ${i}`, bytes: utf8(String(i % 5)) }));
  const { cid } = await store.importTree(entries);
  const listed = await store.listTree(cid);
  t.equal(listed.length, 6_001);
  t.same(
    listed
      .slice(1)
      .map(({ path }) => path)
      .sort(),
    entries.map(({ path }) => path).sort(),
  );
  t.same(await store.readFile(cid, "file number 4321"), utf8("1"));
});

t.test("names that would leave the directory or clash are refused", async (t) => {
  const store = await openDataStore(memoryDb());
  for (const path of ["../x", "/x", "a//b", "", ".", "a/../b", "a\\b", "a\0", `${"n".repeat(256)}`])
    await t.rejects(store.importTree([{ path, bytes: utf8("x") }]), { code: "data-path" }, JSON.stringify(path));
  const x = utf8("x");
  await t.rejects(
    store.importTree([
      { path: "a", bytes: x },
      { path: "a/b", bytes: x },
    ]),
    { code: "data-path" },
  );
  await t.rejects(
    store.importTree([
      { path: "a/b", bytes: x },
      { path: "a", bytes: x },
    ]),
    { code: "data-path" },
  );
  await t.rejects(
    store.importTree([
      { path: "a", bytes: x },
      { path: "a", bytes: x },
    ]),
    { code: "data-path" },
  );
});

t.test("a tree over a limit is refused", async (t) => {
  const store = await openDataStore(memoryDb(), { limits: { bytes: 10, entries: 3, depth: 2 } });
  await t.rejects(store.importFile(new Uint8Array(11)), { code: "data-limit" });
  await t.rejects(store.importTree([{ path: "a/b/c", bytes: utf8("x") }]), { code: "data-limit" });
  await t.rejects(store.importTree("abcd".split("").map((path) => ({ path }))), { code: "data-limit" });
});

t.test("a block that is not what its CID says is refused", async (t) => {
  const store = await openDataStore(memoryDb());
  const { cid, blocks } = await outputRoot(
    new Map([
      ["stdout", utf8("hi\n")],
      ["stderr", utf8("")],
      ["out/", utf8("")],
    ]),
  );
  const spoilt = blocks.map((block, i) => (i === 0 ? { ...block, bytes: utf8("ho\n") } : block));
  await t.rejects(store.importBlocks(cid, spoilt), { code: "data-hash" });
  await t.rejects(store.importBlocks(cid, []), { code: "data-missing" });
});

t.test("what nobody pins leaves when the cache is full, the longest unused first", async (t) => {
  const store = await openDataStore(memoryDb(), { cacheBytes: 3 * MIB + 4_096 });
  const pinned = await store.importFile(noise(MIB, 1), { holder: "me" });
  const cids: string[] = [];
  for (let i = 2; i < 5; i++) cids.push((await store.importFile(noise(MIB, i))).cid);
  await store.readFile(cids[0]!);
  await store.importFile(noise(MIB, 5));
  t.ok(await store.hasTree(cids[0]!), "read lately");
  t.notOk(await store.hasTree(cids[1]!));
  t.ok(await store.hasTree(pinned.cid));
  await store.unpin(pinned.cid, "me");
  for (let i = 6; i < 10; i++) await store.importFile(noise(MIB, i));
  t.notOk(await store.hasTree(pinned.cid));
  t.ok(store.blocks.stats().cachedBytes <= 3 * MIB + 4_096);
});

t.test("pins count holders and blocks, run out, and outlive a restart", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-data-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  let db = await openDb(folder);
  let store = await openDataStore(db, { cacheBytes: 0 });
  const shared = noise(MIB, 1);
  const a = await store.importTree(
    [
      { path: "shared", bytes: shared },
      { path: "a", bytes: utf8("a") },
    ],
    { holder: "x" },
  );
  const b = await store.importTree(
    [
      { path: "shared", bytes: shared },
      { path: "b", bytes: utf8("b") },
    ],
    {
      holder: "y",
      until: 100,
    },
  );
  await store.pin(a.cid, { holder: "x" });
  await store.pin(a.cid, { holder: "z", until: 50 });
  await db.close();

  db = await openDb(folder);
  store = await openDataStore(db, { cacheBytes: 0 });
  t.teardown(() => db.close());
  await store.expire(50);
  await store.unpin(a.cid, "x");
  t.notOk(await store.hasTree(a.cid), "no holder is left");
  t.ok(equalBytes(await store.readFile(b.cid, "shared"), shared), "the other tree holds the block that both have");
  await store.expire(100);
  t.match(store.blocks.stats(), { blocks: 0, pinnedBytes: 0, cachedBytes: 0, outputBytes: 0 });
  t.same([...store.blocks.pins()], []);
});

t.test("the disk keeps its reserve: the cache gives way first, then nothing more is taken", async (t) => {
  let free = 10 * MIB;
  let compacted = 0;
  const memory = memoryDb();
  // As LevelDB does: what is deleted gives its room back once the files are written anew.
  let deleted = 0;
  const db = {
    ...memory,
    batch: async (ops: readonly Op[], sync?: boolean) => {
      const gone = ops.filter(({ value }) => !value).reduce((sum, { key }) => sum + (memory.get(key)?.length ?? 0), 0);
      await memory.batch(ops, sync);
      free -= ops.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      deleted += gone;
    },
    compact: async () => {
      compacted += 1;
      free += deleted;
      deleted = 0;
    },
  };
  const store = await openDataStore(db, { disk: createDisk(() => free, 4) });
  const kept = await store.importFile(noise(2 * MIB, 1), { holder: "me" });
  const passed = await store.importFile(noise(3 * MIB, 2));
  t.equal(compacted, 0);
  const more = await store.importFile(noise(2 * MIB, 3), { holder: "me" });
  t.equal(compacted, 1);
  t.notOk(await store.hasTree(passed.cid), "nobody held it");
  t.ok((await store.hasTree(kept.cid)) && (await store.hasTree(more.cid)));
  await t.rejects(store.importFile(noise(3 * MIB, 4), { holder: "me" }), { code: "disk-reserve" });
  t.ok(free > 4 * MIB - 4_096, "but for the index");
  t.equal(compacted, 1, "the database is not written anew at each try");
  t.equal((await store.readFile(kept.cid)).length, 2 * MIB, "what is here is given");
  free = 4 * MIB;
  await t.rejects(store.pin(more.cid, { holder: "another" }), { code: "disk-reserve" });
  await store.pin(more.cid, { holder: "me", until: 9 });
  await store.unpin(more.cid, "me");
  await store.unpin(kept.cid, "me");
  t.equal(store.blocks.stats().pinnedBytes, 0, "and can be let go of");
});

t.test("a tree has a bounded number of holders", async (t) => {
  const store = await openDataStore(memoryDb());
  const { cid } = await store.importFile(utf8("x"));
  for (let i = 0; i < 256; i++) await store.pin(cid, { holder: `h${i}` });
  await t.rejects(store.pin(cid, { holder: "one more" }), { code: "data-limit" });
  await store.pin(cid, { holder: "h0", until: 5 });
  await store.unpin(cid, "h1");
  await store.pin(cid, { holder: "one more" });
});

t.test(
  "results of tasks have a share of what may be pinned, a tree of several holders once, over a restart too",
  async (t) => {
    const db = memoryDb();
    const limits = { pinnedBytes: 5 * MIB, outputBytes: 3 * MIB };
    const store = await openDataStore(db, limits);
    const [a, b, c, own] = [1, 2, 3, 4].map((seed) => noise(MIB, seed)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const first = await store.importFile(a, { holder: "worker:1", until: 100 });
    const { outputBytes } = store.blocks.stats();
    t.ok(outputBytes > MIB && outputBytes < MIB + 4_096);
    await store.pin(first.cid, { holder: "worker:2", until: 100 });
    await store.pin(first.cid, { holder: "worker:2", until: 200 });
    t.equal(store.blocks.stats().outputBytes, outputBytes, "two lots with one result");
    await store.importFile(b, { holder: "worker:2", until: 100 });
    await t.rejects(store.importFile(c, { holder: "worker:3" }), { code: "data-limit", message: /results kept/ });
    t.equal(store.blocks.stats().outputBytes, 2 * outputBytes, "what was refused counts nothing");
    await store.importFile(own, { holder: "rpc" });
    await store.importFile(c, { holder: "rpc" });
    t.equal(store.blocks.stats().outputRoom, 5 * MIB - store.blocks.stats().pinnedBytes, "the rest is the owner's");

    t.equal(await store.keep("worker:2", 300), 2);
    await store.expire(250);
    t.same(
      [...store.blocks.pins()].flatMap(({ holders }) => [...holders]).filter(([holder]) => holder !== "rpc"),
      [
        ["worker:2", 300],
        ["worker:2", 300],
      ],
    );
    const again = await openDataStore(db, limits);
    t.same(again.blocks.stats().outputBytes, 2 * outputBytes, "a restart counts the same");
    t.equal(await again.release("worker:2"), 2);
    t.equal(await again.release("worker:2"), 0);
    t.equal(again.blocks.stats().outputBytes, 0);
    t.notOk([...again.blocks.pins()].some(({ holders }) => holders.has("worker:2")));
  },
);
