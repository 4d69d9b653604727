import { importer } from "ipfs-unixfs-importer";
import type { CID } from "multiformats/cid";
import type { Database } from "../../chain/db.ts";
import { concat, type Hash, toHex } from "../../lib/bytes.ts";
import { createTurns } from "../../lib/turns.ts";
import { type BlockStore, type BlocksOptions, openBlocks } from "./blocks.ts";
import { createBudget, type TreeBudget } from "./budget.ts";
import { isBlockOf, parseCid } from "./cid.ts";
import { PROFILE, TREE_LIMITS, type TreeLimits } from "./limits.ts";
import { failData } from "./rules.ts";
import { createReader, isSafeName, type TreeNode } from "./walk.ts";

/** A file, or, without bytes, an empty directory. `path` has / between names. */
export interface ImportEntry {
  readonly path: string;
  readonly bytes?: Uint8Array | AsyncIterable<Uint8Array>;
}

/** Who keeps data, and until when (Unix seconds; left out: until unpinned). */
export interface Pin {
  readonly holder: string;
  readonly until?: number;
}

export interface Imported {
  readonly cid: string;
  /** The digest in the CID, as chain and receipts have it. */
  readonly root: Hash;
}

/** Content-addressed files and directories of this machine (spec section 12). Nothing here asks the network. */
export interface DataStore {
  readonly blocks: BlockStore;
  /** Makes a directory of files. Throws RuleError "data-path" and "data-limit", and keeps nothing then. */
  importTree(entries: Iterable<ImportEntry> | AsyncIterable<ImportEntry>, pin?: Pin): Promise<Imported>;
  /** Makes a single file. */
  importFile(bytes: Uint8Array | AsyncIterable<Uint8Array>, pin?: Pin): Promise<Imported>;
  /** Takes blocks that were made elsewhere, e.g. those of a task's results, each checked against its hash. */
  importBlocks(root: string, blocks: Iterable<{ cid: string; bytes: Uint8Array }>, pin?: Pin): Promise<Imported>;
  /** Tells whether every block of a tree is here. */
  hasTree(cid: string): Promise<boolean>;
  /** Finds a file or directory, also below a root by its path; a file is read from it piece by piece. */
  open(cid: string, path?: string, signal?: AbortSignal): Promise<TreeNode>;
  /** Reads a file, or, with a path, a file within a directory, whole into memory. */
  readFile(cid: string, path?: string): Promise<Uint8Array>;
  /** Yields the files of a tree; an empty path where the root is a file. Directories have no bytes. */
  exportTree(cid: string): AsyncGenerator<{ path: string; bytes: Uint8Array | undefined }>;
  /** Lists what a tree holds, the root included, each file to be read as often as an archive needs it. */
  listTree(cid: string, signal?: AbortSignal): Promise<TreeNode[]>;
  /** Keeps a tree that is here for a holder. Pinning again by the same holder only moves its time. */
  pin(cid: string, pin: Pin): Promise<void>;
  unpin(cid: string, holder: string): Promise<void>;
  /** Moves the time of all that a holder keeps, and ends it; each gives how many trees. */
  keep(holder: string, until: number): Promise<number>;
  release(holder: string): Promise<number>;
  /** Drops the pins that have run out. */
  expire(nowSeconds: number): Promise<void>;
}

