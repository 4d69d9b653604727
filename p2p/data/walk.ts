import type { CID } from "multiformats/cid";
import type { Turns } from "../../lib/turns.ts";
import { createBudget } from "./budget.ts";
import { RAW } from "./cid.ts";
import { MAX_NAME_BYTES, type TreeLimits } from "./limits.ts";
import { failData } from "./rules.ts";
import { decodeNode, type Link, type UnixfsNode } from "./unixfs.ts";

export type GetBlock = (cid: CID) => Uint8Array | undefined;

/** A file or directory of a tree. `path` is empty for the root, and has / between names. */
export type TreeNode =
  | { readonly kind: "directory"; readonly path: string; readonly cid: CID; readonly size: 0 }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly cid: CID;
      /** What it says to have; it never gives more. */
      readonly size: number;
      /** Yields its bytes from `start` to `end`, a block at a time; they must not be changed. */
      read(start?: number, end?: number): AsyncGenerator<Uint8Array>;
    };

const sizeOf = (node: UnixfsNode): number =>
  node.kind === "raw" ? node.data.length : node.kind === "file" ? node.size : 0;

/** Tells whether a name may stand in a directory: what is safe to write to a disk. */
export const isSafeName = (name: string): boolean =>
  name !== "" &&
  name !== "." &&
  name !== ".." &&
  name.isWellFormed() &&
  Buffer.byteLength(name) <= MAX_NAME_BYTES &&
  !/[/\\\0]/.test(name);

/** Levels of blocks from a tree's root to its last byte: those of directories, and as many for shards and files. */
const chainLimit = (limits: TreeLimits): number => 2 * limits.depth;

/**
 * Finds the blocks of a tree as their parents are read, each once and within the limits. Gives the new ones that a block
 * links to. A tree that is repeated in itself is not unfolded here: that is for who walks over it.
 */
export const createSurvey = (root: CID, limits: TreeLimits) => {
  const budget = createBudget(limits);
  const depths = new Map([[root.toString(), 0]]);
  budget.spend("blocks", 1);
  return async (cid: CID, bytes: Uint8Array): Promise<CID[]> => {
    const depth = (depths.get(cid.toString()) ?? 0) + 1;
    const found: CID[] = [];
    for (const link of (await decodeNode(cid, bytes)).links) {
      const name = link.cid.toString();
      if (depths.has(name)) continue;
      budget.spend("blocks", 1);
      if (depth > chainLimit(limits)) failData("data-limit", `over ${chainLimit(limits)} levels of blocks`);
      depths.set(name, depth);
      found.push(link.cid);
    }
    return found;
  };
};

/** What a walk needs beside the blocks. */
export interface WalkOptions {
  readonly get: GetBlock;
  readonly has: (cid: CID) => boolean;
  readonly limits: TreeLimits;
  /** Asked for before each block, so that the rest of the program runs in between. */
  readonly turns: Turns;
  /** Ends the walk, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Walks over a tree that is here. Whatever its shape, nothing is gathered before the budget of the walk has been asked: all
 * that a block links to is counted as the block is decoded, as often as it is met.
 */
export const createReader = ({ get, has, limits, turns, signal }: WalkOptions) => {
  const budget = createBudget(limits);

  const load = async (cid: CID): Promise<UnixfsNode> => {
    budget.spend("reads", 1);
    await turns.turn();
    signal?.throwIfAborted();
    const bytes = get(cid) ?? failData("data-missing", `${cid} is not here`);
    budget.spend("readBytes", bytes.length);
    return decodeNode(cid, bytes);
  };
  /** Loads a block of directories, or a file's first: whatever it links to is a part of the tree. */
  const loadPart = async (cid: CID): Promise<UnixfsNode> => {
    const node = await load(cid);
    budget.spend("blocks", node.links.length);
    if (node.kind === "directory") budget.spend("entries", node.links.length);
    if (node.kind === "shard")
      budget.spend("entries", node.links.filter(({ name }) => name.length > node.prefix).length);
    return node;
  };

  /** Yields a file's bytes from `start` to `end`. Each block says how many bytes lie below it, and must keep its word. */
  async function* content(node: UnixfsNode, start: number, end: number, depth: number): AsyncGenerator<Uint8Array> {
    if (node.kind !== "raw" && node.kind !== "file") return failData("data-malformed", `a ${node.kind} within a file`);
    budget.depth(depth);
    const own = node.data.subarray(Math.min(start, node.data.length), Math.min(end, node.data.length));
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

  /** Yields a directory's entries, those of its shards included. */
  async function* entriesOf(node: UnixfsNode, depth: number): AsyncGenerator<Link> {
    if (node.kind !== "directory" && node.kind !== "shard")
      return failData("data-malformed", `a ${node.kind} within a directory's shards`);
    budget.depth(depth);
    for (const { name, cid } of node.links) {
      if (node.kind === "shard" && name.length === node.prefix) {
        yield* entriesOf(await loadPart(cid), depth + 1);
        continue;
      }
      yield { name: node.kind === "shard" ? name.slice(node.prefix) : name, cid };
    }
  }

  async function* walk(cid: CID, path: string, depth: number): AsyncGenerator<TreeNode> {
    budget.depth(depth);
    const node = await loadPart(cid);
    if (node.kind === "raw" || node.kind === "file") {
      const size = sizeOf(node);
      budget.spend("bytes", size);
      // Read again when it is wanted: a list of files does not hold their bytes.
      const read = async function* (start = 0, end = size) {
        yield* content(await load(cid), start, end, 0);
      };
      yield { kind: "file", path, cid, size, read };
      return;
    }
    yield { kind: "directory", path, cid, size: 0 };
    const names = new Set<string>();
    for await (const link of entriesOf(node, 0)) {
      if (!isSafeName(link.name) || names.has(link.name)) failData("data-path", JSON.stringify(link.name.slice(0, 80)));
      names.add(link.name);
      const below = path === "" ? link.name : `${path}/${link.name}`;
      budget.spend("paths", Buffer.byteLength(below));
      yield* walk(link.cid, below, depth + 1);
    }
  }

  return {
    /** What was found and read so far. */
    used: budget.used,
    /** Yields a tree's files and directories, each before what it holds. */
    walk: (root: CID): AsyncGenerator<TreeNode> => {
      budget.spend("entries", 1);
      budget.spend("blocks", 1);
      return walk(root, "", 0);
    },
    /** Follows a path of names. Throws RuleError "data-missing" where a name is not there. */
    resolve: async (root: CID, path: string): Promise<CID> => {
      const names = path.split("/").filter((part) => part !== "");
      budget.depth(names.length);
      let cid = root;
      for (const name of names) {
        let next: CID | undefined;
        for await (const entry of entriesOf(await loadPart(cid), 0)) {
          if (entry.name !== name) continue;
          next = entry.cid;
          break;
        }
        cid = next ?? failData("data-missing", `${cid} holds no ${JSON.stringify(name)}`);
      }
      return cid;
    },
    /** Lists the blocks of a tree, each once. Those that link to nothing are not read: they are checked when they are. */
    blocks: async (root: CID): Promise<CID[]> => {
      const survey = createSurvey(root, limits);
      const found = [root];
      // The list grows while it is read.
      for (const cid of found) {
        await turns.turn();
        signal?.throwIfAborted();
        if (cid.code === RAW && has(cid)) continue;
        for (const each of await survey(cid, get(cid) ?? failData("data-missing", `${cid} is not here`)))
          found.push(each);
      }
      return found;
    },
  };
};
