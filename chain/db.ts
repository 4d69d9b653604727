import { Level } from "level";
import { type Hex, toHex } from "../lib/bytes.ts";

/** A write; `value` undefined deletes. */
export interface Op {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** An ordered key-value store that reads at once and writes batches whole or not at all. */
export interface Database {
  /** Reads a value; what a batch under way writes is seen already. About 10 us from disk. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Writes atomically. With `sync`, resolves once the disk has it. */
  batch(ops: readonly Op[], sync?: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Opens a database that forgets when the process ends. */
export const memoryDb = (): Database => {
  const values = new Map<Hex, Uint8Array>();
  return {
    get: (key) => values.get(toHex(key)),
    batch: async (ops) => {
      for (const { key, value } of ops) {
        if (value) values.set(toHex(key), value);
        else values.delete(toHex(key));
      }
    },
    close: async () => {},
  };
};

/** Opens (or makes) a LevelDB database in a folder. Throws where another process has it open. */
export const openDb = async (path: string): Promise<Database> => {
  const level = new Level<Uint8Array, Uint8Array>(path, { keyEncoding: "view", valueEncoding: "view" });
  try {
    await level.open();
  } catch (error) {
    const cause = (error as Error).cause as Error | undefined;
    throw new Error(`database ${path} does not open: ${cause?.message ?? (error as Error).message}`);
  }
  // A batch is visible from the call on, so that the next block can be run while the disk writes this one.
  const pending = new Map<Hex, { value: Uint8Array | undefined; batch: number }>();
  let batches = 0;
  return {
    get: (key) => {
      const written = pending.size > 0 ? pending.get(toHex(key)) : undefined;
      return written ? written.value : level.getSync(key);
    },
    batch: async (ops, sync = false) => {
      const batch = ++batches;
      const keys = ops.map(({ key }) => toHex(key));
      for (const [i, key] of keys.entries()) pending.set(key, { value: ops[i]!.value, batch });
      await level.batch(
        ops.map(({ key, value }) => (value ? { type: "put", key, value } : { type: "del", key })),
        { sync },
      );
      for (const key of keys) if (pending.get(key)?.batch === batch) pending.delete(key);
    },
    close: () => level.close(),
  };
};
