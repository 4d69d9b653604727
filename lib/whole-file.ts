import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** A file, or a database, of a program's own folder is not what the program wrote. */
export class DamagedFileError extends Error {
  override readonly name = "DamagedFileError";

  /** `reason` goes on after the path; `remedy` says what to do, and what is lost by it. */
  constructor(path: string, reason: string, remedy: string) {
    super(`${path} ${reason}. ${remedy}`);
  }
}

/** Begins the names of files that are being written. */
const PART = ".rolec-";

/**
 * Where a file is written before it has its name: beside it, under a short name that is always the same, so that long names have
 * room, and what an earlier try left is used up.
 */
export const partOf = (path: string): string => {
  const hash = createHash("sha256").update(basename(path)).digest("hex");
  return join(dirname(path), `${PART}${hash.slice(0, 16)}.tmp`);
};

/** Tells whether a file is one that was being written, by its name. */
export const isPart = (name: string): boolean => name.startsWith(PART) && name.endsWith(".tmp");

/** Writes a file whole or not at all; its owner alone may read it where `mode` is left out. `flush`: the disk has it at the end. */
export const writeWhole = (
  path: string,
  content: string | Uint8Array,
  { flush = false, mode = 0o600 }: { readonly flush?: boolean; readonly mode?: number } = {},
): void => {
  const part = partOf(path);
  // Anew: one that is there may be another's, or open to others, and would stay so.
  rmSync(part, { force: true });
  writeFileSync(part, content, { mode, flush, flag: "wx" });
  renameSync(part, path);
};

/** Finds what there is of a path: itself, or the nearest above it. */
export const nearest = (path: string): string => {
  let at = resolve(path);
  while (!existsSync(at) && dirname(at) !== at) at = dirname(at);
  return at;
};

/** Reads a regular file of at most `most` bytes. Throws with its path where it is none, or larger, or not to be read. */
export const readRegular = (path: string, most = Number.POSITIVE_INFINITY): Buffer => {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new Error(`${path} does not exist`);
  if (stat.isDirectory()) throw new Error(`${path} is a folder, and a file is expected`);
  if (stat.size > most) throw new Error(`${path} is larger than ${most} bytes`);
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Error(`${path} is not read: ${(error as Error).message}`, { cause: error });
  }
};

/** Says what a file holds where nothing was written into it, as after a loss of power; undefined where something was. */
export const emptiness = (bytes: Uint8Array): string | undefined => {
  if (bytes.length === 0) return "is empty";
  return bytes.every((byte) => byte === 0) ? "holds zeros alone" : undefined;
};
