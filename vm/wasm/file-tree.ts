import {
  type DirectoryNode,
  type Entry,
  type FileNode,
  fail,
  type LinkNode,
  type Node,
  OutputLimit,
} from "./file-nodes.ts";
import { pathOf } from "./task.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO } from "./wasi-abi.ts";

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

/** Height of the tree below a node, itself 0. Looks at each entry in it. */
const heightOf = (node: Node): number =>
  node.kind === "directory" ? node.entries.reduce((most, entry) => Math.max(most, 1 + heightOf(entry.node)), 0) : 0;

/** Counts the entries in and below a node. Looks at each. */
export const entriesBelow = (node: Node): number =>
  node.kind === "directory" ? node.entries.reduce((sum, entry) => sum + 1 + entriesBelow(entry.node), 0) : 0;

/** How often the contents stand in the results: once for each name, once for what is open and has none. */
const copiesOf = (node: FileNode | LinkNode): number => (node.links === 0 && node.open > 0 ? 1 : node.links);

const reserve = (node: FileNode, size: number, most: number): void => {
  const larger = new Uint8Array(Math.max(size, Math.min(2 * node.data.length, most), 256));
  larger.set(node.data.subarray(0, node.size));
  node.data = larger;
};

/**
 * The in-memory files of one task: `/in` read only, `/out` writable and bounded, names in the order of their bytes.
 * Every change is counted against the limits of a task before it is made; a file of two names counts twice, since
 * the results hold it twice. Calls throw FileError, and OutputLimit where there is no room.
 */