/** Opens the data of a node in a database of its own. */
export const openDataStore = async (
  db: Database,
  options: BlocksOptions & { readonly limits?: Partial<TreeLimits> } = {},
): Promise<DataStore> => {
  const limits: TreeLimits = { ...TREE_LIMITS, ...options.limits };
  const blocks = await openBlocks(db, options);
  const turns = createTurns();
  const reader = (signal?: AbortSignal) =>
    createReader({ get: blocks.get, has: blocks.has, limits, turns, ...(signal ? { signal } : {}) });

  const pin = async (cid: CID, { holder, until = 0 }: Pin): Promise<void> => {
    const hold = blocks.hold();
    try {
      await blocks.pin(cid, holder, until, async () => {
        const found = await reader().blocks(cid);
        for (const each of found) hold.keep(each);
        return found;
      });
    } finally {
      hold.release();
    }
  };
  const imported = (cid: CID): Imported => ({ cid: cid.toString(), root: toHex(cid.multihash.digest) });

  /** Runs an import whose blocks stay until it is pinned, or else are the newest of the cache. */
  const importWith = async (
    source: AsyncIterable<{ path?: string; content?: AsyncIterable<Uint8Array> | Uint8Array }>,
    wrapWithDirectory: boolean,
    by: Pin | undefined,
  ): Promise<Imported> => {
    const hold = blocks.hold();
    const target = {
      put: async (cid: CID, bytes: Uint8Array): Promise<CID> => {
        await turns.turn();
        await blocks.put(cid, bytes, hold);
        return cid;
      },
    };
    try {
      let root: CID | undefined;
      const how = {
        profile: PROFILE,
        wrapWithDirectory,
        // One file after another, since all may come out of one stream; its blocks wait for the disk.
        fileImportConcurrency: 1,
        blockWriteConcurrency: 4,
      } as const;
      // What the importer yields last is the root.
      for await (const entry of importer(source as never, target as never, how)) root = entry.cid;
      if (!root) return failData("data-malformed", "a directory without entries");
      if (by) await pin(root, by);
      return imported(root);
    } finally {
      hold.release();
    }
  };

  /** Lets an import's bytes through as long as they are within the limits. */
  const counted = async function* (
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
    budget: TreeBudget,
  ): AsyncGenerator<Uint8Array> {
    if (bytes instanceof Uint8Array) {
      budget.spend("bytes", bytes.length);
      yield bytes;
      return;
    }
    for await (const chunk of bytes) {
      budget.spend("bytes", chunk.length);
      yield chunk;
    }
  };

  const checkedEntries = async function* (entries: Iterable<ImportEntry> | AsyncIterable<ImportEntry>) {
    const budget = createBudget(limits);
    const kinds = new Map<string, "file" | "directory">();
    const count = (path: string): void => {
      budget.spend("entries", 1);
      budget.spend("paths", Buffer.byteLength(path));
    };
    for await (const { path, bytes } of entries) {
      const names = path.replace(/\/$/, "").split("/");
      if (!names.every(isSafeName)) failData("data-path", JSON.stringify(path.slice(0, 80)));
      budget.depth(names.length);
      const whole = names.join("/");
      // The importer would silently let a file take a directory's place, or the other way round.
      for (let i = 1; i < names.length; i++) {
        const above = names.slice(0, i).join("/");
        if (kinds.get(above) === "file") failData("data-path", `${above} is a file and a directory`);
        if (!kinds.has(above)) count(above);
        kinds.set(above, "directory");
      }
      const kind = bytes === undefined ? "directory" : "file";
      if (kinds.has(whole) && (kind === "file" || kinds.get(whole) === "file")) failData("data-path", `${whole} twice`);
      if (kinds.has(whole)) continue;
      count(whole);
      kinds.set(whole, kind);
      yield bytes === undefined ? { path: whole } : { path: whole, content: counted(bytes, budget) };
    }
  };

  const open = async (root: CID, path: string, signal?: AbortSignal): Promise<TreeNode> => {
    const read = reader(signal);
    const cid = path === "" ? root : await read.resolve(root, path);
    for await (const node of read.walk(cid)) return node;
    return failData("data-missing", `${cid} is not here`);
  };
  /** Always a copy: the store's own bytes must not be changed. */
  const whole = async (pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
    const parts: Uint8Array[] = [];
    for await (const piece of pieces) parts.push(piece);
    return concat(...parts);
  };

  return {
    blocks,
    importTree: (entries, by) => importWith(checkedEntries(entries), true, by),
    importFile: (bytes, by) =>
      importWith(
        (async function* () {
          yield { content: counted(bytes, createBudget(limits)) };
        })(),
        false,
        by,
      ),
    importBlocks: async (root, given, by) => {
      const hold = blocks.hold();
      const budget = createBudget(limits);
      try {
        for (const { cid: text, bytes } of given) {
          budget.spend("blocks", 1);
          budget.spend("bytes", bytes.length);
          const cid = parseCid(text);
          await turns.turn();
          if (!isBlockOf(cid, bytes)) failData("data-hash", text);
          await blocks.put(cid, bytes, hold);
        }
        const cid = parseCid(root);
        // Whatever was given must be the whole tree.
        await reader().blocks(cid);
        if (by) await pin(cid, by);
        return imported(cid);
      } finally {
        hold.release();
      }
    },
    hasTree: async (text) => {
      const cid = parseCid(text);
      if (!blocks.has(cid)) return false;
      return reader()
        .blocks(cid)
        .then(
          () => true,
          () => false,
        );
    },
    open: async (text, path = "", signal) => open(parseCid(text), path, signal),
    readFile: async (text, path = "") => {
      const node = await open(parseCid(text), path);
      return node.kind === "file" ? whole(node.read()) : failData("data-malformed", "a directory, not a file");
    },
    exportTree: async function* (text) {
      for await (const node of reader().walk(parseCid(text)))
        yield { path: node.path, bytes: node.kind === "file" ? await whole(node.read()) : undefined };
    },
    listTree: async (text, signal) => {
      const list: TreeNode[] = [];
      for await (const node of reader(signal).walk(parseCid(text))) list.push(node);
      return list;
    },
    pin: async (cid, by) => pin(parseCid(cid), by),
    unpin: async (cid, holder) => blocks.unpin(parseCid(cid), holder),
    keep: blocks.keep,
    release: blocks.release,
    expire: blocks.expire,
  };
};
