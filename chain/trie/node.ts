import { keccak256Bytes } from "../../lib/keccak.ts";
import { decodeRlp, type Item } from "../../lib/rlp.ts";

/**
 * Nodes of a Merkle Patricia trie whose keys all have 32 bytes (yellow paper, appendix D), so that a branch never holds
 * a value. `reference` is the RLP that stands for the node in its parent: its encoding where shorter than 32 bytes, else the
 * encoding of its hash. A node without one is dirty: owned by one trie, and changed in place until it is hashed.
 */
export interface Leaf {
  readonly kind: "leaf";
  path: Uint8Array;
  value: Uint8Array;
  reference: Uint8Array | undefined;
}
export interface Extension {
  readonly kind: "extension";
  path: Uint8Array;
  child: Node;
  reference: Uint8Array | undefined;
}
export interface Branch {
  readonly kind: "branch";
  readonly children: (Node | undefined)[];
  reference: Uint8Array | undefined;
}
/** A node that has not been read yet. */
export interface Stored {
  readonly kind: "stored";
  readonly hash: Uint8Array;
  readonly reference: Uint8Array;
}
export type Node = Leaf | Extension | Branch | Stored;

/** Splits bytes into nibbles. */
export const toNibbles = (key: Uint8Array): Uint8Array => {
  const out = new Uint8Array(key.length * 2);
  for (let i = 0; i < key.length; i++) {
    out[2 * i] = key[i]! >> 4;
    out[2 * i + 1] = key[i]! & 15;
  }
  return out;
};

/** Packs nibbles with the flag of a leaf or an extension (yellow paper, appendix C). */
const compact = (path: Uint8Array, leaf: boolean): Uint8Array => {
  const odd = path.length & 1;
  const out = new Uint8Array((path.length >> 1) + 1);
  out[0] = (((leaf ? 2 : 0) + odd) << 4) | (odd ? path[0]! : 0);
  for (let i = odd; i < path.length; i += 2) out[((i - odd) >> 1) + 1] = (path[i]! << 4) | path[i + 1]!;
  return out;
};

const unpack = (bytes: Uint8Array): { path: Uint8Array; leaf: boolean } => {
  const nibbles = toNibbles(bytes);
  const flag = nibbles[0]!;
  return { path: nibbles.subarray(flag & 1 ? 1 : 2), leaf: flag >= 2 };
};

const lengthBytes = (size: number): number => (size < 0x100 ? 1 : size < 0x10000 ? 2 : size < 0x1000000 ? 3 : 4);
const stringSize = (bytes: Uint8Array): number =>
  bytes.length === 1 && bytes[0]! < 0x80
    ? 1
    : bytes.length < 56
      ? 1 + bytes.length
      : 1 + lengthBytes(bytes.length) + bytes.length;

const writeHead = (out: Uint8Array, at: number, size: number, base: number): number => {
  if (size < 56) {
    out[at] = base + size;
    return at + 1;
  }
  const width = lengthBytes(size);
  out[at] = base + 55 + width;
  for (let i = 0; i < width; i++) out[at + 1 + i] = (size >>> (8 * (width - 1 - i))) & 0xff;
  return at + 1 + width;
};
const writeString = (out: Uint8Array, at: number, bytes: Uint8Array): number => {
  if (bytes.length === 1 && bytes[0]! < 0x80) {
    out[at] = bytes[0]!;
    return at + 1;
  }
  const start = writeHead(out, at, bytes.length, 0x80);
  out.set(bytes, start);
  return start + bytes.length;
};
const listOf = (payload: number): { out: Uint8Array; at: number } => {
  const out = new Uint8Array((payload < 56 ? 1 : 1 + lengthBytes(payload)) + payload);
  return { out, at: writeHead(out, 0, payload, 0xc0) };
};

/** Encodes a node whose children all have references. */
export const encodeNode = (node: Leaf | Extension | Branch): Uint8Array => {
  if (node.kind === "branch") {
    let payload = 1;
    for (const child of node.children) payload += child ? child.reference!.length : 1;
    let { out, at } = listOf(payload);
    for (const child of node.children) {
      if (child) {
        out.set(child.reference!, at);
        at += child.reference!.length;
      } else out[at++] = 0x80;
    }
    out[at] = 0x80;
    return out;
  }
  const path = compact(node.path, node.kind === "leaf");
  if (node.kind === "leaf") {
    const { out, at } = listOf(stringSize(path) + stringSize(node.value));
    writeString(out, writeString(out, at, path), node.value);
    return out;
  }
  const child = node.child.reference!;
  const { out, at } = listOf(stringSize(path) + child.length);
  out.set(child, writeString(out, at, path));
  return out;
};

/** Makes the reference to a node of this hash. */
export const hashReference = (hash: Uint8Array): Uint8Array => {
  const out = new Uint8Array(33);
  out[0] = 0xa0;
  out.set(hash, 1);
  return out;
};

const fromItem = (item: Item): Node | undefined => {
  if (item instanceof Uint8Array) {
    if (item.length === 0) return undefined;
    if (item.length !== 32) throw new Error("a trie node refers to no hash");
    const hash = Uint8Array.from(item);
    return { kind: "stored", hash, reference: hashReference(hash) };
  }
  let node: Leaf | Extension | Branch;
  if (item.length === 17) {
    node = { kind: "branch", children: item.slice(0, 16).map(fromItem), reference: undefined };
  } else {
    const { path, leaf } = unpack(item[0] as Uint8Array);
    node = leaf
      ? { kind: "leaf", path, value: Uint8Array.from(item[1] as Uint8Array), reference: undefined }
      : { kind: "extension", path, child: fromItem(item[1] as Item)!, reference: undefined };
  }
  const encoded = encodeNode(node);
  node.reference = encoded.length < 32 ? encoded : hashReference(keccak256Bytes(encoded));
  return node;
};

/** Decodes a stored node. Throws where the bytes are no node. */
export const decodeNode = (bytes: Uint8Array): Leaf | Extension | Branch => {
  const node = fromItem(decodeRlp(bytes, { maxDepth: 32 }));
  if (!node || node.kind === "stored") throw new Error("a stored trie node is no node");
  return node;
};

/** The number of leading nibbles that two paths share, from an offset of the first on. */
export const sharedPrefix = (key: Uint8Array, depth: number, path: Uint8Array): number => {
  let i = 0;
  while (i < path.length && key[depth + i] === path[i]) i++;
  return i;
};
