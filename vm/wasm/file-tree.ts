import { type Area, createOutputArea, createScratchArea } from "./file-areas.ts";
import { type DeviceNode, type DirectoryNode, type Entry, type FileNode, fail, type Node } from "./file-nodes.ts";
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
    const order = Buffer.compare(directory.entries[middle]!.shown.bytes, bytes);
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

/** Has `pay` take the price of the entries in and below a node, each directory's before they are looked at. */
export const payForEntries = (node: Node, price: number, pay: (gas: number) => void): void => {
  if (node.kind !== "directory") return;
  pay(node.entries.length * price);
  for (const entry of node.entries) payForEntries(entry.node, price, pay);
};

/** How often the contents stand in the results: once for each name, once for what is open and has none. */
const copiesOf = (node: Exclude<Node, DirectoryNode>): number => (node.links === 0 && node.open > 0 ? 1 : node.links);

/** The least that is allocated for a file with contents. */
const LEAST_CAPACITY = 256;

const DEVICES: readonly (readonly [name: string, device: DeviceNode["device"]])[] = [
  ["null", "null"],
  ["random", "random"],
  ["stderr", "stderr"],
  ["stdin", "stdin"],
  ["stdout", "stdout"],
  ["urandom", "random"],
];

/**
 * The in-memory files of one task: `/in` read only, `/out` and `/tmp` writable and bounded, `/dev`; names in the order of
 * their bytes. Every change is counted against the limits of a task before it is made; a file of two names counts twice,
 * since the results hold it twice. What the tree allocates, zeroes and copies is paid before it is done. Calls throw
 * FileError, and OutputLimit where there is no room in `/out`.
 */
