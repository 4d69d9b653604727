import { parentPort } from "node:worker_threads";
import { memoryDb } from "../../chain/db.ts";
import { openDataStore } from "../../p2p/data/store.ts";
import { leaf, shard } from "./trees.ts";

// Two blocks that stand for 900 million entries: whoever gathers them ends this thread, whose heap is small.
const LINKS = 30_000;
const empty = leaf(new Uint8Array(0));
const child = shard(Array.from({ length: LINKS }, (_, i) => [`00${i.toString(36)}`, empty]));
const root = shard(Array.from({ length: LINKS }, () => ["00", child]));
const store = await openDataStore(memoryDb());
for (const { cid, bytes } of [root, child, empty]) await store.blocks.put(cid, bytes);
const codes = await Promise.all(
  [
    store.listTree(root.cid.toString()),
    store.open(root.cid.toString(), "a"),
    store.pin(root.cid.toString(), { holder: "me" }),
    store.importBlocks(root.cid.toString(), []),
  ].map((work) => (work as Promise<unknown>).then(() => "found").catch((error: { code?: string }) => error.code)),
);
parentPort!.postMessage(codes);
