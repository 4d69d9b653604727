import { fail } from "./file-nodes.ts";
import { type FileTree, payForEntries } from "./file-tree.ts";
import type { VmRules } from "./versions.ts";
import { ERRNO, FDFLAGS, LOOKUP, OFLAG, RIGHT } from "./wasi-abi.ts";
import { type Descriptors, rightsOf } from "./wasi-descriptors.ts";
import { setTimes, writeStat } from "./wasi-fd.ts";
import type { Host } from "./wasi-host.ts";
import { lookUp, newName, type Place, readPath } from "./wasi-lookup.ts";

/** Makes the path_* functions of WASI preview 1. */
export const createPathCalls = (
  host: Host,
  tree: FileTree,
  descriptors: Descriptors,
  { gas }: VmRules,
  startNs: bigint,
  now: () => bigint,
) => {
  const resolve = (fd: number, rights: bigint, at: number, length: number, follow: boolean): Place =>
    lookUp(host, gas, tree, descriptors.directory(fd, rights).node, readPath(host, gas, at, length), follow);
  /** Finds an entry itself, so that it can be made, moved or removed: a link at the end stands for itself. */
  const entry = (fd: number, rights: bigint, at: number, length: number): Place =>
    resolve(fd, rights, at, length, false);
  const nameOf = (place: Place): string => place.name ?? fail(ERRNO.inval);
  /** A link is no directory, so nothing that is to be one can get its name. */
  const linkName = (place: Place): string => {
    if (place.node) return fail(ERRNO.exist);
    return place.mustBeDirectory ? fail(ERRNO.noent) : newName(place);
  };
  const isFollowing = (lookup: number): boolean => (lookup & LOOKUP.follow) !== 0;

  return {
    path_open: (
      fd: number,
      lookup: number,
      path: number,
      length: number,
      flags: number,
      rights: bigint,
      inheriting: bigint,
      fdFlags: number,
      at: number,
    ) => {
      const creates = (flags & OFLAG.create) !== 0;
      const truncates = (flags & OFLAG.truncate) !== 0;
      const exclusive = creates && (flags & OFLAG.exclusive) !== 0;
      const needed =
        RIGHT.pathOpen | (creates ? RIGHT.pathCreateFile : 0n) | (truncates ? RIGHT.pathFilestatSetSize : 0n);
      const place = resolve(fd, needed, path, length, isFollowing(lookup) && !exclusive);
      if (fdFlags & ~FDFLAGS) return ERRNO.inval;
      host.slice(at, 4);
      const number = descriptors.free();
      const wantsWrite = (rights & RIGHT.fdWrite) !== 0n;
      let { node } = place;
      if (node) {
        if (exclusive) return ERRNO.exist;
        if (node.kind === "link") return ERRNO.loop;
        if (node.kind !== "directory" && flags & OFLAG.directory) return ERRNO.notdir;
        if (node.kind === "directory" && (creates || truncates || wantsWrite)) return ERRNO.isdir;
        if (node.kind === "file" && !node.area && (wantsWrite || truncates)) return ERRNO.rofs;
        if (node.kind === "file" && truncates) tree.resize(node, 0);
      } else {
        if (!creates) return ERRNO.noent;
        if (place.mustBeDirectory || flags & OFLAG.directory) return ERRNO.isdir;
        node = tree.createFile(place.parent, newName(place));
      }
      const passed = descriptors.get(fd).inheriting;
      // A right that the directory does not pass on, or that this kind of file cannot have, is not given.
      const given = BigInt.asUintN(64, rights) & passed & rightsOf(node);
      descriptors.open(number, node, given, BigInt.asUintN(64, inheriting) & passed, fdFlags);
      host.u32(at, number);
      return ERRNO.success;
    },
    path_filestat_get: (fd: number, lookup: number, path: number, length: number, at: number) => {
      const { node } = resolve(fd, RIGHT.pathFilestatGet, path, length, isFollowing(lookup));
      writeStat(host, at, node ?? fail(ERRNO.noent), false, startNs);
      return ERRNO.success;
    },
    path_filestat_set_times: (
      fd: number,
      lookup: number,
      path: number,
      length: number,
      accessed: bigint,
      modified: bigint,
      flags: number,
    ) => {
      const { node } = resolve(fd, RIGHT.pathFilestatSetTimes, path, length, isFollowing(lookup));
      setTimes(node ?? fail(ERRNO.noent), accessed, modified, flags, now());
      return ERRNO.success;
    },
    path_create_directory: (fd: number, path: number, length: number) => {
      const place = entry(fd, RIGHT.pathCreateDirectory, path, length);
      tree.createDirectory(place.parent, newName(place));
      return ERRNO.success;
    },
    path_unlink_file: (fd: number, path: number, length: number) => {
      const place = entry(fd, RIGHT.pathUnlinkFile, path, length);
      tree.removeFile(place.parent, nameOf(place));
      return ERRNO.success;
    },
    path_remove_directory: (fd: number, path: number, length: number) => {
      const place = entry(fd, RIGHT.pathRemoveDirectory, path, length);
      tree.removeDirectory(place.parent, nameOf(place));
      return ERRNO.success;
    },
    path_rename: (fd: number, path: number, length: number, toFd: number, toPath: number, toLength: number) => {
      const from = entry(fd, RIGHT.pathRenameSource, path, length);
      const to = entry(toFd, RIGHT.pathRenameTarget, toPath, toLength);
      if (from.node?.kind === "directory") payForEntries(from.node, gas.renamedEntry, host.charge);
      else if (from.node && to.mustBeDirectory) return ERRNO.notdir;
      tree.rename(from.parent, nameOf(from), to.parent, newName(to));
      return ERRNO.success;
    },
    path_link: (
      fd: number,
      lookup: number,
      path: number,
      length: number,
      toFd: number,
      toPath: number,
      toLength: number,
    ) => {
      if (isFollowing(lookup)) return ERRNO.inval;
      const from = entry(fd, RIGHT.pathLinkSource, path, length);
      const to = entry(toFd, RIGHT.pathLinkTarget, toPath, toLength);
      tree.addName(from.node ?? fail(ERRNO.noent), to.parent, linkName(to));
      return ERRNO.success;
    },
    path_symlink: (path: number, length: number, fd: number, toPath: number, toLength: number) => {
      const target = readPath(host, gas, path, length);
      if (target.startsWith("/")) return ERRNO.notcapable;
      const place = entry(fd, RIGHT.pathSymlink, toPath, toLength);
      tree.createLink(place.parent, linkName(place), target);
      return ERRNO.success;
    },
    path_readlink: (fd: number, path: number, length: number, at: number, size: number, usedAt: number) => {
      const { node } = entry(fd, RIGHT.pathReadlink, path, length);
      if (!node) return ERRNO.noent;
      if (node.kind !== "link") return ERRNO.inval;
      const buffer = host.slice(at, size);
      host.slice(usedAt, 4);
      const count = Math.min(node.size, buffer.length);
      host.charge(count * gas.hostByte);
      buffer.set(Buffer.from(node.target).subarray(0, count));
      host.u32(usedAt, count);
      return ERRNO.success;
    },
  };
};
