import { existsSync, mkdirSync, readdirSync, rmSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fromHex, type Hash, type Hex, toHex } from "../../lib/bytes.ts";
import { readJson, writeSecret } from "../folder.ts";
import type { Computed } from "./compute.ts";

/** What a worker has computed, kept on disk before it commits: a restart computes nothing twice. */
export interface Journal {
  get(lot: Hash): Computed | undefined;
  put(lot: Hash, computed: Computed): void;
  /** All that are kept. */
  ids(): Hash[];
  forget(lot: Hash): void;
  /** Lots of several tasks whose receipts are still to be given away. */
  unpublished(): Hash[];
  /** Notes that a lot's receipts are given away, or that nobody needs them. */
  published(lot: Hash): void;
  /** Forgets lots that are older than this many milliseconds. */
  prune(olderThanMs: number): void;
}

interface Entry {
  readonly taskids: Hash[];
  readonly receipts: Hex[];
  readonly cids: (string | null)[];
  readonly published?: boolean;
}

/** Opens the journal in a folder. */
export const openJournal = (folder: string): Journal => {
  mkdirSync(folder, { recursive: true });
  const cache = new Map<Hash, Computed>();
  const pathOf = (lot: Hash): string => join(folder, `${lot}.json`);
  const lotsIn = (): Hash[] =>
    readdirSync(folder)
      .filter((file) => file.endsWith(".json"))
      .map((file) => file.slice(0, -".json".length) as Hash);
  return {
    get: (lot) => {
      const cached = cache.get(lot);
      if (cached || !existsSync(pathOf(lot))) return cached;
      const entry = readJson<Entry>(pathOf(lot))!;
      const computed = {
        taskids: entry.taskids,
        receipts: entry.receipts.map(fromHex),
        cids: entry.cids.map((cid) => cid ?? undefined),
      };
      cache.set(lot, computed);
      return computed;
    },
    put: (lot, computed) => {
      const entry: Entry = {
        taskids: [...computed.taskids],
        receipts: computed.receipts.map(toHex),
        cids: computed.cids.map((cid) => cid ?? null),
      };
      writeSecret(pathOf(lot), JSON.stringify(entry));
      cache.set(lot, computed);
    },
    ids: lotsIn,
    forget: (lot) => {
      rmSync(pathOf(lot), { force: true });
      cache.delete(lot);
    },
    unpublished: () =>
      lotsIn().filter((lot) => {
        const entry = readJson<Entry>(pathOf(lot))!;
        return entry.receipts.length > 1 && entry.published !== true;
      }),
    published: (lot) => {
      const entry = readJson<Entry>(pathOf(lot));
      if (entry) writeSecret(pathOf(lot), JSON.stringify({ ...entry, published: true }));
    },
    prune: (olderThanMs) => {
      for (const file of readdirSync(folder)) {
        const path = join(folder, file);
        if (Date.now() - statSync(path).mtimeMs > olderThanMs) unlinkSync(path);
      }
      cache.clear();
    },
  };
};
