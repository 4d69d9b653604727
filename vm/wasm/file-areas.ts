import { fail, OutputLimit } from "./file-nodes.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO } from "./wasi-abi.ts";

/** A part of the file tree that a task may write. */
export interface Area {
  /** Bytes of all contents, and entryBytes for each entry. */
  readonly bytes: number;
  readonly entries: number;
  /** Levels below the area's own directory. */
  readonly depth: number;
  /** Greatest upper bound of the UnixFS block of one directory. */
  readonly directoryBytes: number;
  /** What happens where something is over one of these limits. */
  full(): never;
  /** Throws where there is no room for more. */
  check(bytes: number, entries: number): void;
  /** Counts growth, negative for what is given back. Throws before anything is counted where there is no room, or no gas. */
  count(bytes: number, entries: number): void;
}

type Limits = Omit<Area, "full" | "check" | "count"> & { readonly entryBytes: number };

const createArea = (
  { entryBytes, ...limits }: Limits,
  full: () => never,
  grow: (bytes: number, entries: number) => void,
): Area => {
  let bytes = 0;
  let entries = 0;
  const check = (moreBytes: number, moreEntries: number): number => {
    const total = bytes + moreBytes + moreEntries * entryBytes;
    return total > limits.bytes || entries + moreEntries > limits.entries ? full() : total;
  };
  return {
    ...limits,
    full,
    check,
    count(moreBytes, moreEntries) {
      const total = check(moreBytes, moreEntries);
      grow(total, entries + moreEntries);
      bytes = total;
      entries += moreEntries;
    },
  };
};

/** Makes the area of the results. The most that it has held is paid for, once: what takes the place of something else is paid. */
export const createOutputArea = ({ taskLimits, gas }: VmRules, pay: (gas: number) => void): Area => {
  let paid = 0;
  const limits = {
    bytes: taskLimits.outputBytes,
    entries: taskLimits.outputEntries,
    entryBytes: taskLimits.outputEntryBytes,
    depth: taskLimits.outputDepth,
    directoryBytes: taskLimits.directoryBytes,
  };
  const full = (): never => {
    throw new OutputLimit();
  };
  return createArea(limits, full, (bytes, entries) => {
    const price = bytes * gas.outputByte + entries * gas.outputEntry;
    if (price <= paid) return;
    pay(price - paid);
    paid = price;
  });
};

/** Makes the area of `/tmp`: it is in no result, so its bytes cost what the tree does with them, and a full one is the program's to see. */
export const createScratchArea = ({ taskLimits }: VmRules): Area =>
  createArea(
    {
      bytes: taskLimits.scratchBytes,
      entries: taskLimits.scratchEntries,
      entryBytes: taskLimits.outputEntryBytes,
      depth: taskLimits.scratchDepth,
      directoryBytes: Number.POSITIVE_INFINITY,
    },
    () => fail(ERRNO.nospc),
    () => {},
  );
