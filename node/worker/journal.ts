import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fromHex, type Hash, type Hex, isHex, toHex } from "../../lib/bytes.ts";
import { JSON_OF_ANY_LENGTH, parseJson } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import { isPart } from "../../lib/whole-file.ts";
import { makeFolder, syncFolder, writeSecret } from "../folder.ts";
import type { Computed } from "./compute.ts";

/** What a worker has computed, kept on disk before it commits: a restart computes nothing twice. */
export interface Journal {
  /** Gives what was computed; undefined where it was not, or its file is torn, which is put aside, or gone. Both are said once. */
  get(lot: Hash): Computed | undefined;
  put(lot: Hash, computed: Computed): void;
  /** All that are kept. */
  ids(): Hash[];
  forget(lot: Hash): void;
  /** Lots of several tasks whose receipts are still to be given away. */
  unpublished(): Hash[];
  /** Notes that a lot's receipts are given away, or that nobody needs them. */
  published(lot: Hash): void;
  /** Forgets what is too old, and the oldest where all take too much room; what is needed stays. Gives what is gone. */
  prune(isNeeded?: (lot: Hash) => boolean): Hash[];
}

export interface JournalOptions {
  readonly log?: Log;
  readonly keepMs?: number;
  /** Bytes on the disk, and of receipts in memory. */
  readonly mostBytes?: number;
  readonly cachedBytes?: number;
  readonly now?: () => number;
}

interface Entry {
  readonly taskids: Hash[];
  readonly receipts: Hex[];
  readonly cids: (string | null)[];
}

const KEEP_MS = 7 * 24 * 3600 * 1000;
const MOST_BYTES = 512 * 1024 * 1024;
const CACHED_BYTES = 16 * 1024 * 1024;
/** Files of lots whose receipts are still to be given away end so. */
const [OPEN, DONE, TORN] = [".open.json", ".json", ".torn"];

/** Reads an entry; undefined where the file is gone, or is not one, as after a loss of power. */
const readEntry = (path: string): Computed | undefined => {
  if (!existsSync(path)) return undefined;
  const bytes = readFileSync(path);
  try {
    const { taskids, receipts, cids } = parseJson(bytes, JSON_OF_ANY_LENGTH) as Entry;
    if (taskids.length === 0 || taskids.length !== receipts.length || taskids.length !== cids.length) return undefined;
    return { taskids, receipts: receipts.map(fromHex), cids: cids.map((cid) => cid ?? undefined) };
  } catch {
    return undefined;
  }
};

const sizeOf = ({ receipts }: Computed): number => receipts.reduce((sum, { length }) => sum + length + 200, 0);

/** Opens the journal in a folder. In memory it holds some of the entries, and of all of them name, size and age. */
export const openJournal = (folder: string, options: JournalOptions = {}): Journal => {
  const { log, keepMs = KEEP_MS, mostBytes = MOST_BYTES, cachedBytes = CACHED_BYTES, now = Date.now } = options;
  makeFolder(folder);
  const kept = new Map<Hash, { path: string; readonly size: number; readonly at: number }>();
  /** The longest unused first. */
  const cache = new Map<Hash, Computed>();
  let inCache = 0;

  const drop = (lot: Hash): void => {
    inCache -= cache.has(lot) ? sizeOf(cache.get(lot)!) : 0;
    cache.delete(lot);
  };
  const remember = (lot: Hash, computed: Computed): void => {
    drop(lot);
    cache.set(lot, computed);
    inCache += sizeOf(computed);
    for (const oldest of cache.keys()) if (inCache > cachedBytes && oldest !== lot) drop(oldest);
  };
  const noteFile = (lot: Hash, path: string): void => {
    const { size, mtimeMs } = statSync(path);
    kept.set(lot, { path, size, at: mtimeMs });
  };
  const forget = (lot: Hash): void => {
    const entry = kept.get(lot);
    if (entry) rmSync(entry.path, { force: true });
    kept.delete(lot);
    drop(lot);
  };
  const putAside = (lot: Hash, path: string): void => {
    kept.delete(lot);
    if (!existsSync(path)) {
      log?.warn({ lot, file: path }, "a file of the journal is gone: its tasks are computed again");
      return;
    }
    log?.warn({ lot, file: `${path}${TORN}` }, "a torn file of the journal is put aside, and computed again");
    renameSync(path, `${path}${TORN}`);
  };

  const leftovers: string[] = [];
  for (const file of readdirSync(folder)) {
    const lot = file.slice(0, 66);
    const ending = file.slice(66);
    if (isHex(lot, 32) && (ending === OPEN || ending === DONE)) noteFile(lot, join(folder, file));
    else if (isPart(file) || ending.endsWith(TORN)) leftovers.push(file);
  }
  /** What a write that was cut off left, and old torn files. */
  const sweep = (): void => {
    for (const file of leftovers) {
      const path = join(folder, file);
      if (existsSync(path) && (isPart(file) || now() - statSync(path).mtimeMs > keepMs)) rmSync(path);
    }
  };
  sweep();

  return {
    get: (lot) => {
      const entry = kept.get(lot);
      if (!entry) return undefined;
      const found = cache.get(lot) ?? readEntry(entry.path);
      if (found) remember(lot, found);
      else putAside(lot, entry.path);
      return found;
    },
    put: (lot, computed) => {
      const entry: Entry = {
        taskids: [...computed.taskids],
        receipts: computed.receipts.map(toHex),
        cids: computed.cids.map((cid) => cid ?? null),
      };
      const path = join(folder, `${lot}${computed.receipts.length > 1 ? OPEN : DONE}`);
      writeSecret(path, JSON.stringify(entry));
      noteFile(lot, path);
      remember(lot, computed);
    },
    ids: () => [...kept.keys()],
    forget,
    unpublished: () => [...kept].filter(([, { path }]) => path.endsWith(OPEN)).map(([lot]) => lot),
    published: (lot) => {
      const entry = kept.get(lot);
      if (!entry?.path.endsWith(OPEN)) return;
      if (!existsSync(entry.path)) return putAside(lot, entry.path);
      const path = join(dirname(entry.path), `${basename(entry.path, OPEN)}${DONE}`);
      renameSync(entry.path, path);
      syncFolder(folder);
      entry.path = path;
    },
    prune: (isNeeded = () => false) => {
      let bytes = [...kept.values()].reduce((sum, { size }) => sum + size, 0);
      const gone: Hash[] = [];
      for (const [lot, { size, at }] of [...kept].sort(([, a], [, b]) => a.at - b.at)) {
        if (now() - at <= keepMs && bytes <= mostBytes) break;
        if (isNeeded(lot)) continue;
        bytes -= size;
        forget(lot);
        gone.push(lot);
      }
      return gone;
    },
  };
};
