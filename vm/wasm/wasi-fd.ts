import { type DeviceNode, type FileNode, fail, type Node, type Shown } from "./file-nodes.ts";
import type { FileTree } from "./file-tree.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO, FDFLAG, FDFLAGS, FSTFLAG, RIGHT } from "./wasi-abi.ts";
import { type Descriptors, filetypeOf } from "./wasi-descriptors.ts";
import type { Host } from "./wasi-host.ts";

const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);
const WHENCE = { set: 0, current: 1, end: 2 } as const;
const LAST_ADVICE = 5;
const STAT_BYTES = 64;
const DIRENT_BYTES = 24;
/** Bytes that one call moves through a device at most. */
const MAX_DEVICE_BYTES = 2 ** 31 - 1;

const toOffset = (value: bigint): number => (value < 0n || value > MAX_OFFSET ? fail(ERRNO.inval) : Number(value));

/** Writes a node's attributes as a filestat of 64 bytes. Times that were not set are the start of the task. */
export const writeStat = (host: Host, at: number, node: Node | undefined, standard: boolean, startNs: bigint): void => {
  host.slice(at, STAT_BYTES).fill(0);
  host.u64(at, 1n);
  host.u64(at + 8, node?.inode ?? 0n);
  host.u8(at + 16, filetypeOf(node, standard));
  host.u64(at + 24, BigInt(node && node.kind !== "directory" ? node.links : 1));
  host.u64(at + 32, node && node.kind !== "directory" && !standard ? BigInt(node.size) : 0n);
  host.u64(at + 40, node?.accessedNs ?? startNs);
  host.u64(at + 48, node?.modifiedNs ?? startNs);
  host.u64(at + 56, startNs);
};

/** Sets a node's times by FSTFLAG. */
export const setTimes = (node: Node, accessed: bigint, modified: bigint, flags: number, nowNs: bigint): void => {
  const both = (a: number, b: number): boolean => (flags & a) !== 0 && (flags & b) !== 0;
  if (flags & ~15 || both(FSTFLAG.accessed, FSTFLAG.accessedNow) || both(FSTFLAG.modified, FSTFLAG.modifiedNow))
    fail(ERRNO.inval);
  if (!node.area) fail(ERRNO.rofs);
  if (flags & FSTFLAG.accessed) node.accessedNs = BigInt.asUintN(64, accessed);
  if (flags & FSTFLAG.accessedNow) node.accessedNs = nowNs;
  if (flags & FSTFLAG.modified) node.modifiedNs = BigInt.asUintN(64, modified);
  if (flags & FSTFLAG.modifiedNow) node.modifiedNs = nowNs;
};

/** What the calls of one task work on. */
export interface FdWorld {
  readonly host: Host;
  readonly tree: FileTree;
  readonly descriptors: Descriptors;
  readonly rules: VmRules;
  /** Fills a buffer with the task's randomness, and charges for it. */
  readonly random: (out: Uint8Array) => void;
  readonly startNs: bigint;
  readonly now: () => bigint;
}

