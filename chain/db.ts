import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import { diskFault } from "../lib/disk.ts";
import { DamagedFileError } from "../lib/whole-file.ts";

/** A write; `value` undefined deletes. */
export interface Op {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/**
 * The disk fails, or does not hold what was written. It says nothing about a block or a transaction: nobody may judge by it, or
 * go on past it.
 */
export class DatabaseError extends Error {
  override readonly name = "DatabaseError";
}

/** Another program has the database open, or this one has already. */
export class DatabaseLockedError extends Error {
  override readonly name = "DatabaseLockedError";
}

/** An ordered key-value store that reads at once and writes batches whole or not at all. */
export interface Database {
  /**
   * Reads a value; what a batch under way writes is seen already. 2 to 10 us from disk. Values must not be changed. Throws
   * DatabaseError.
   */
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * Writes atomically, after every batch before it: after a crash the disk holds the first n batches. With `sync`, resolves
   * once the disk has it. Once a batch has failed every later one does, since it may build on what was lost.
   */
  batch(ops: readonly Op[], sync?: boolean): Promise<void>;
  /** Lists the entries whose keys start with `prefix`, in order of the keys, as they stand when it is called. */
  iterate(prefix: Uint8Array): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Gives the room of deleted entries that start with `prefix` back to the disk, which else comes by and by: a rewrite. */
  compact?(prefix: Uint8Array): Promise<void>;
  /**
   * Bytes of what came last that take their room twice for a while, since they are written out of a buffer and merged with older
   * ones before those go; left out: none.
   */
  readonly rewrittenBytes?: number;
  close(): Promise<void>;
}

/** A key as a string of one byte a character, which sorts as the bytes do: made faster than hex. */
const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");

/** Opens a database that forgets when the process ends. */
export const memoryDb = (): Database => {
  const values = new Map<string, Uint8Array>();
  return {
    get: (key) => values.get(nameOf(key)),
    batch: async (ops) => {
      for (const { key, value } of ops) {
        if (value) values.set(nameOf(key), value);
        else values.delete(nameOf(key));
      }
    },
    iterate: async function* (prefix) {
      const start = nameOf(prefix);
      const found = [...values].filter(([name]) => name.startsWith(start)).sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, value] of found) yield [Uint8Array.from(Buffer.from(name, "latin1")), value];
    },
    close: async () => {},
  };
};

const BUFFER_BYTES = 16 * 1024 * 1024;

/** The first key after all that start with a prefix; undefined where there is none. */
const afterPrefix = (prefix: Uint8Array): Uint8Array | undefined => {
  const last = prefix.findLastIndex((byte) => byte < 0xff);
  if (last < 0) return undefined;
  const end = prefix.slice(0, last + 1);
  end[last]! += 1;
  return end;
};

/** What LevelDB says when its files are not what it wrote, are cut off ("invalid argument"), or gone. */
const isDamage = (error: unknown): boolean => {
  const { code, message } = error as { code?: string; message: string };
  return code === "LEVEL_CORRUPTION" || /corruption|no such file|invalid argument/i.test(message);
};

/** Tells whether a folder holds what was written into a database, and not the file that says what of it counts. */
const isHeadless = (path: string): boolean =>
  existsSync(path) &&
  !existsSync(join(path, "CURRENT")) &&
  readdirSync(path).some((name) => /^\d+\.(ldb|sst|log)$/.test(name));

export interface DatabaseOptions {
  /**
   * Told once, of the first batch that the disk does not take: the program has to stop then, and finds all before it when it
   * starts again.
   */
  readonly onFailure?: ((error: Error) => void) | undefined;
  /** What its owner has to do where it is damaged, and what is lost by it. */
  readonly remedy?: string;
}

/**
 * Opens (or makes) a LevelDB database in a folder. Throws DatabaseLockedError where another process has it open, DamagedFileError
 * where its files are not what was written.
 */
export const openDb = async (path: string, options: DatabaseOptions = {}): Promise<Database> => {
  const { onFailure = () => {}, remedy = "" } = options;
  // LevelDB would make a new one over it, and forget.
  if (isHeadless(path)) throw new DamagedFileError(path, "is a damaged database: it has no file CURRENT", remedy);
  const level = new Level<Uint8Array, Uint8Array>(path, {
    keyEncoding: "view",
    valueEncoding: "view",
    // Most of what is kept is hashes, which do not compress; larger buffers mean fewer rewrites of the same keys.
    compression: false,
    cacheSize: 32 * 1024 * 1024,
    writeBufferSize: BUFFER_BYTES,
  });
  try {
    await level.open();
  } catch (error) {
    const cause = (error as Error).cause as (Error & { code?: string }) | undefined;
    if (cause?.code === "LEVEL_LOCKED")
      throw new DatabaseLockedError(`database ${path} does not open: another process has it open`);
    const { message } = cause ?? (error as Error);
    if (isDamage(cause ?? error)) throw new DamagedFileError(path, `is a damaged database: ${message}`, remedy);
    throw diskFault(path, new Error(`database ${path} does not open: ${message}`));
  }
  // A batch is visible from the call on, so that the next block can be run while the disk writes this one.
  const pending = new Map<string, { readonly value: Uint8Array | undefined; readonly batch: number }>();
  let batches = 0;
  // One after another: LevelDB takes batches from several threads, in any order.
  let last: Promise<void> = Promise.resolve();

  const write = async (batch: number, ops: readonly Op[], names: readonly string[], sync: boolean): Promise<void> => {
    // A chained batch costs the main thread half of what an array of operations does.
    const chained = level.batch();
    for (const { key, value } of ops) {
      if (value) chained.put(key, value);
      else chained.del(key);
    }
    await chained.write({ sync }).catch((error: Error) => {
      const failure = diskFault(path, error);
      onFailure(failure);
      throw failure;
    });
    for (const name of names) if (pending.get(name)?.batch === batch) pending.delete(name);
  };

  const readError = (error: unknown): DatabaseError => {
    const words = isDamage(error) ? `. ${remedy}` : "";
    return new DatabaseError(`database ${path} is not read: ${(error as Error).message}${words}`, { cause: error });
  };

  return {
    get: (key) => {
      const written = pending.size > 0 ? pending.get(nameOf(key)) : undefined;
      if (written) return written.value;
      try {
        return level.getSync(key);
      } catch (error) {
        throw readError(error);
      }
    },
    batch: (ops, sync = false) => {
      const batch = ++batches;
      const names = ops.map(({ key }) => nameOf(key));
      for (const [i, { value }] of ops.entries()) pending.set(names[i]!, { value, batch });
      last = last.then(() => write(batch, ops, names, sync));
      return last;
    },
    // Two buffers, and as much of the files that they are merged with.
    rewrittenBytes: 4 * BUFFER_BYTES,
    iterate: async function* (prefix) {
      await last;
      const end = afterPrefix(prefix);
      try {
        yield* level.iterator(end ? { gte: prefix, lt: end } : { gte: prefix });
      } catch (error) {
        throw readError(error);
      }
    },
    compact: async (prefix) => {
      await last;
      // Its types are those of every platform; a folder is always LevelDB's.
      const { compactRange } = level as unknown as { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> };
      await compactRange.call(level, prefix, afterPrefix(prefix) ?? Uint8Array.of(0xff, 0xff));
    },
    close: async () => {
      await last.catch(() => {});
      await level.close();
    },
  };
};
