import { TASK_LIMITS as LIMITS } from "./limits.ts";
import { ERRNO } from "./wasi-abi.ts";

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

export interface FileNode {
  readonly kind: "file";
  readonly inode: bigint;
  readonly writable: boolean;
  /** The contents are the first `size` bytes. */
  data: Uint8Array;
  size: number;
  /** Open descriptors; what is unlinked counts until the last is closed. */
  open: number;
  links: number;
}

export interface Entry {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly node: Node;
}

export interface DirectoryNode {
  readonly kind: "directory";
  readonly inode: bigint;
  readonly writable: boolean;
  /** Sorted by the bytes of their names. */
  readonly entries: Entry[];
  parent: DirectoryNode | undefined;
  /** Upper bound of the bytes of its UnixFS block. */
  blockBytes: number;
  removed: boolean;
}
export type Node = FileNode | DirectoryNode;

/** Greatest bytes of a link in a dag-pb block beside its name: CID, sizes and tags. */
const LINK_BYTES = 50;

const find = (directory: DirectoryNode, bytes: Uint8Array): { at: number; found: boolean } => {
  let low = 0;
  let high = directory.entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = Buffer.compare(directory.entries[middle]!.bytes, bytes);
    if (order === 0) return { at: middle, found: true };
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return { at: low, found: false };
};

/** Levels between a directory and the root: `/out` has 1, which is also the depth below it of what it holds. */
const depthOf = (directory: DirectoryNode): number => {
  let depth = 0;
  for (let at = directory.parent; at; at = at.parent) depth++;
  return depth;
};

/**
 * The in-memory files of one task: `/in` read only, `/out` writable and bounded, names in the order of their bytes.
 * Every change is counted against the limits of TASK_LIMITS before it is made.
 */
