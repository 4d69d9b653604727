import { concat, type Hash, toHex } from "../lib/bytes.ts";
import { keccak256Bytes } from "../lib/keccak.ts";
import { encodeRlp, type Item } from "../lib/rlp.ts";
import { indexKey } from "./transaction.ts";

interface Entry {
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

const nibbles = (key: Uint8Array): Uint8Array => {
  const out = new Uint8Array(key.length * 2);
  for (const [i, byte] of key.entries()) {
    out[2 * i] = byte >> 4;
    out[2 * i + 1] = byte & 15;
  }
  return out;
};

/** Packs nibbles with the flag of a leaf or an extension (yellow paper, appendix C). */
const compact = (path: Uint8Array, leaf: boolean): Uint8Array => {
  const odd = path.length % 2;
  const out = new Uint8Array((path.length >> 1) + 1);
  out[0] = ((leaf ? 2 : 0) + odd) << 4;
  if (odd) out[0] |= path[0]!;
  for (let i = odd; i < path.length; i += 2) out[((i - odd) >> 1) + 1] = (path[i]! << 4) | path[i + 1]!;
  return out;
};

const reference = (node: Item): Item => {
  const encoded = encodeRlp(node);
  return encoded.length < 32 ? node : keccak256Bytes(encoded);
};

const build = (entries: readonly Entry[], depth: number): Item => {
  const first = entries[0]!;
  if (entries.length === 1) return [compact(first.path.subarray(depth), true), first.value];
  let shared = depth;
  while (entries.every((entry) => entry.path.length > shared && entry.path[shared] === first.path[shared])) shared++;
  if (shared > depth) return [compact(first.path.subarray(depth, shared), false), reference(build(entries, shared))];
  const branch: Item[] = [];
  for (let nibble = 0; nibble < 16; nibble++) {
    const group = entries.filter((entry) => entry.path.length > depth && entry.path[depth] === nibble);
    branch.push(group.length === 0 ? new Uint8Array(0) : reference(build(group, depth + 1)));
  }
  branch.push(entries.find((entry) => entry.path.length === depth)?.value ?? new Uint8Array(0));
  return branch;
};

/** Computes the root of the Merkle Patricia trie that maps rlp(i) to the i-th value. O(n). */
export const orderedRoot = (values: readonly Uint8Array[]): Hash => {
  if (values.length === 0) return toHex(keccak256Bytes(encodeRlp(new Uint8Array(0))));
  const entries = values.map((value, i) => ({ path: nibbles(indexKey(i)), value }));
  return toHex(keccak256Bytes(concat(encodeRlp(build(entries, 0)))));
};
