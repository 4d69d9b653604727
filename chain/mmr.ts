import { concat, fromHex, type Hash, toHex, uint64 } from "../lib/bytes.ts";
import { keccak256Bytes } from "../lib/keccak.ts";

/**
 * Merkle mountain range (spec section 5): leaves hashed under 0x00, inner nodes under 0x01, peaks bagged from right to left
 * under 0x02, and the number of leaves hashed into the root.
 */
export interface Mmr {
  readonly count: number;
  /** Roots of the mountains, the highest (leftmost) first: one for each bit of `count`. */
  readonly peaks: readonly Hash[];
}

export const EMPTY_MMR: Mmr = { count: 0, peaks: [] };

const hash = (domain: number, ...parts: Uint8Array[]): Uint8Array => keccak256Bytes(Uint8Array.of(domain), ...parts);
const leafHash = (leaf: Uint8Array): Uint8Array => hash(0, leaf);
const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array => hash(1, left, right);
const bagHash = (left: Uint8Array, right: Uint8Array): Uint8Array => hash(2, left, right);

/** Appends a leaf. O(log n). */
export const mmrAppend = (mmr: Mmr, leaf: Uint8Array): Mmr => {
  const peaks = mmr.peaks.map(fromHex);
  let top = leafHash(leaf);
  for (let count = mmr.count; count % 2 === 1; count = (count - 1) / 2) top = nodeHash(peaks.pop()!, top);
  return { count: mmr.count + 1, peaks: [...peaks, top].map(toHex) };
};

const bag = (peaks: readonly Uint8Array[]): Uint8Array =>
  peaks.slice(0, -1).reduceRight((right, left) => bagHash(left, right), peaks.at(-1)!);

/** Computes the root; of no leaves it is the hash of the count alone. */
export const mmrRoot = (mmr: Mmr): Hash =>
  toHex(hash(2, uint64(mmr.count), mmr.count === 0 ? new Uint8Array(0) : bag(mmr.peaks.map(fromHex))));

/** Computes the root over a whole list of leaves. O(n). */
export const mmrRootOf = (leaves: readonly Uint8Array[]): Hash => mmrRoot(leaves.reduce(mmrAppend, EMPTY_MMR));

/** Shows that a leaf is in a range: siblings up to its peak, then the other peaks in order. */
export interface MmrProof {
  readonly index: number;
  readonly count: number;
  readonly siblings: readonly Hash[];
  readonly peaks: readonly Hash[];
}

/** Sizes of the mountains, the highest first. */
const mountains = (count: number): number[] => {
  const sizes: number[] = [];
  for (let size = 2 ** Math.floor(Math.log2(count)); size >= 1; size /= 2) {
    if (count >= size) {
      sizes.push(size);
      count -= size;
    }
  }
  return sizes;
};

const place = (index: number, count: number): { mountain: number; offset: number; size: number } => {
  let start = 0;
  for (const [mountain, size] of mountains(count).entries()) {
    if (index < start + size) return { mountain, offset: index - start, size };
    start += size;
  }
  throw new RangeError(`leaf ${index} of ${count}`);
};

/** Proves a leaf from all leaves. O(n). */
export const mmrProve = (leaves: readonly Uint8Array[], index: number): MmrProof => {
  const { mountain, offset, size } = place(index, leaves.length);
  const start = index - offset;
  let level = leaves.slice(start, start + size).map(leafHash);
  const siblings: Hash[] = [];
  for (let at = offset; level.length > 1; at >>= 1) {
    siblings.push(toHex(level[at ^ 1]!));
    level = Array.from({ length: level.length / 2 }, (_, i) => nodeHash(level[2 * i]!, level[2 * i + 1]!));
  }
  const all = leaves.reduce(mmrAppend, EMPTY_MMR).peaks;
  return { index, count: leaves.length, siblings, peaks: all.filter((_, i) => i !== mountain) };
};

/** Tells whether a proof leads from a leaf to a root; false on anything malformed. O(log n). */
export const mmrVerify = (root: Hash, leaf: Uint8Array, proof: MmrProof): boolean => {
  const { index, count } = proof;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(count) || index < 0 || index >= count) return false;
  const { mountain, offset, size } = place(index, count);
  if (proof.siblings.length !== Math.log2(size) || proof.peaks.length !== mountains(count).length - 1) return false;
  let top = leafHash(leaf);
  let at = offset;
  for (const sibling of proof.siblings) {
    top = at % 2 === 0 ? nodeHash(top, fromHex(sibling)) : nodeHash(fromHex(sibling), top);
    at >>= 1;
  }
  return mmrRoot({ count, peaks: proof.peaks.toSpliced(mountain, 0, toHex(top)) }) === root;
};

/** Packs a range for the database. */
export const encodeMmr = (mmr: Mmr): Uint8Array => concat(uint64(mmr.count), ...mmr.peaks.map(fromHex));
/** Unpacks encodeMmr's bytes. */
export const decodeMmr = (bytes: Uint8Array): Mmr => ({
  count: Number(Buffer.from(bytes.subarray(0, 8)).readBigUInt64BE()),
  peaks: Array.from({ length: (bytes.length - 8) / 32 }, (_, i) => toHex(bytes.subarray(8 + 32 * i, 40 + 32 * i))),
});