export const createFileTree = (inputs: readonly { readonly name: string; readonly bytes: Uint8Array }[]) => {
  let inodes = 0n;
  let outputBytes = 0;
  let outputEntries = 0;

  const directory = (parent: DirectoryNode | undefined, writable: boolean): DirectoryNode => ({
    kind: "directory",
    inode: ++inodes,
    writable,
    entries: [],
    parent,
    blockBytes: 0,
    removed: false,
  });
  const file = (data: Uint8Array, writable: boolean): FileNode => ({
    kind: "file",
    inode: ++inodes,
    writable,
    data,
    size: data.length,
    open: 0,
    links: 1,
  });
  const insert = (parent: DirectoryNode, name: string, node: Node): void => {
    const bytes = Buffer.from(name, "utf8");
    const { at, found } = find(parent, bytes);
    if (found) throw new FileError(ERRNO.exist);
    parent.entries.splice(at, 0, { name, bytes, node });
    parent.blockBytes += LINK_BYTES + bytes.length;
  };
  const take = (parent: DirectoryNode, name: string): Entry => {
    const { at, found } = find(parent, Buffer.from(name, "utf8"));
    if (!found) throw new FileError(ERRNO.noent);
    const [entry] = parent.entries.splice(at, 1);
    parent.blockBytes -= LINK_BYTES + entry!.bytes.length;
    return entry!;
  };

  const root = directory(undefined, false);
  const inDirectory = directory(root, false);
  const outDirectory = directory(root, true);
  insert(root, "in", inDirectory);
  insert(root, "out", outDirectory);
  for (const { name, bytes } of inputs) insert(inDirectory, name, file(bytes, false));
  const stdout = file(new Uint8Array(0), true);
  const stderr = file(new Uint8Array(0), true);

  /** Counts growth of the output, negative for what is given back. */
  const count = (bytes: number, entries: number): void => {
    const total = outputBytes + bytes + entries * LIMITS.outputEntryBytes;
    if (total > LIMITS.outputBytes || outputEntries + entries > LIMITS.outputEntries) throw new OutputLimit();
    outputBytes = total;
    outputEntries += entries;
  };
  const mayHold = (parent: DirectoryNode, name: string): void => {
    if (!parent.writable) throw new FileError(ERRNO.rofs);
    if (parent.removed) throw new FileError(ERRNO.noent);
    if (depthOf(parent) > LIMITS.outputDepth) throw new OutputLimit();
    if (parent.blockBytes + LINK_BYTES + Buffer.byteLength(name) > LIMITS.directoryBytes) throw new OutputLimit();
  };
  const child = (parent: DirectoryNode, name: string): Node | undefined => {
    const { at, found } = find(parent, Buffer.from(name, "utf8"));
    return found ? parent.entries[at]!.node : undefined;
  };
  const release = (node: FileNode): void => {
    if (node.links > 0 || node.open > 0) return;
    count(-node.size, -1);
    node.data = new Uint8Array(0);
    node.size = 0;
  };
  const unlinked = (node: FileNode): void => {
    node.links = 0;
    release(node);
  };
  /** Height of the tree below a directory, itself 0. */
  const height = (node: Node): number =>
    node.kind === "file" ? 0 : node.entries.reduce((most, entry) => Math.max(most, 1 + height(entry.node)), 0);

  return {
    root,
    stdout,
    stderr,
    child,
    release,
    /** Makes an empty file. Throws FileError or OutputLimit. */
    createFile(parent: DirectoryNode, name: string): FileNode {
      mayHold(parent, name);
      if (child(parent, name)) throw new FileError(ERRNO.exist);
      count(0, 1);
      const node = file(new Uint8Array(0), true);
      insert(parent, name, node);
      return node;
    },
    createDirectory(parent: DirectoryNode, name: string): void {
      if (child(parent, name)) throw new FileError(ERRNO.exist);
      mayHold(parent, name);
      count(0, 1);
      insert(parent, name, directory(parent, true));
    },
    removeFile(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) throw new FileError(ERRNO.noent);
      if (node.kind === "directory") throw new FileError(ERRNO.isdir);
      if (!parent.writable) throw new FileError(ERRNO.rofs);
      take(parent, name);
      unlinked(node);
    },
    removeDirectory(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) throw new FileError(ERRNO.noent);
      if (node.kind === "file") throw new FileError(ERRNO.notdir);
      if (!parent.writable) throw new FileError(ERRNO.rofs);
      if (node.entries.length > 0) throw new FileError(ERRNO.notempty);
      take(parent, name);
      node.removed = true;
      count(0, -1);
    },
    rename(from: DirectoryNode, name: string, to: DirectoryNode, newName: string): void {
      const node = child(from, name);
      if (!node) throw new FileError(ERRNO.noent);
      if (!from.writable || !to.writable) throw new FileError(ERRNO.rofs);
      const target = child(to, newName);
      if (target === node) return;
      for (let at: DirectoryNode | undefined = to; at; at = at.parent)
        if (at === node) throw new FileError(ERRNO.inval);
      if (target) {
        if (target.kind === "directory" && node.kind === "file") throw new FileError(ERRNO.isdir);
        if (target.kind === "file" && node.kind === "directory") throw new FileError(ERRNO.notdir);
        if (target.kind === "directory" && target.entries.length > 0) throw new FileError(ERRNO.notempty);
      }
      if (!target) mayHold(to, newName);
      if (depthOf(to) + height(node) > LIMITS.outputDepth) throw new OutputLimit();
      if (target) {
        take(to, newName);
        if (target.kind === "file") unlinked(target);
        else {
          target.removed = true;
          count(0, -1);
        }
      }
      take(from, name);
      insert(to, newName, node);
      if (node.kind === "directory") node.parent = to;
    },
    /** Sets a file's size; what is added is zero. */
    resize(node: FileNode, size: number): void {
      count(size - node.size, 0);
      if (size > node.data.length) reserve(node, size);
      else if (size < node.size) node.data.fill(0, size, node.size);
      node.size = size;
    },
    /** Writes at an offset, growing the file as needed; a gap is zero. */
    write(node: FileNode, offset: number, bytes: Uint8Array): void {
      const end = offset + bytes.length;
      if (bytes.length === 0) return;
      if (end > node.size) {
        count(end - node.size, 0);
        if (end > node.data.length) reserve(node, end);
        node.size = end;
      }
      node.data.set(bytes, offset);
    },
    /** Gives what is to be hashed: `stdout`, `stderr`, `out/…`; a directory without files has a name that ends in /. */
    files(): Map<string, Uint8Array> {
      const out = new Map<string, Uint8Array>();
      const walk = (node: Node, path: string): void => {
        if (node.kind === "file") out.set(path, node.data.slice(0, node.size));
        else if (node.entries.length === 0) out.set(`${path}/`, new Uint8Array(0));
        else for (const entry of node.entries) walk(entry.node, `${path}/${entry.name}`);
      };
      walk(outDirectory, "out");
      walk(stderr, "stderr");
      walk(stdout, "stdout");
      return out;
    },
  };
};
export type FileTree = ReturnType<typeof createFileTree>;

const reserve = (node: FileNode, size: number): void => {
  const larger = new Uint8Array(Math.max(size, Math.min(2 * node.data.length, LIMITS.outputBytes), 256));
  larger.set(node.data.subarray(0, node.size));
  node.data = larger;
};