/** Makes the fd_* functions of WASI preview 1. */
export const createFdCalls = ({ host, tree, descriptors, rules, random, startNs, now }: FdWorld) => {
  const { gas, taskLimits: limits } = rules;
  /** Reads the buffers of a vectored call and charges for them. */
  const buffers = (at: number, count: number): Uint8Array[] => {
    if (count >>> 0 > limits.buffers) return fail(ERRNO.inval);
    host.charge(count * gas.buffer);
    const out: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      const place = (at >>> 0) + 8 * i;
      out.push(host.slice(host.readU32(place), host.readU32(place + 4)));
    }
    return out;
  };
  const sizeOf = (buffers: readonly Uint8Array[]): number => buffers.reduce((sum, { length }) => sum + length, 0);
  const deviceSize = (buffers: readonly Uint8Array[]): number => {
    const size = sizeOf(buffers);
    return size > MAX_DEVICE_BYTES ? fail(ERRNO.inval) : size;
  };
  const readDevice = ({ device }: DeviceNode, into: readonly Uint8Array[]): number => {
    if (device !== "random") return 0;
    const size = deviceSize(into);
    for (const buffer of into) random(buffer);
    return size;
  };
  const read = (node: FileNode | DeviceNode | undefined, offset: number, into: readonly Uint8Array[]): number => {
    if (node?.kind === "device") return readDevice(node, into);
    let at = offset;
    for (const buffer of into) {
      const count = node ? Math.max(0, Math.min(buffer.length, node.size - at)) : 0;
      host.charge(count * gas.hostByte);
      if (count > 0) buffer.set(node!.data.subarray(at, at + count));
      at += count;
      if (count < buffer.length) break;
    }
    return at - offset;
  };
  /** Writes all buffers, or nothing at all where there is no room for them. */
  const write = (node: FileNode | DeviceNode, offset: number, from: readonly Uint8Array[]): number => {
    if (node.kind === "device") return deviceSize(from);
    const total = sizeOf(from);
    host.charge(total * gas.hostByte);
    const { area } = node;
    if (area && total > area.bytes) area.full();
    tree.write(node, offset, from.length === 1 ? from[0]! : Buffer.concat(from));
    return total;
  };
  const withRights = (rights: bigint) => (fd: number) => {
    descriptors.having(fd, rights);
    return ERRNO.success;
  };

  return {
    fd_advise: (fd: number, _offset: bigint, _length: bigint, advice: number) => {
      const { standard } = descriptors.having(fd, RIGHT.fdAdvise);
      if (standard) return ERRNO.spipe;
      return advice >>> 0 > LAST_ADVICE ? ERRNO.inval : ERRNO.success;
    },
    fd_sync: withRights(RIGHT.fdSync),
    fd_datasync: withRights(RIGHT.fdDatasync),
    fd_close: (fd: number) => {
      descriptors.close(fd);
      return ERRNO.success;
    },
    fd_allocate: (fd: number, offset: bigint, length: bigint) => {
      const { node } = descriptors.file(fd, RIGHT.fdAllocate);
      const end = toOffset(offset) + toOffset(length);
      if (end > node.size) tree.resize(node, end);
      return ERRNO.success;
    },
    fd_fdstat_get: (fd: number, at: number) => {
      const { node, standard, rights, inheriting, flags } = descriptors.get(fd);
      host.slice(at, 24).fill(0);
      host.u8(at, filetypeOf(node, standard));
      host.u16(at + 2, standard ? flags & ~FDFLAG.append : flags);
      host.u64(at + 8, rights);
      host.u64(at + 16, inheriting);
      return ERRNO.success;
    },
    fd_fdstat_set_flags: (fd: number, flags: number) => {
      const found = descriptors.having(fd, RIGHT.fdFdstatSetFlags);
      if (flags & ~FDFLAGS) return ERRNO.inval;
      if (!found.standard) found.flags = flags;
      return ERRNO.success;
    },
    fd_fdstat_set_rights: (fd: number, rights: bigint, inheriting: bigint) => {
      const found = descriptors.get(fd);
      const [less, passed] = [BigInt.asUintN(64, rights), BigInt.asUintN(64, inheriting)];
      if (less & ~found.rights || passed & ~found.inheriting) return ERRNO.notcapable;
      found.rights = less;
      found.inheriting = passed;
      return ERRNO.success;
    },
    fd_filestat_get: (fd: number, at: number) => {
      const { node, standard } = descriptors.having(fd, RIGHT.fdFilestatGet);
      writeStat(host, at, node, standard, startNs);
      return ERRNO.success;
    },
    fd_filestat_set_size: (fd: number, size: bigint) => {
      const { node } = descriptors.file(fd, RIGHT.fdFilestatSetSize);
      tree.resize(node, toOffset(size));
      return ERRNO.success;
    },
    fd_filestat_set_times: (fd: number, accessed: bigint, modified: bigint, flags: number) => {
      const { node } = descriptors.having(fd, RIGHT.fdFilestatSetTimes);
      setTimes(node!, accessed, modified, flags, now());
      return ERRNO.success;
    },
    fd_prestat_get: (fd: number, at: number) => {
      if (!descriptors.get(fd).preopen) return ERRNO.badf;
      host.u32(at, 0);
      host.u32(at + 4, 1);
      return ERRNO.success;
    },
    fd_prestat_dir_name: (fd: number, at: number, length: number) => {
      if (!descriptors.get(fd).preopen) return ERRNO.badf;
      if (length >>> 0 < 1) return ERRNO.nametoolong;
      host.u8(at, 0x2f);
      return ERRNO.success;
    },
    fd_read: (fd: number, iovs: number, count: number, at: number) => {
      const found = descriptors.having(fd, RIGHT.fdRead);
      host.slice(at, 4);
      const done = read(found.node as FileNode | DeviceNode | undefined, found.offset, buffers(iovs, count));
      found.offset += done;
      host.u32(at, done);
      return ERRNO.success;
    },
    fd_pread: (fd: number, iovs: number, count: number, offset: bigint, at: number) => {
      if (descriptors.get(fd).standard) return ERRNO.spipe;
      const { node } = descriptors.contents(fd, RIGHT.fdRead | RIGHT.fdSeek);
      host.slice(at, 4);
      host.u32(at, read(node, toOffset(offset), buffers(iovs, count)));
      return ERRNO.success;
    },
    fd_write: (fd: number, iovs: number, count: number, at: number) => {
      const found = descriptors.contents(fd, RIGHT.fdWrite);
      host.slice(at, 4);
      const offset = found.flags & FDFLAG.append ? found.node.size : found.offset;
      const done = write(found.node, offset, buffers(iovs, count));
      found.offset = offset + done;
      host.u32(at, done);
      return ERRNO.success;
    },
    fd_pwrite: (fd: number, iovs: number, count: number, offset: bigint, at: number) => {
      if (descriptors.get(fd).standard) return ERRNO.spipe;
      const { node } = descriptors.contents(fd, RIGHT.fdWrite | RIGHT.fdSeek);
      host.slice(at, 4);
      host.u32(at, write(node, toOffset(offset), buffers(iovs, count)));
      return ERRNO.success;
    },
    fd_seek: (fd: number, delta: bigint, whence: number, at: number) => {
      if (descriptors.get(fd).standard) return ERRNO.spipe;
      const isTell = delta === 0n && whence === WHENCE.current;
      const found = descriptors.contents(fd, isTell ? RIGHT.fdTell : RIGHT.fdSeek);
      if (whence >>> 0 > WHENCE.end) return ERRNO.inval;
      const from = whence === WHENCE.set ? 0 : whence === WHENCE.current ? found.offset : found.node.size;
      const offset = toOffset(BigInt(from) + delta);
      host.u64(at, BigInt(offset));
      found.offset = offset;
      return ERRNO.success;
    },
    fd_tell: (fd: number, at: number) => {
      if (descriptors.get(fd).standard) return ERRNO.spipe;
      host.u64(at, BigInt(descriptors.contents(fd, RIGHT.fdTell).offset));
      return ERRNO.success;
    },
    fd_renumber: (from: number, to: number) => {
      descriptors.renumber(from, to);
      return ERRNO.success;
    },
    fd_readdir: (fd: number, at: number, length: number, cookie: bigint, usedAt: number) => {
      const found = descriptors.directory(fd, RIGHT.fdReaddir);
      const buffer = host.slice(at, length);
      host.slice(usedAt, 4);
      const { node } = found;
      const list = (): readonly Shown[] => {
        host.charge(node.entries.length * gas.heldEntry);
        const { inode, kind } = found.preopen ? node : (node.parent ?? node);
        return descriptors.list(found, [
          { bytes: Buffer.from("."), inode: node.inode, kind: node.kind },
          { bytes: Buffer.from(".."), inode, kind },
          ...node.entries.map(({ shown }) => shown),
        ]);
      };
      const listing = cookie === 0n || !found.listing ? list() : found.listing;
      const start = BigInt.asUintN(64, cookie);
      let used = 0;
      for (let i = start > BigInt(listing.length) ? listing.length : Number(start); ; i++) {
        const entry = listing[i];
        if (!entry || used === buffer.length) break;
        const record = new Uint8Array(DIRENT_BYTES + entry.bytes.length);
        const view = new DataView(record.buffer);
        view.setBigUint64(0, BigInt(i + 1), true);
        view.setBigUint64(8, entry.inode, true);
        view.setUint32(16, entry.bytes.length, true);
        view.setUint8(20, filetypeOf(entry, false));
        record.set(entry.bytes, DIRENT_BYTES);
        const count = Math.min(record.length, buffer.length - used);
        host.charge(count * gas.hostByte + gas.listedEntry);
        buffer.set(record.subarray(0, count), used);
        used += count;
      }
      host.u32(usedAt, used);
      return ERRNO.success;
    },
  };
};
