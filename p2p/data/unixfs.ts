import { exporter } from "ipfs-unixfs-exporter";
import type { CID } from "multiformats/cid";
import { EMPTY } from "../../lib/bytes.ts";
import { parseCid, RAW } from "./cid.ts";
import { MAX_NAME_BYTES, type TreeLimits } from "./limits.ts";
import { failData } from "./rules.ts";

/** A link of a block to another; the name is empty within a file. */
export interface Link {
  readonly name: string;
  readonly cid: CID;
}

/** What a block of UnixFS says. */
export type UnixfsNode =
  | { readonly kind: "raw"; readonly data: Uint8Array; readonly links: readonly Link[] }
  | {
      readonly kind: "file";
      readonly data: Uint8Array;
      readonly size: number;
      readonly links: readonly Link[];
      /** Bytes of the file below each link. */
      readonly sizes: readonly number[];
    }
  | { readonly kind: "directory"; readonly links: readonly Link[] }
  | { readonly kind: "shard"; readonly prefix: number; readonly links: readonly Link[] };

export type GetBlock = (cid: CID) => Uint8Array | undefined;

/** What a link names, in version 1; a link of a foreign kind spoils the tree, whoever passed it on. */
const linked = (cid: CID): CID => {
  try {
    return parseCid(cid);
  } catch {
    return failData("data-malformed", `a link to ${cid}`);
  }
};

/**
 * Reads one block. The bytes must have the CID's hash. Throws RuleError "data-malformed" where they are no UnixFS.
 * Only the decoder of the exporter is used: its walk over a file's blocks ends the process where an inner block is no
 * protobuf (a rejection that nobody can catch).
 */
export const decodeNode = async (cid: CID, bytes: Uint8Array): Promise<UnixfsNode> => {
  if (cid.code === RAW) return { kind: "raw", data: bytes, links: [] };
  const store = {
    get: function* () {
      yield bytes;
    },
  };
  const entry = await exporter(cid, store).catch((error: Error) => failData("data-malformed", error.message));
  if (entry.type !== "file" && entry.type !== "directory") return failData("data-malformed", entry.type);
  const { unixfs, node } = entry;
  const links = node.Links.map((link) => ({ name: link.Name ?? "", cid: linked(link.Hash) }));
  if (unixfs.type === "directory") return { kind: "directory", links };
  if (unixfs.type === "hamt-sharded-directory") {
    const fanout = unixfs.fanout ?? 0n;
    if (fanout < 8n || fanout > 1024n) failData("data-malformed", `a fanout of ${fanout}`);
    return { kind: "shard", prefix: (fanout - 1n).toString(16).length, links };
  }
  if (unixfs.type !== "file" && unixfs.type !== "raw") return failData("data-malformed", unixfs.type);
  if (links.length !== unixfs.blockSizes.length) failData("data-malformed", "links and sizes differ in number");
  const size = Number(unixfs.fileSize() ?? 0n);
  if (!Number.isSafeInteger(size)) failData("data-malformed", "an impossible size");
  return { kind: "file", data: unixfs.data ?? EMPTY, size, links, sizes: unixfs.blockSizes.map(Number) };
};

/** A file or directory of a tree. `path` is empty for the root, and has / between names. */
export type TreeNode =
  | { readonly kind: "directory"; readonly path: string; readonly cid: CID }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly cid: CID;
      readonly size: number;
      /** Yields its bytes from `start` to `end`, a block at a time; they must not be changed. */
      read(start?: number, end?: number): AsyncGenerator<Uint8Array>;
    };

const sizeOf = (node: UnixfsNode): number =>
  node.kind === "raw" ? node.data.length : node.kind === "file" ? node.size : 0;

/** Counts what a walk has read; throws RuleError "data-limit" beyond what a tree may have. */
export const createBudget = (limits: TreeLimits) => {
  const used = { bytes: 0, entries: 0, blocks: 0 };
  return {
    spend: (what: "bytes" | "entries" | "blocks", amount: number): void => {
      used[what] += amount;
      if (used[what] > limits[what]) failData("data-limit", `over ${limits[what]} ${what}`);
    },
    depth: (depth: number): void => {
      if (depth > limits.depth) failData("data-limit", `over ${limits.depth} levels`);
    },
  };
};
type Budget = ReturnType<typeof createBudget>;