export const createFileTree = (
  inputs: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  { taskLimits: limits, gas }: VmRules,
) => {
  let inodes = 0n;
  let outputBytes = 0;
  let outputEntries = 0;
  /** Gas of the most that the output has held: what grows again where something was removed is not paid twice. */
  let paid = 0;
  let pay: (gas: number) => void = () => {};

  const inode = (writable: boolean) => ({
    inode: ++inodes,
    writable,
    accessedNs: undefined,
    modifiedNs: undefined,
  });
  const directory = (parent: DirectoryNode | undefined, writable: boolean): DirectoryNode => ({
    kind: "directory",
    ...inode(writable),
    entries: [],
    parent,
    blockBytes: 0,
    removed: false,
  });
  const file = (data: Uint8Array, writable: boolean): FileNode => ({
    kind: "file",
    ...inode(writable),
    data,
    size: data.length,
    open: 0,
    links: 1,
  });
  const insert = (parent: DirectoryNode, name: string, node: Node): void => {
    const bytes = Buffer.from(name, "utf8");
    const { at, found } = find(parent, bytes);
    if (found) fail(ERRNO.exist);
    parent.entries.splice(at, 0, { name, bytes, node });
    parent.blockBytes += LINK_BYTES + bytes.length;
  };
  const take = (parent: DirectoryNode, name: string): Entry => {
    const { at, found } = find(parent, Buffer.from(name, "utf8"));
    if (!found) fail(ERRNO.noent);
    const [entry] = parent.entries.splice(at, 1);
    parent.blockBytes -= LINK_BYTES + entry!.bytes.length;
    return entry!;
  };

  const child = (parent: DirectoryNode, name: string): Node | undefined => {
    const { at, found } = find(parent, Buffer.from(name, "utf8"));
    return found ? parent.entries[at]!.node : undefined;
  };
  /** Gives a folder that inputs are in, made if need be. */
  const folderIn = (parent: DirectoryNode, name: string): DirectoryNode => {
    const known = child(parent, name);
    if (known) return known.kind === "directory" ? known : fail(ERRNO.notdir);
    const made = directory(parent, false);
    insert(parent, name, made);
    return made;
  };

  const root = directory(undefined, false);
  const inDirectory = directory(root, false);
  const outDirectory = directory(root, true);
  insert(root, "in", inDirectory);
  insert(root, "out", outDirectory);
  for (const { name, bytes } of inputs) {
    const path = [...pathOf(name)];
    const own = path.pop()!;
    insert(path.reduce(folderIn, root), own, file(bytes, false));
  }
  const stdout = file(new Uint8Array(0), true);
  const stderr = file(new Uint8Array(0), true);

  /** Counts growth of the output, negative for what is given back. */
  const count = (bytes: number, entries: number): void => {
    const total = outputBytes + bytes + entries * limits.outputEntryBytes;
    if (total > limits.outputBytes || outputEntries + entries > limits.outputEntries) throw new OutputLimit();
    const price = total * gas.outputByte + (outputEntries + entries) * gas.outputEntry;
    if (price > paid) {
      pay(price - paid);
      paid = price;
    }
    outputBytes = total;
    outputEntries += entries;
  };
  const mayHold = (parent: DirectoryNode, name: string): void => {
    if (!parent.writable) fail(ERRNO.rofs);
    if (parent.removed) fail(ERRNO.noent);
    if (depthOf(parent) > limits.outputDepth) throw new OutputLimit();
    if (parent.blockBytes + LINK_BYTES + Buffer.byteLength(name) > limits.directoryBytes) throw new OutputLimit();
  };
  /** Changes how many names or descriptors hold a node, and counts what that makes of it. */
  const recount = (node: FileNode | LinkNode, change: () => void): void => {
    const before = copiesOf(node);
    change();
    const copies = copiesOf(node) - before;
    if (node.writable) count(copies * node.size, copies);
    if (copiesOf(node) > 0 || node.kind !== "file") return;
    node.data = new Uint8Array(0);
    node.size = 0;
  };
  const unlink = (node: FileNode | LinkNode): void => recount(node, () => node.links--);

  return {
    root,
    stdout,
    stderr,
    child,
    /** Has a payer take the gas of output that becomes larger than ever before; where that throws, it does not. */
    meter(payer: (gas: number) => void): void {
      pay = payer;
    },
    /** Counts a descriptor that is opened on a file. */
    open(node: FileNode): void {
      node.open++;
    },
    /** Counts a descriptor that is closed; a file without names and descriptors is gone. */
    release(node: FileNode): void {
      recount(node, () => node.open--);
    },
    /** Makes an empty file. */
    createFile(parent: DirectoryNode, name: string): FileNode {
      mayHold(parent, name);
      if (child(parent, name)) fail(ERRNO.exist);
      count(0, 1);
      const node = file(new Uint8Array(0), true);
      insert(parent, name, node);
      return node;
    },
    createDirectory(parent: DirectoryNode, name: string): DirectoryNode {
      if (child(parent, name)) fail(ERRNO.exist);
      mayHold(parent, name);
      count(0, 1);
      const node = directory(parent, true);
      insert(parent, name, node);
      return node;
    },
    /** Makes a symbolic link; it is for the task alone, the results do not show it. */
    createLink(parent: DirectoryNode, name: string, target: string): void {
      if (child(parent, name)) fail(ERRNO.exist);
      mayHold(parent, name);
      const size = Buffer.byteLength(target);
      count(size, 1);
      insert(parent, name, { kind: "link", ...inode(true), target, size, links: 1, open: 0 });
    },
    /** Gives a file of `/out` another name. */
    addName(node: Node, parent: DirectoryNode, name: string): void {
      if (child(parent, name)) fail(ERRNO.exist);
      if (node.kind === "directory") fail(ERRNO.perm);
      mayHold(parent, name);
      if (!node.writable) fail(ERRNO.xdev);
      count(node.size, 1);
      node.links++;
      insert(parent, name, node);
    },
    removeFile(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) fail(ERRNO.noent);
      if (node.kind === "directory") fail(ERRNO.isdir);
      if (!parent.writable) fail(ERRNO.rofs);
      take(parent, name);
      unlink(node);
    },
    removeDirectory(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) fail(ERRNO.noent);
      if (node.kind !== "directory") fail(ERRNO.notdir);
      if (!parent.writable) fail(ERRNO.rofs);
      if (node.entries.length > 0) fail(ERRNO.notempty);
      take(parent, name);
      node.removed = true;
      count(0, -1);
    },
    rename(from: DirectoryNode, name: string, to: DirectoryNode, newName: string): void {
      const node = child(from, name);
      if (!node) fail(ERRNO.noent);
      if (!from.writable || !to.writable) fail(ERRNO.rofs);
      const target = child(to, newName);
      if (target === node) return;
      for (let at: DirectoryNode | undefined = to; at; at = at.parent) if (at === node) fail(ERRNO.inval);
      if (target?.kind === "directory") {
        if (node.kind !== "directory") fail(ERRNO.isdir);
        if (target.entries.length > 0) fail(ERRNO.notempty);
      } else if (target && node.kind === "directory") fail(ERRNO.notdir);
      if (!target) mayHold(to, newName);
      if (depthOf(to) + heightOf(node) > limits.outputDepth) throw new OutputLimit();
      if (target) {
        take(to, newName);
        if (target.kind !== "directory") unlink(target);
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
      count((size - node.size) * copiesOf(node), 0);
      if (size > node.data.length) reserve(node, size, limits.outputBytes);
      else if (size < node.size) node.data.fill(0, size, node.size);
      node.size = size;
    },
    /** Writes at an offset, growing the file as needed; a gap is zero. */
    write(node: FileNode, offset: number, bytes: Uint8Array): void {
      const end = offset + bytes.length;
      if (bytes.length === 0) return;
      if (end > node.size) {
        count((end - node.size) * copiesOf(node), 0);
        if (end > node.data.length) reserve(node, end, limits.outputBytes);
        node.size = end;
      }
      node.data.set(bytes, offset);
    },
    /**
     * Gives what is to be hashed: `stdout`, `stderr`, `out/…`; a directory without files has a name that ends in /.
     * Symbolic links are left out.
     */
    files(): Map<string, Uint8Array> {
      const out = new Map<string, Uint8Array>();
      const walk = (node: FileNode | DirectoryNode, path: string): void => {
        if (node.kind === "file") {
          out.set(path, node.data.slice(0, node.size));
          return;
        }
        let isEmpty = true;
        for (const entry of node.entries) {
          if (entry.node.kind === "link") continue;
          isEmpty = false;
          walk(entry.node, `${path}/${entry.name}`);
        }
        if (isEmpty) out.set(`${path}/`, new Uint8Array(0));
      };
      walk(outDirectory, "out");
      walk(stderr, "stderr");
      walk(stdout, "stdout");
      return out;
    },
  };
};
export type FileTree = ReturnType<typeof createFileTree>;
