import { existsSync, mkdirSync, readdirSync, statSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { fromHex, type Hash, type Hex, toHex } from "../../lib/bytes.ts";
import { readJson, writeSecret } from "../folder.ts";
import type { Computed } from "./compute.ts";

/** What a worker has computed, kept on disk before it commits: a restart computes nothing twice. */
export interface Journal {
  get(lot: Hash): Computed | undefined;
  put(lot: Hash, computed: Computed): void;
  /** Forgets lots that are older than this many milliseconds. */
  prune(olderThanMs: number): void;
}

interface Entry {
  readonly taskids: Hash[];
  readonly receipts: Hex[];
  readonly cids: (string | null)[];
}

/** Opens the journal in a folder. */
export const openJournal = (folder: string): Journal => {
  mkdirSync(folder, { recursive: true });
  const cache = new Map<Hash, Computed>();
  const pathOf = (lot: Hash): string => join(folder, `${lot}.json`);
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
    prune: (olderThanMs) => {
      for (const file of readdirSync(folder)) {
        const path = join(folder, file);
        if (Date.now() - statSync(path).mtimeMs > olderThanMs) unlinkSync(path);
      }
      cache.clear();
    },
  };
};