export const createFileTree = (
  inputs: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  rules: VmRules,
) => {
  let inodes = 0n;
  let pay: (gas: number) => void = () => {};
  const output = createOutputArea(rules, (gas) => pay(gas));

  const inode = (area: Area | undefined) => ({
    inode: ++inodes,
    area,
    accessedNs: undefined,
    modifiedNs: undefined,
  });
  const directory = (parent: DirectoryNode | undefined, area: Area | undefined): DirectoryNode => ({
    kind: "directory",
    ...inode(area),
    entries: [],
    parent,
    blockBytes: 0,
    removed: false,
  });
  const file = (data: Uint8Array, area: Area | undefined): FileNode => ({
    kind: "file",
    ...inode(area),
    data,
    size: data.length,
    open: 0,
    links: 1,
  });
  const insert = (parent: DirectoryNode, name: string, node: Node): void => {
    const bytes = Buffer.from(name, "utf8");
    const { at, found } = find(parent, bytes);
    if (found) fail(ERRNO.exist);
    parent.entries.splice(at, 0, { name, node, shown: { bytes, inode: node.inode, kind: node.kind } });
    parent.blockBytes += LINK_BYTES + bytes.length;
  };
  const take = (parent: DirectoryNode, name: string): Entry => {
    const { at, found } = find(parent, Buffer.from(name, "utf8"));
    if (!found) fail(ERRNO.noent);
    const [entry] = parent.entries.splice(at, 1);
    parent.blockBytes -= LINK_BYTES + entry!.shown.bytes.length;
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
    const made = directory(parent, undefined);
    insert(parent, name, made);
    return made;
  };

  const root = directory(undefined, undefined);
  const inDirectory = directory(root, undefined);
  const outDirectory = directory(root, output);
  insert(root, "in", inDirectory);
  insert(root, "out", outDirectory);
  for (const { name, bytes } of inputs) {
    const path = [...pathOf(name)];
    const own = path.pop()!;
    insert(path.reduce(folderIn, root), own, file(bytes, undefined));
  }
  const stdout = file(new Uint8Array(0), output);
  const stderr = file(new Uint8Array(0), output);
  if (rules.taskLimits.scratchEntries > 0) {
    insert(root, "tmp", directory(root, createScratchArea(rules)));
    const devices = directory(root, undefined);
    insert(root, "dev", devices);
    for (const [name, device] of DEVICES)
      insert(devices, name, { kind: "device", ...inode(undefined), device, size: 0, links: 1, open: 0 });
  }

  /** Pays for moving the entries of a directory that is to have others, and gives its area. */
  const mayChange = ({ area, entries }: DirectoryNode): Area => {
    if (!area) return fail(ERRNO.rofs);
    pay(entries.length * rules.gas.movedEntry);
    return area;
  };
  /** As mayChange, for a new name. */
  const mayHold = (parent: DirectoryNode, name: string): Area => {
    const area = mayChange(parent);
    if (parent.removed) fail(ERRNO.noent);
    if (depthOf(parent) > area.depth) area.full();
    if (parent.blockBytes + LINK_BYTES + Buffer.byteLength(name) > area.directoryBytes) area.full();
    return area;
  };
  /** Pays for bytes that are allocated, zeroed or copied. */
  const payForBytes = (bytes: number): void => pay(bytes * rules.gas.treeByte);
  /** Gives a file room of `capacity` bytes, with what of its contents fits. */
  const move = (node: FileNode, capacity: number): void => {
    const kept = Math.min(node.size, capacity);
    payForBytes(capacity + kept);
    const data = new Uint8Array(capacity);
    data.set(node.data.subarray(0, kept));
    node.data = data;
  };
  /** Gives a file room for `size` bytes, and more the more it has, so that one that grows is not moved each time. */
  const reserve = (node: FileNode, size: number, most: number): void =>
    move(node, Math.max(size, Math.min(2 * node.data.length, most), LEAST_CAPACITY));
  /** Changes how many names or descriptors hold a node, and counts what that makes of it. */
  const recount = (node: Exclude<Node, DirectoryNode>, change: () => void): void => {
    const before = copiesOf(node);
    change();
    const copies = copiesOf(node) - before;
    node.area?.count(copies * node.size, copies);
    if (copiesOf(node) > 0 || node.kind !== "file") return;
    node.data = new Uint8Array(0);
    node.size = 0;
  };
  const unlink = (node: Exclude<Node, DirectoryNode>): void => recount(node, () => node.links--);

  return {
    root,
    stdout,
    stderr,
    child,
    /** Has a payer take the gas of each change before it is made; where that throws, it is not. */
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
      const area = mayHold(parent, name);
      if (child(parent, name)) fail(ERRNO.exist);
      area.count(0, 1);
      const node = file(new Uint8Array(0), area);
      insert(parent, name, node);
      return node;
    },
    createDirectory(parent: DirectoryNode, name: string): DirectoryNode {
      if (child(parent, name)) fail(ERRNO.exist);
      const area = mayHold(parent, name);
      area.count(0, 1);
      const node = directory(parent, area);
      insert(parent, name, node);
      return node;
    },
    /** Makes a symbolic link; it is for the task alone, the results do not show it. */
    createLink(parent: DirectoryNode, name: string, target: string): void {
      if (child(parent, name)) fail(ERRNO.exist);
      const area = mayHold(parent, name);
      const size = Buffer.byteLength(target);
      area.count(size, 1);
      insert(parent, name, { kind: "link", ...inode(area), target, size, links: 1, open: 0 });
    },
    /** Gives a file another name in its area. */
    addName(node: Node, parent: DirectoryNode, name: string): void {
      if (child(parent, name)) fail(ERRNO.exist);
      if (node.kind === "directory") fail(ERRNO.perm);
      const area = mayHold(parent, name);
      if (node.area !== area) fail(ERRNO.xdev);
      area.count(node.size, 1);
      node.links++;
      insert(parent, name, node);
    },
    removeFile(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) fail(ERRNO.noent);
      if (node.kind === "directory") fail(ERRNO.isdir);
      mayChange(parent);
      take(parent, name);
      unlink(node);
    },
    removeDirectory(parent: DirectoryNode, name: string): void {
      const node = child(parent, name);
      if (!node) fail(ERRNO.noent);
      if (node.kind !== "directory") fail(ERRNO.notdir);
      mayChange(parent);
      if (node.entries.length > 0) fail(ERRNO.notempty);
      take(parent, name);
      node.removed = true;
      node.area?.count(0, -1);
    },
    /** Gives an entry another name or directory of its area. */
    rename(from: DirectoryNode, name: string, to: DirectoryNode, newName: string): void {
      const node = child(from, name);
      if (!node) fail(ERRNO.noent);
      const area = mayChange(to);
      if (mayChange(from) !== area) fail(ERRNO.xdev);
      const target = child(to, newName);
      if (target === node) return;
      for (let at: DirectoryNode | undefined = to; at; at = at.parent) if (at === node) fail(ERRNO.inval);
      if (target?.kind === "directory") {
        if (node.kind !== "directory") fail(ERRNO.isdir);
        if (target.entries.length > 0) fail(ERRNO.notempty);
      } else if (target && node.kind === "directory") fail(ERRNO.notdir);
      if (!target) mayHold(to, newName);
      if (depthOf(to) + heightOf(node) > area.depth) area.full();
      if (target) {
        take(to, newName);
        if (target.kind !== "directory") unlink(target);
        else {
          target.removed = true;
          area.count(0, -1);
        }
      }
      take(from, name);
      insert(to, newName, node);
      if (node.kind === "directory") node.parent = to;
    },
    /** Sets a file's size; what is added is zero. */
    resize(node: FileNode, size: number): void {
      const area = node.area ?? fail(ERRNO.rofs);
      const growth = (size - node.size) * copiesOf(node);
      area.check(growth, 0);
      if (size > node.data.length) reserve(node, size, area.bytes);
      // What a file holds bounds what is allocated for it.
      else if (2 * size < node.data.length && size < node.size) move(node, size);
      else if (size < node.size) {
        payForBytes(node.size - size);
        node.data.fill(0, size, node.size);
      }
      area.count(growth, 0);
      node.size = size;
    },
    /** Writes at an offset, growing the file as needed; a gap is zero. */
    write(node: FileNode, offset: number, bytes: Uint8Array): void {
      const area = node.area ?? fail(ERRNO.rofs);
      const end = offset + bytes.length;
      if (bytes.length === 0) return;
      const growth = Math.max(0, end - node.size) * copiesOf(node);
      area.check(growth, 0);
      payForBytes(bytes.length);
      if (end > node.data.length) reserve(node, end, area.bytes);
      area.count(growth, 0);
      node.size = Math.max(node.size, end);
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
          if (entry.node.kind === "link" || entry.node.kind === "device") continue;
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
