import { fromHex, type Hash, toHex } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import {
  type Branch,
  decodeNode,
  type Extension,
  encodeNode,
  hashReference,
  type Leaf,
  type Node,
  sharedPrefix,
  toNibbles,
} from "./node.ts";

/** The root of a trie without leaves: keccak256(0x80). */
export const EMPTY_ROOT: Hash = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";

/** Where nodes rest: by hash. */
export interface NodeStore {
  read(hash: Uint8Array): Leaf | Extension | Branch;
}

/** Takes a new node that has to be stored: its hash, its bytes, itself. */
export type Emit = (hash: Uint8Array, encoded: Uint8Array, node: Leaf | Extension | Branch) => void;

/** A Merkle Patricia trie over keys of 32 bytes. Not safe to share between writers. */
export interface Trie {
  /** Reads the value at a key. O(log n) nodes. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Writes a value; undefined deletes. The root is not computed. */
  put(key: Uint8Array, value: Uint8Array | undefined): void;
  /** Hashes what has changed, each node once, and hands every new stored node to `emit`. */
  commit(emit: Emit): Hash;
  /** Lists the encoded nodes from the root to a key or to where its absence shows (EIP-1186). Needs a committed trie. */
  prove(key: Uint8Array): Uint8Array[];
}

/** Opens the trie with this root; nodes are read from the store when they are needed. */
export const openTrie = (store: NodeStore, root: Hash): Trie => {
  const hash = fromHex(root);
  let top: Node | undefined =
    root === EMPTY_ROOT ? undefined : { kind: "stored", hash, reference: hashReference(hash) };

  const load = (node: Node): Leaf | Extension | Branch => (node.kind === "stored" ? store.read(node.hash) : node);

  const get = (key: Uint8Array): Uint8Array | undefined => {
    const path = toNibbles(key);
    let node = top;
    let depth = 0;
    while (node) {
      const at: Leaf | Extension | Branch = load(node);
      if (at.kind === "branch") {
        node = at.children[path[depth]!];
        depth += 1;
        continue;
      }
      if (sharedPrefix(path, depth, at.path) < at.path.length) return undefined;
      if (at.kind === "leaf") return at.value;
      depth += at.path.length;
      node = at.child;
    }
    return undefined;
  };

  const leaf = (path: Uint8Array, value: Uint8Array): Leaf => ({ kind: "leaf", path, value, reference: undefined });
  const extend = (path: Uint8Array, child: Node): Node =>
    path.length === 0 ? child : { kind: "extension", path, child, reference: undefined };

  const insert = (node: Node | undefined, path: Uint8Array, depth: number, value: Uint8Array): Node => {
    if (!node) return leaf(path.slice(depth), value);
    const at = load(node);
    if (at.kind === "branch") {
      const nibble = path[depth]!;
      const owned = at.reference
        ? ({ kind: "branch", children: at.children.slice(), reference: undefined } as Branch)
        : at;
      owned.children[nibble] = insert(at.children[nibble], path, depth + 1, value);
      return owned;
    }
    const shared = sharedPrefix(path, depth, at.path);
    if (shared === at.path.length) {
      if (at.kind === "leaf") return leaf(at.path, value);
      return extend(at.path, insert(at.child, path, depth + shared, value));
    }
    const branch: Branch = { kind: "branch", children: new Array(16).fill(undefined), reference: undefined };
    const rest = at.path.slice(shared + 1);
    branch.children[at.path[shared]!] = at.kind === "leaf" ? leaf(rest, at.value) : extend(rest, at.child);
    branch.children[path[depth + shared]!] = leaf(path.slice(depth + shared + 1), value);
    return extend(path.slice(depth, depth + shared), branch);
  };

  /** Puts a path before a node, merging what must be one node. */
  const prefix = (path: Uint8Array, node: Node): Node => {
    const at = load(node);
    if (at.kind === "branch") return extend(path, node);
    const joined = new Uint8Array(path.length + at.path.length);
    joined.set(path);
    joined.set(at.path, path.length);
    return at.kind === "leaf" ? leaf(joined, at.value) : extend(joined, at.child);
  };

  const remove = (node: Node | undefined, path: Uint8Array, depth: number): Node | undefined => {
    if (!node) return undefined;
    const at = load(node);
    if (at.kind === "branch") {
      const nibble = path[depth]!;
      const before = at.children[nibble];
      const after = remove(before, path, depth + 1);
      if (after === before) return node;
      const children = at.reference ? at.children.slice() : at.children;
      children[nibble] = after;
      const left = children.findIndex((child) => child !== undefined);
      const single = children.findIndex((child, i) => child !== undefined && i > left) === -1;
      if (single) return prefix(Uint8Array.of(left), children[left]!);
      return at.reference ? { kind: "branch", children, reference: undefined } : changed(at);
    }
    if (sharedPrefix(path, depth, at.path) < at.path.length) return node;
    if (at.kind === "leaf") return undefined;
    const after = remove(at.child, path, depth + at.path.length);
    if (after === at.child && !isDirty(after)) return node;
    return after ? prefix(at.path, after) : undefined;
  };
  const isDirty = (node: Node | undefined): boolean => node !== undefined && node.reference === undefined;
  // A dirty branch is changed in place; its parents see that by the missing reference.
  const changed = (branch: Branch): Branch => ({ kind: "branch", children: branch.children, reference: undefined });

  const hashAll = (node: Node, emit: Emit): void => {
    if (node.reference || node.kind === "stored") return;
    if (node.kind === "branch") {
      for (const child of node.children) if (child && !child.reference) hashAll(child, emit);
    } else if (node.kind === "extension") hashAll(node.child, emit);
    const encoded = encodeNode(node);
    if (encoded.length < 32) node.reference = encoded;
    else {
      const digest = keccak256Bytes(encoded);
      node.reference = hashReference(digest);
      emit(digest, encoded, node);
    }
  };

  return {
    get,
    put: (key, value) => {
      const path = toNibbles(key);
      top = value === undefined ? remove(top, path, 0) : insert(top, path, 0, value);
    },
    commit: (emit) => {
      if (!top) return EMPTY_ROOT;
      hashAll(top, emit);
      if (top.reference!.length === 33) return toHex(top.reference!.subarray(1));
      // The root is stored by hash whatever its size.
      const encoded = top.reference!;
      const digest = keccak256Bytes(encoded);
      emit(digest, encoded, load(top));
      return toHex(digest);
    },
    prove: (key) => {
      const path = toNibbles(key);
      const nodes: Uint8Array[] = [];
      let node = top;
      let depth = 0;
      while (node) {
        const at: Leaf | Extension | Branch = load(node);
        // A node shorter than 32 bytes stands inside its parent, but the root always stands for itself.
        if (node === top || node.reference!.length === 33) nodes.push(encodeNode(at));
        if (at.kind === "branch") node = at.children[path[depth++]!];
        else if (at.kind === "leaf" || sharedPrefix(path, depth, at.path) < at.path.length) break;
        else {
          depth += at.path.length;
          node = at.child;
        }
      }
      return nodes;
    },
  };
};

/**
 * Reads the value at a key from a proof under a root; undefined where the proof shows that there is none.
 * Throws where the proof does not lead there.
 */
export const verifyProof = (root: Hash, key: Uint8Array, proof: readonly Uint8Array[]): Uint8Array | undefined => {
  if (root === EMPTY_ROOT && proof.length === 0) return undefined;
  const nodes = new Map(proof.map((bytes) => [toHex(keccak256Bytes(bytes)), bytes]));
  const store: NodeStore = {
    read: (hash) => {
      const bytes = nodes.get(toHex(hash));
      if (!bytes) throw new Error(`the proof lacks node ${toHex(hash)}`);
      return decodeNode(bytes);
    },
  };
  return openTrie(store, root).get(key);
};
