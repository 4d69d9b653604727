import type { Area } from "./file-areas.ts";

/** A call would write more than a task may: it has no effect, and the task ends with OUTPUT_LIMIT. */
export class OutputLimit extends Error {
  constructor() {
    super("the output is at its limit");
    this.name = "OutputLimit";
  }
}

/** A file system call fails with a WASI error number. */
export class FileError extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

/** Fails with an error number of ERRNO. */
export const fail: (errno: number) => never = (errno) => {
  throw new FileError(errno);
};

interface Inode {
  readonly inode: bigint;
  /** Where it counts; undefined: it is read only. */
  readonly area: Area | undefined;
  /** Nanoseconds; undefined until they are set: the start of the task. */
  accessedNs: bigint | undefined;
  modifiedNs: bigint | undefined;
}

/** What names in directories share: hard links to it, and open descriptors that keep it when the last is gone. */
interface Linked {
  size: number;
  links: number;
  open: number;
}

export interface FileNode extends Inode, Linked {
  readonly kind: "file";
  /** The contents are the first `size` bytes. */
  data: Uint8Array;
}

export interface LinkNode extends Inode, Linked {
  readonly kind: "link";
  readonly target: string;
}

/** A file of `/dev`. */
export interface DeviceNode extends Inode, Linked {
  readonly kind: "device";
  /** What opening it gives: a standard stream, nothing, or the task's randomness. */
  readonly device: "stdin" | "stdout" | "stderr" | "null" | "random";
}

/** What listings show of an entry. They keep it when the entry is gone, so it leads to nothing that counts: contents, targets of links. */
export interface Shown {
  /** The name. */
  readonly bytes: Uint8Array;
  readonly inode: bigint;
  readonly kind: Node["kind"];
}

export interface Entry {
  readonly name: string;
  readonly node: Node;
  readonly shown: Shown;
}

export interface DirectoryNode extends Inode {
  readonly kind: "directory";
  /** Sorted by the bytes of their names. */
  readonly entries: Entry[];
  parent: DirectoryNode | undefined;
  /** Upper bound of the bytes of its UnixFS block. */
  blockBytes: number;
  removed: boolean;
}

export type Node = FileNode | LinkNode | DeviceNode | DirectoryNode;
