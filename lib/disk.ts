import { statfsSync } from "node:fs";
import { type Rule, thrower } from "./rule-error.ts";

/** The rule of a disk that many write to (spec section 12). */
export const DISK_RULES = {
  /** The disk keeps its last bytes for what a node cannot do without. */
  "disk-reserve": { verdict: "retry", section: "12" },
} as const satisfies Record<string, Rule>;

const fail: (code: keyof typeof DISK_RULES, detail: string) => never = thrower(DISK_RULES);

const MIB = 1024 * 1024;
/** What is kept free unless the owner says otherwise, in MiB. */
export const DEFAULT_RESERVE_MIB = 256;

/** The disk of a folder, which foreign data may fill up to a reserve. */
export interface Disk {
  /** Bytes above the reserve; less than 0 below it. */
  left(): number;
  /** Asks before so many bytes are written. Throws RuleError "disk-reserve" where the reserve would not be left. */
  check(bytes: number): void;
  /** Why nothing that can wait is written now; undefined above the reserve. */
  shortage(): string | undefined;
}

/** Makes what tells the free bytes of the disk that a folder is on: all there are, where the system does not say. */
export const freeBytesOf =
  (folder: string): (() => number) =>
  () => {
    try {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    } catch {
      return Number.POSITIVE_INFINITY;
    }
  };

/** Tells the bytes of the disk that a folder is on, full or not: without an end, where the system does not say. */
export const sizeOfDisk = (folder: string): number => {
  try {
    const { blocks, bsize } = statfsSync(folder);
    return blocks * bsize;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
};

/** Watches a disk. `free` tells its free bytes, asked each time: some us. */
export const createDisk = (free: () => number, reserveMib: number = DEFAULT_RESERVE_MIB): Disk => {
  const reserve = reserveMib * MIB;
  const words = (bytes: number): string =>
    `the disk has ${Math.floor(bytes / MIB)} MiB left, and keeps ${reserveMib} MiB for what cannot wait`;
  return {
    left: () => free() - reserve,
    check: (bytes) => {
      const now = free();
      if (now - bytes >= reserve) return;
      const more = now < reserve ? "" : `: no room for the ${Math.ceil(bytes / MIB)} MiB that are on their way`;
      fail("disk-reserve", `${words(now)}${more}`);
    },
    shortage: () => {
      const now = free();
      return now < reserve ? words(now) : undefined;
    },
  };
};

/** A disk without an end. */
export const boundlessDisk: Disk = createDisk(() => Number.POSITIVE_INFINITY);

/** Tells whether an error says that a disk is full, or its owner's share of it. */
export const isDiskFull = (error: unknown): boolean => {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT" || /no space left on device|disk quota exceeded/i.test(at.message))
      return true;
  }
  return false;
};

/** What the system says of a disk, whoever asked for what. */
const DISK_CODES = new Set(["ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG"]);

/**
 * Says what is wrong with a program's own folder; undefined where an error is not of a file: of a connection, a process that
 * does not start, or what a node answered.
 */
export const folderFault = (folder: string, error: unknown): string | undefined => {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code, path, syscall } = at as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") return `the disk of ${folder} is full: make room on it`;
    const isFile = path !== undefined && syscall !== "connect" && !syscall?.startsWith("spawn");
    if (isFile || DISK_CODES.has(code ?? "")) return `the folder ${folder} is not read or written: ${at.message}`;
  }
  return undefined;
};

/** Names the folder that an error of the disk came from, and what to do; other errors stay as they are. */
export const diskFault = (folder: string, error: Error): Error =>
  isDiskFull(error)
    ? new Error(`the disk of ${folder} is full: make room on it, then start again`, { cause: error })
    : error;
