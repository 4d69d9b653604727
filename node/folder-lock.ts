import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseLockedError, openDb } from "../chain/db.ts";
import { diskFault } from "../lib/disk.ts";
import { makeFolder, readJson, writeNote } from "./folder.ts";
import { REMEDIES } from "./remedies.ts";

/** Another program has the folder. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
}

/** A folder that this program has to itself. */
export interface FolderLock {
  /** Lets go of it; the system does so too, however the process ends. */
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  readonly program: string;
}

/** Tells who has a folder, as far as is known: a word for people, no lock. */
const holderOf = (path: string): string => {
  try {
    const { pid, program } = readJson<Holder>(path, REMEDIES.note)!;
    return `process ${pid} (rolec ${program})`;
  } catch {
    return "another process";
  }
};

/**
 * Tells whether a program has a folder; undefined where that is not known. A process id alone does not say: the system gives it
 * to others.
 */
export const isFolderInUse = async (folder: string): Promise<boolean | undefined> => {
  const lock = join(folder, "lock");
  if (!existsSync(lock)) return undefined;
  try {
    await (await openDb(lock)).close();
    return false;
  } catch (error) {
    return error instanceof DatabaseLockedError ? true : undefined;
  }
};

/**
 * Takes a folder for one program, and makes a new one. Throws FolderInUseError, which names folder and process, where another program
 * has it. The lock is LevelDB's, which the system keeps: it ends with its process, and no other process id is taken for it. Who asks in vain,
 * here or by `isFolderInUse`, leaves a trace in LevelDB's own LOG and LOG.old alone, which nobody reads: the database holds nothing, and all
 * others of the folder are opened by who has the lock.
 */
export const lockFolder = async (folder: string, program: string): Promise<FolderLock> => {
  makeFolder(folder);
  const lock = join(folder, "lock");
  const holder = join(lock, "holder.json");
  const db = await openDb(lock, { remedy: REMEDIES.lock }).catch((error: Error) => {
    throw error instanceof DatabaseLockedError
      ? new FolderInUseError(`${folder} is in use by ${holderOf(holder)}: one folder is for one program at a time`)
      : error;
  });
  try {
    writeNote(holder, `${JSON.stringify({ pid: process.pid, program } satisfies Holder)}\n`);
  } catch (error) {
    await db.close();
    throw diskFault(folder, error as Error);
  }
  return { release: () => db.close() };
};
