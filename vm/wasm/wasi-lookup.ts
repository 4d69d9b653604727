import { type DirectoryNode, FileError, fail, type Node } from "./file-nodes.ts";
import type { FileTree } from "./file-tree.ts";
import type { GasPrices } from "./gas.ts";
import { TASK_LIMITS as LIMITS } from "./limits.ts";
import { ERRNO } from "./wasi-abi.ts";
import type { Host } from "./wasi-host.ts";

/** What a path names. */
export interface Place {
  readonly parent: DirectoryNode;
  /** Undefined: the path names the directory `parent` itself. */
  readonly name: string | undefined;
  /** Undefined: there is nothing of that name. */
  readonly node: Node | undefined;
  /** The path ends in a slash. */
  readonly mustBeDirectory: boolean;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const partsOf = (path: string): string[] => path.split("/").filter((part) => part !== "" && part !== ".");
const namesDirectory = (path: string): boolean => /(?:^|\/)\.{0,2}$/.test(path);

/** Reads a path from memory. Fails for what is too long, not UTF-8, empty, or holds a zero byte. */
export const readPath = (host: Host, gas: GasPrices, at: number, length: number): string => {
  if (length >>> 0 > LIMITS.pathBytes) return fail(ERRNO.nametoolong);
  host.charge((length >>> 0) * gas.pathByte);
  let path: string;
  try {
    path = strictUtf8.decode(host.slice(at, length));
  } catch (error) {
    if (error instanceof FileError) throw error;
    return fail(ERRNO.ilseq);
  }
  if (path === "") return fail(ERRNO.noent);
  return path.includes("\0") ? fail(ERRNO.inval) : path;
};

/**
 * Finds what a path names from a directory, which neither the path nor a symbolic link on it may leave. A link at its end
 * is followed where `follow` says so. Each name costs gas, each link for its length too.
 */
export const lookUp = (
  host: Host,
  gas: GasPrices,
  tree: FileTree,
  base: DirectoryNode,
  path: string,
  follow: boolean,
): Place => {
  if (path.startsWith("/")) return fail(ERRNO.notcapable);
  /** Gives the names on a path, the last first, and charges for finding them. */
  const namesOf = (text: string): string[] => {
    const names = partsOf(text).reverse();
    host.charge(names.length * gas.pathPart);
    return names;
  };
  const left = namesOf(path);
  let mustBeDirectory = namesDirectory(path);
  let parent = base;
  let links = 0;
  for (let part = left.pop(); part !== undefined; part = left.pop()) {
    if (Buffer.byteLength(part) > LIMITS.nameBytes) return fail(ERRNO.nametoolong);
    if (part === "..") {
      if (parent === base) return fail(ERRNO.notcapable);
      parent = parent.parent!;
      continue;
    }
    const node = tree.child(parent, part);
    const isLast = left.length === 0;
    if (node?.kind === "link" && (!isLast || follow)) {
      if (++links > LIMITS.symbolicLinks) return fail(ERRNO.loop);
      host.charge(node.size * gas.pathByte);
      if (isLast) mustBeDirectory ||= namesDirectory(node.target);
      left.push(...namesOf(node.target));
      continue;
    }
    if (isLast) {
      if (node && node.kind !== "directory" && mustBeDirectory) return fail(ERRNO.notdir);
      return { parent, name: part, node, mustBeDirectory };
    }
    if (!node) return fail(ERRNO.noent);
    if (node.kind !== "directory") return fail(ERRNO.notdir);
    parent = node;
  }
  return { parent, name: undefined, node: parent, mustBeDirectory };
};

/** Gives a name that something may be made under. Importers take a backslash for an escape, so none may stand in it. */
export const newName = (place: Place): string => {
  if (place.name === undefined) return fail(ERRNO.exist);
  return place.name.includes("\\") ? fail(ERRNO.inval) : place.name;
};
