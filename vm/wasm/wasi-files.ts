import {
  type DirectoryNode,
  type Entry,
  FileError,
  type FileNode,
  type FileTree,
  type Node,
  OutputLimit,
} from "./file-tree.ts";
import { GAS } from "./gas.ts";
import { TASK_LIMITS as LIMITS } from "./limits.ts";
import { ALL_RIGHTS, ERRNO, FDFLAG, FILETYPE, OFLAG, RIGHT } from "./wasi-abi.ts";
import type { Host } from "./wasi-host.ts";

interface Descriptor {
  /** Undefined: the empty standard input. */
  readonly node: Node | undefined;
  readonly standard: boolean;
  readonly preopen: boolean;
  readonly readable: boolean;
  readonly writable: boolean;
  append: boolean;
  offset: number;
  /** The entries that fd_readdir goes through, taken when it starts. */
  listing: readonly Entry[];
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);
/** Gas of an entry that a listing copies. */
const LISTING_ENTRY = 8;

const fail = (errno: number): never => {
  throw new FileError(errno);
};

const toOffset = (value: bigint): number => (value < 0n || value > MAX_OFFSET ? fail(ERRNO.inval) : Number(value));

/** Makes the file functions of WASI preview 1 over a tree: a root `/` as descriptor 3, standard streams as 0, 1, 2. */
export const createFileCalls = (host: Host, tree: FileTree, timeNs: bigint) => {
  const descriptor = (node: Node | undefined, fields: Partial<Descriptor> = {}): Descriptor => ({
    node,
    standard: false,
    preopen: false,
    readable: true,
    writable: false,
    append: false,
    offset: 0,
    listing: [],
    ...fields,
  });
  const descriptors: (Descriptor | undefined)[] = [
    descriptor(undefined, { standard: true }),
    descriptor(tree.stdout, { standard: true, readable: false, writable: true, append: true }),
    descriptor(tree.stderr, { standard: true, readable: false, writable: true, append: true }),
    descriptor(tree.root, { preopen: true }),
  ];

  const get = (fd: number): Descriptor => descriptors[fd >>> 0] ?? fail(ERRNO.badf);
  const getFile = (fd: number): Descriptor & { node: FileNode } => {
    const found = get(fd);
    if (!found.node) return fail(ERRNO.badf);
    if (found.node.kind === "directory") return fail(ERRNO.isdir);
    return found as Descriptor & { node: FileNode };
  };
  const getDirectory = (fd: number): Descriptor & { node: DirectoryNode } => {
    const found = get(fd);
    if (found.node?.kind !== "directory") return fail(ERRNO.notdir);
    return found as Descriptor & { node: DirectoryNode };
  };
  const close = (fd: number): void => {
    const { node, standard } = get(fd);
    descriptors[fd >>> 0] = undefined;
    if (node?.kind !== "file" || standard) return;
    node.open--;
    tree.release(node);
  };

  /** Reads the buffers of a vectored call and charges for them. */
  const buffers = (at: number, count: number): Uint8Array[] => {
    host.charge((count >>> 0) * 16);
    const out: Uint8Array[] = [];
    for (let i = 0; i < count >>> 0; i++) {
      const place = (at >>> 0) + 8 * i;
      out.push(host.slice(host.readU32(place), host.readU32(place + 4)));
    }
    return out;
  };
  const read = (node: FileNode | undefined, offset: number, into: readonly Uint8Array[]): number => {
    let at = offset;
    for (const buffer of into) {
      const count = node ? Math.max(0, Math.min(buffer.length, node.size - at)) : 0;
      host.charge(count * GAS.hostByte);
      if (count > 0) buffer.set(node!.data.subarray(at, at + count));
      at += count;
      if (count < buffer.length) break;
    }
    return at - offset;
  };
  /** Writes all buffers, or nothing at all where the limit of the output does not allow it. */
  const write = (node: FileNode, offset: number, from: readonly Uint8Array[]): number => {
    let total = 0;
    for (const buffer of from) total += buffer.length;
    host.charge(total * GAS.hostByte);
    if (total > LIMITS.outputBytes) throw new OutputLimit();
    const joined = from.length === 1 ? from[0]! : Buffer.concat(from);
    tree.write(node, offset, joined);
    return total;
  };

  interface Place {
    readonly parent: DirectoryNode;
    /** Undefined: the path names the directory `parent` itself. */
    readonly name: string | undefined;
    readonly node: Node | undefined;
    readonly mustBeDirectory: boolean;
  }
  /** Finds what a path names. A path may not leave the directory that it starts from. */
  const resolve = (fd: number, at: number, length: number): Place => {
    if (length >>> 0 > LIMITS.pathBytes) return fail(ERRNO.nametoolong);
    host.charge(length >>> 0);
    const base = getDirectory(fd).node;
    let path: string;
    try {
      path = strictUtf8.decode(host.slice(at, length));
    } catch (error) {
      if (error instanceof FileError) throw error;
      return fail(ERRNO.ilseq);
    }
    if (path === "") return fail(ERRNO.noent);
    if (path.startsWith("/")) return fail(ERRNO.notcapable);
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    const mustBeDirectory = /(?:^|\/)\.{0,2}$/.test(path);
    let parent = base;
    for (const [i, part] of parts.entries()) {
      if (Buffer.byteLength(part) > LIMITS.nameBytes) return fail(ERRNO.nametoolong);
      if (part === "..") {
        if (parent === base) return fail(ERRNO.notcapable);
        parent = parent.parent!;
        continue;
      }
      const node = tree.child(parent, part);
      if (i === parts.length - 1) {
        if (node?.kind === "file" && mustBeDirectory) return fail(ERRNO.notdir);
        return { parent, name: part, node, mustBeDirectory };
      }
      if (!node) return fail(ERRNO.noent);
      if (node.kind === "file") return fail(ERRNO.notdir);
      parent = node;
    }
    return { parent, name: undefined, node: parent, mustBeDirectory };
  };
  /** Gives a name that a file may be made under. Importers treat a backslash as an escape, so it may not stand in one. */
  const newName = (place: Place): string => {
    if (place.name === undefined) return fail(ERRNO.exist);
    if (/[\\\0]/.test(place.name)) return fail(ERRNO.inval);
    return place.name;
  };
  const namedEntry = (place: Place): string => place.name ?? fail(ERRNO.inval);

  const filetype = (node: Node | undefined, standard: boolean): number =>
    standard || !node
      ? FILETYPE.characterDevice
      : node.kind === "directory"
        ? FILETYPE.directory
        : FILETYPE.regularFile;
  const writeStat = (at: number, node: Node | undefined, standard: boolean): number => {
    host.slice(at, 64).fill(0);
    host.u64(at, 1n);
    host.u64(at + 8, node?.inode ?? 0n);
    host.u8(at + 16, filetype(node, standard));
    host.u64(at + 24, 1n);
    host.u64(at + 32, node?.kind === "file" && !standard ? BigInt(node.size) : 0n);
    for (const field of [40, 48, 56]) host.u64(at + field, timeNs);
    return ERRNO.success;
  };

  return {
    fd_advise: (fd: number) => {
      get(fd);
      return ERRNO.success;
    },
    fd_sync: (fd: number) => {
      get(fd);
      return ERRNO.success;
    },
    fd_datasync: (fd: number) => {
      get(fd);
      return ERRNO.success;
    },
    fd_close: (fd: number) => {
      close(fd);
      return ERRNO.success;
    },
    fd_allocate: (fd: number, offset: bigint, length: bigint) => {
      const { node, writable } = getFile(fd);
      const end = toOffset(offset) + toOffset(length);
      if (!writable) return ERRNO.badf;
      if (end > node.size) tree.resize(node, end);
      return ERRNO.success;
    },
    fd_fdstat_get: (fd: number, at: number) => {
      const { node, standard, append, writable } = get(fd);
      host.slice(at, 24).fill(0);
      host.u8(at, filetype(node, standard));
      host.u16(at + 2, append && !standard ? FDFLAG.append : 0);
      // Seeking is among the rights of standard streams, so that libraries buffer them as files, not as terminals.
      const rights = writable || node?.kind === "directory" ? ALL_RIGHTS : ALL_RIGHTS & ~RIGHT.fdWrite;
      host.u64(at + 8, rights);
      host.u64(at + 16, ALL_RIGHTS);
      return ERRNO.success;
    },
    fd_fdstat_set_flags: (fd: number, flags: number) => {
      const found = get(fd);
      if (!found.standard) found.append = (flags & FDFLAG.append) !== 0;
      return ERRNO.success;
    },
    fd_filestat_get: (fd: number, at: number) => {
      const { node, standard } = get(fd);
      return writeStat(at, node, standard);
    },
    fd_filestat_set_size: (fd: number, size: bigint) => {
      const { node, writable } = getFile(fd);
      if (!writable) return ERRNO.badf;
      tree.resize(node, toOffset(size));
      return ERRNO.success;
    },
    fd_prestat_get: (fd: number, at: number) => {
      if (!get(fd).preopen) return ERRNO.badf;
      host.u32(at, 0);
      host.u32(at + 4, 1);
      return ERRNO.success;
    },
    fd_prestat_dir_name: (fd: number, at: number, length: number) => {
      if (!get(fd).preopen) return ERRNO.badf;
      if (length >>> 0 < 1) return ERRNO.nametoolong;
      host.u8(at, 0x2f);
      return ERRNO.success;
    },
    fd_read: (fd: number, iovs: number, count: number, at: number) => {
      const found = get(fd);
      if (!found.readable) return ERRNO.badf;
      if (found.node?.kind === "directory") return ERRNO.isdir;
      host.slice(at, 4);
      const done = read(found.node, found.offset, buffers(iovs, count));
      found.offset += done;
      host.u32(at, done);
      return ERRNO.success;
    },
    fd_pread: (fd: number, iovs: number, count: number, offset: bigint, at: number) => {
      const found = getFile(fd);
      if (found.standard) return ERRNO.spipe;
      if (!found.readable) return ERRNO.badf;
      host.slice(at, 4);
      host.u32(at, read(found.node, toOffset(offset), buffers(iovs, count)));
      return ERRNO.success;
    },
    fd_write: (fd: number, iovs: number, count: number, at: number) => {
      const found = getFile(fd);
      if (!found.writable) return ERRNO.badf;
      host.slice(at, 4);
      const offset = found.append ? found.node.size : found.offset;
      const done = write(found.node, offset, buffers(iovs, count));
      found.offset = offset + done;
      host.u32(at, done);
      return ERRNO.success;
    },
    fd_pwrite: (fd: number, iovs: number, count: number, offset: bigint, at: number) => {
      const found = getFile(fd);
      if (found.standard) return ERRNO.spipe;
      if (!found.writable) return ERRNO.badf;
      host.slice(at, 4);
      host.u32(at, write(found.node, toOffset(offset), buffers(iovs, count)));
      return ERRNO.success;
    },
    fd_seek: (fd: number, delta: bigint, whence: number, at: number) => {
      const found = get(fd);
      if (found.standard) return ERRNO.spipe;
      if (found.node?.kind !== "file") return ERRNO.isdir;
      if (whence < 0 || whence > 2) return ERRNO.inval;
      const from = whence === 0 ? 0 : whence === 1 ? found.offset : found.node.size;
      const offset = toOffset(BigInt(from) + delta);
      host.u64(at, BigInt(offset));
      found.offset = offset;
      return ERRNO.success;
    },
    fd_tell: (fd: number, at: number) => {
      const found = get(fd);
      if (found.standard) return ERRNO.spipe;
      if (found.node?.kind !== "file") return ERRNO.isdir;
      host.u64(at, BigInt(found.offset));
      return ERRNO.success;
    },
    fd_renumber: (from: number, to: number) => {
      const found = get(from);
      get(to);
      if (from === to) return ERRNO.success;
      close(to);
      descriptors[from >>> 0] = undefined;
      descriptors[to >>> 0] = found;
      return ERRNO.success;
    },
    fd_readdir: (fd: number, at: number, length: number, cookie: bigint, usedAt: number) => {
      const found = getDirectory(fd);
      const buffer = host.slice(at, length);
      host.slice(usedAt, 4);
      if (cookie === 0n) {
        host.charge(found.node.entries.length * LISTING_ENTRY);
        found.listing = [...found.node.entries];
      }
      let used = 0;
      const start = BigInt.asUintN(64, cookie);
      for (let i = start > BigInt(found.listing.length) ? found.listing.length : Number(start); ; i++) {
        const entry = found.listing[i];
        if (!entry || used === buffer.length) break;
        const record = new Uint8Array(24 + entry.bytes.length);
        const view = new DataView(record.buffer);
        view.setBigUint64(0, BigInt(i + 1), true);
        view.setBigUint64(8, entry.node.inode, true);
        view.setUint32(16, entry.bytes.length, true);
        view.setUint8(20, filetype(entry.node, false));
        record.set(entry.bytes, 24);
        const count = Math.min(record.length, buffer.length - used);
        host.charge(count * GAS.hostByte + LISTING_ENTRY);
        buffer.set(record.subarray(0, count), used);
        used += count;
      }
      host.u32(usedAt, used);
      return ERRNO.success;
    },
    path_open: (
      fd: number,
      _lookup: number,
      path: number,
      length: number,
      flags: number,
      rights: bigint,
      _inheriting: bigint,
      fdFlags: number,
      at: number,
    ) => {
      const place = resolve(fd, path, length);
      host.slice(at, 4);
      let free = descriptors.indexOf(undefined);
      if (free < 0) free = descriptors.length;
      if (free >= LIMITS.openFiles) return ERRNO.mfile;
      const wantsWrite = (rights & RIGHT.fdWrite) !== 0n;
      let { node } = place;
      if (node) {
        if (flags & OFLAG.create && flags & OFLAG.exclusive) return ERRNO.exist;
        if (flags & OFLAG.directory && node.kind === "file") return ERRNO.notdir;
        if (node.kind === "directory" && flags & (OFLAG.create | OFLAG.truncate)) return ERRNO.isdir;
        if (node.kind === "file" && !node.writable && (wantsWrite || flags & OFLAG.truncate)) return ERRNO.rofs;
        if (node.kind === "file" && flags & OFLAG.truncate) tree.resize(node, 0);
      } else {
        if (!(flags & OFLAG.create)) return ERRNO.noent;
        if (place.mustBeDirectory || flags & OFLAG.directory) return ERRNO.isdir;
        node = tree.createFile(place.parent, newName(place));
      }
      if (node.kind === "file") node.open++;
      descriptors[free] = descriptor(node, {
        readable: (rights & RIGHT.fdRead) !== 0n || node.kind === "directory",
        writable: wantsWrite && node.kind === "file",
        append: (fdFlags & FDFLAG.append) !== 0,
      });
      host.u32(at, free);
      return ERRNO.success;
    },
    path_filestat_get: (fd: number, _lookup: number, path: number, length: number, at: number) =>
      writeStat(at, resolve(fd, path, length).node ?? fail(ERRNO.noent), false),
    path_create_directory: (fd: number, path: number, length: number) => {
      const place = resolve(fd, path, length);
      tree.createDirectory(place.parent, newName(place));
      return ERRNO.success;
    },
    path_unlink_file: (fd: number, path: number, length: number) => {
      const place = resolve(fd, path, length);
      tree.removeFile(place.parent, namedEntry(place));
      return ERRNO.success;
    },
    path_remove_directory: (fd: number, path: number, length: number) => {
      const place = resolve(fd, path, length);
      tree.removeDirectory(place.parent, namedEntry(place));
      return ERRNO.success;
    },
    path_rename: (fd: number, path: number, length: number, toFd: number, toPath: number, toLength: number) => {
      const from = resolve(fd, path, length);
      const to = resolve(toFd, toPath, toLength);
      if (to.mustBeDirectory && from.node?.kind === "file") return ERRNO.notdir;
      tree.rename(from.parent, namedEntry(from), to.parent, newName(to));
      return ERRNO.success;
    },
  };
};