/** Tells whether a name may stand in a directory: what is safe to write to a disk. */
export const isSafeName = (name: string): boolean =>
  name !== "" &&
  name !== "." &&
  name !== ".." &&
  name.isWellFormed() &&
  Buffer.byteLength(name) <= MAX_NAME_BYTES &&
  !/[/\\\0]/.test(name);

/** Walks over trees that are here. Every reader shares the budget of its walk. */
export const createReader = (get: GetBlock, has: (cid: CID) => boolean, limits: TreeLimits) => {
  const budget: Budget = createBudget(limits);

  const load = async (cid: CID): Promise<UnixfsNode> => {
    budget.spend("blocks", 1);
    return decodeNode(cid, get(cid) ?? failData("data-missing", cid.toString()));
  };

  /** Yields a file's bytes from `start` to `end`. Each block says how many bytes lie below it, and must keep its word. */
  async function* content(node: UnixfsNode, start: number, end: number, depth: number): AsyncGenerator<Uint8Array> {
    if (node.kind !== "raw" && node.kind !== "file") return failData("data-malformed", `a ${node.kind} within a file`);
    budget.depth(depth);
    const own = node.data.subarray(Math.min(start, node.data.length), Math.min(end, node.data.length));
    budget.spend("bytes", own.length);
    if (own.length > 0) yield own;
    let at = node.data.length;
    for (const [i, link] of node.links.entries()) {
      const size = node.kind === "file" ? node.sizes[i]! : 0;
      if (at < end && at + size > start) {
        const child = await load(link.cid);
        const got = sizeOf(child);
        if (got !== size) failData("data-malformed", `${got} bytes below a block that says ${size}`);
        yield* content(child, Math.max(0, start - at), Math.min(size, end - at), depth + 1);
      }
      at += size;
    }
  }

  /** Lists a directory's entries, those of its shards included. */
  const entriesOf = async (node: UnixfsNode, depth: number): Promise<Link[]> => {
    if (node.kind === "directory") return [...node.links];
    if (node.kind !== "shard") return failData("data-malformed", `a ${node.kind} within a directory's shards`);
    budget.depth(depth);
    const entries: Link[] = [];
    for (const { name, cid } of node.links) {
      if (name.length > node.prefix) entries.push({ name: name.slice(node.prefix), cid });
      else entries.push(...(await entriesOf(await load(cid), depth + 1)));
    }
    return entries;
  };

  async function* walk(cid: CID, path: string, depth: number): AsyncGenerator<TreeNode> {
    budget.depth(depth);
    budget.spend("entries", 1);
    const node = await load(cid);
    if (node.kind === "raw" || node.kind === "file") {
      const size = sizeOf(node);
      yield { kind: "file", path, cid, size, read: (start = 0, end = size) => content(node, start, end, 0) };
      return;
    }
    yield { kind: "directory", path, cid };
    const names = new Set<string>();
    for (const link of await entriesOf(node, 0)) {
      if (!isSafeName(link.name) || names.has(link.name)) failData("data-path", JSON.stringify(link.name.slice(0, 80)));
      names.add(link.name);
      yield* walk(link.cid, path === "" ? link.name : `${path}/${link.name}`, depth + 1);
    }
  }

  return {
    /** Yields a tree's files and directories, each before what it holds. */
    walk: (root: CID) => walk(root, "", 0),
    /** Follows a path of names. Throws RuleError "data-missing" where a name is not there. */
    resolve: async (root: CID, path: string): Promise<CID> => {
      let cid = root;
      for (const name of path.split("/").filter((part) => part !== "")) {
        const entry = (await entriesOf(await load(cid), 0)).find((link) => link.name === name);
        cid = (entry ?? failData("data-missing", `${JSON.stringify(name)} in ${cid}`)).cid;
      }
      return cid;
    },
    /** Lists the blocks of a tree, each once. Those that link to nothing are not read: they are checked when they are. */
    blocks: async (root: CID): Promise<CID[]> => {
      const found = new Map([[root.toString(), root]]);
      // A Map's iterator sees what is added while it runs.
      for (const cid of found.values()) {
        if (cid.code === RAW && has(cid)) continue;
        for (const link of (await load(cid)).links) found.set(link.cid.toString(), link.cid);
        if (found.size > limits.blocks) failData("data-limit", `over ${limits.blocks} blocks`);
      }
      return [...found.values()];
    },
  };
};
