import { type DeviceNode, type DirectoryNode, type FileNode, fail, type Node, type Shown } from "./file-nodes.ts";
import type { FileTree } from "./file-tree.ts";
import type { VmRules } from "./versions.ts";
import { CHANGING_RIGHTS, DIRECTORY_RIGHTS, ERRNO, FDFLAG, FILE_RIGHTS, FILETYPE, RIGHT } from "./wasi-abi.ts";

/** What a descriptor number stands for. */
export interface Descriptor {
  /** Undefined: the empty standard input. */
  readonly node: FileNode | DeviceNode | DirectoryNode | undefined;
  /** A standard stream: it has no offset. */
  readonly standard: boolean;
  readonly preopen: boolean;
  /** What may be done with it, and with what is opened through it. */
  rights: bigint;
  inheriting: bigint;
  flags: number;
  offset: number;
  /** The entries that fd_readdir goes through, taken when it starts. */
  listing: readonly Shown[] | undefined;
}

// Seeking is among them, so that libraries buffer these streams as files, not as terminals.
const STREAM_RIGHTS =
  RIGHT.fdSeek | RIGHT.fdTell | RIGHT.fdFdstatSetFlags | RIGHT.fdFilestatGet | RIGHT.pollFdReadwrite;
const OUTPUT_RIGHTS = STREAM_RIGHTS | RIGHT.fdWrite | RIGHT.fdSync | RIGHT.fdDatasync | RIGHT.fdAdvise;

/** Gives the kind of a node as WASI numbers it. */
export const filetypeOf = (node: Pick<Node, "kind"> | undefined, standard: boolean): number => {
  if (standard || !node || node.kind === "device") return FILETYPE.characterDevice;
  if (node.kind === "directory") return FILETYPE.directory;
  return node.kind === "link" ? FILETYPE.symbolicLink : FILETYPE.regularFile;
};

/** Gives the rights that a node can have. */
export const rightsOf = (node: FileNode | DeviceNode | DirectoryNode): bigint => {
  if (node.kind === "directory") return DIRECTORY_RIGHTS;
  return node.kind === "device" || node.area ? FILE_RIGHTS : FILE_RIGHTS & ~CHANGING_RIGHTS;
};

/** Makes the descriptors of a task: standard streams as 0, 1, 2, and the directory `root`, if there is one, as 3. */
export const createDescriptors = (tree: FileTree, root: DirectoryNode | undefined, { taskLimits: limits }: VmRules) => {
  const standard = (node: FileNode | undefined): Descriptor => {
    if (node) tree.open(node);
    return {
      node,
      standard: true,
      preopen: false,
      rights: node ? OUTPUT_RIGHTS : STREAM_RIGHTS | RIGHT.fdRead,
      inheriting: 0n,
      flags: node ? FDFLAG.append : 0,
      offset: 0,
      listing: undefined,
    };
  };
  const streams = { stdin: undefined, stdout: tree.stdout, stderr: tree.stderr };
  const table: (Descriptor | undefined)[] = Object.values(streams).map(standard);
  if (root)
    table.push({
      node: root,
      standard: false,
      preopen: true,
      rights: DIRECTORY_RIGHTS,
      inheriting: DIRECTORY_RIGHTS | FILE_RIGHTS,
      flags: 0,
      offset: 0,
      listing: undefined,
    });

  /** Entries in all listings. */
  let listed = 0;
  /** Gives up what a descriptor that is closed holds. */
  const drop = ({ node, listing }: Descriptor): void => {
    listed -= listing?.length ?? 0;
    if (node?.kind === "file") tree.release(node);
  };
  const get = (fd: number): Descriptor => table[fd >>> 0] ?? fail(ERRNO.badf);
  /** Gives an open descriptor that has all of these rights. Without those to read or to write it answers as POSIX does. */
  const having = (fd: number, rights: bigint): Descriptor => {
    const found = get(fd);
    const missing = rights & ~found.rights;
    if (missing === 0n) return found;
    if (found.node?.kind === "directory" && missing & FILE_RIGHTS & ~DIRECTORY_RIGHTS) return fail(ERRNO.isdir);
    return fail(missing & (RIGHT.fdRead | CHANGING_RIGHTS) ? ERRNO.badf : ERRNO.notcapable);
  };
  return {
    get,
    having,
    /** Gives an open regular file. */
    file(fd: number, rights: bigint): Descriptor & { node: FileNode } {
      const found = having(fd, rights);
      if (found.node?.kind === "device") return fail(ERRNO.inval);
      return found.node?.kind === "file" ? (found as Descriptor & { node: FileNode }) : fail(ERRNO.badf);
    },
    /** Gives what is open and has contents: a regular file or a device. */
    contents(fd: number, rights: bigint): Descriptor & { node: FileNode | DeviceNode } {
      const found = having(fd, rights);
      const { node } = found;
      if (!node || node.kind === "directory") return fail(ERRNO.badf);
      return found as Descriptor & { node: FileNode | DeviceNode };
    },
    /** Gives an open directory. */
    directory(fd: number, rights: bigint): Descriptor & { node: DirectoryNode } {
      if (get(fd).node?.kind !== "directory") return fail(ERRNO.notdir);
      return having(fd, rights) as Descriptor & { node: DirectoryNode };
    },
    /** Gives the lowest free number. Fails where a task has as many open as it may. */
    free(): number {
      const at = table.indexOf(undefined);
      const fd = at < 0 ? table.length : at;
      return fd < limits.openFiles ? fd : fail(ERRNO.mfile);
    },
    /** Opens a node. A device that is a standard stream opens that, as /dev/stdout does. */
    open(
      fd: number,
      node: FileNode | DeviceNode | DirectoryNode,
      rights: bigint,
      inheriting: bigint,
      flags: number,
    ): void {
      if (node.kind === "device" && node.device in streams) {
        const stream = standard(streams[node.device as keyof typeof streams]);
        table[fd] = { ...stream, rights: rights & stream.rights };
        return;
      }
      if (node.kind === "file") tree.open(node);
      const offset = 0;
      table[fd] = { node, standard: false, preopen: false, rights, inheriting, flags, offset, listing: undefined };
    },
    close(fd: number): void {
      const found = get(fd);
      table[fd >>> 0] = undefined;
      drop(found);
    },
    /** Moves a descriptor to a number that is taken; what that stood for is closed. */
    renumber(from: number, to: number): void {
      const found = get(from);
      const replaced = get(to);
      if (found === replaced) return;
      table[from >>> 0] = undefined;
      table[to >>> 0] = found;
      drop(replaced);
    },
    /** Gives a descriptor a new listing. Fails where all of them together would hold more than a task may. */
    list(found: Descriptor, listing: readonly Shown[]): readonly Shown[] {
      const more = listing.length - (found.listing?.length ?? 0);
      if (listed + more > limits.listedEntries) fail(ERRNO.nomem);
      listed += more;
      found.listing = listing;
      return listing;
    },
  };
};
export type Descriptors = ReturnType<typeof createDescriptors>;
