import { keccak_256, keccak_512 } from "@noble/hashes/sha3.js";
import { type EthashEpoch, ITEM_BYTES, PAGE_BYTES, seedBytes } from "../../consensus/ethash/sizes.ts";
import { concat, fromHex, type Hash, type Hex, toHex } from "../../lib/bytes.ts";

/** Ethash in plain JavaScript over @noble/hashes: what the kernel is compared with. Little-endian machines only. */
const WORDS = 16;
const wordsOf = (bytes: Uint8Array): Uint32Array => new Uint32Array(bytes.slice().buffer);
const bytesOf = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
const hash512 = (words: Uint32Array): Uint32Array => wordsOf(keccak_512(bytesOf(words)));
const fnv = (a: number, b: number): number => (Math.imul(a, 0x01000193) ^ b) >>> 0;

/** Makes an epoch's cache. */
export const referenceCache = (epoch: EthashEpoch): Uint32Array => {
  const rows = epoch.cacheBytes / ITEM_BYTES;
  const cache = new Uint32Array(rows * WORDS);
  const row = (i: number): Uint32Array => cache.subarray(i * WORDS, (i + 1) * WORDS);
  cache.set(wordsOf(keccak_512(seedBytes(epoch.number))));
  for (let i = 1; i < rows; i++) cache.set(hash512(row(i - 1)), i * WORDS);
  for (let round = 0; round < 3; round++)
    for (let i = 0; i < rows; i++) {
      const [before, other] = [row((i + rows - 1) % rows), row(row(i)[0]! % rows)];
      cache.set(hash512(before.map((word, w) => word ^ other[w]!)), i * WORDS);
    }
  return cache;
};

const item = (cache: Uint32Array, index: number): Uint32Array => {
  const rows = cache.length / WORDS;
  let mix = cache.slice((index % rows) * WORDS, ((index % rows) + 1) * WORDS);
  mix[0]! ^= index;
  mix = hash512(mix) as typeof mix;
  for (let parent = 0; parent < 256; parent++) {
    const at = (fnv(index ^ parent, mix[parent % WORDS]!) % rows) * WORDS;
    for (let w = 0; w < WORDS; w++) mix[w] = fnv(mix[w]!, cache[at + w]!);
  }
  return hash512(mix);
};

/** Hashes by the cache. */
export const referenceHash = (epoch: EthashEpoch, cache: Uint32Array, seal: Hash, nonce: Hex) => {
  const pages = epoch.datasetBytes / PAGE_BYTES;
  const seed = keccak_512(concat(fromHex(seal), fromHex(nonce).reverse()));
  const start = wordsOf(seed);
  const mix = new Uint32Array(2 * WORDS);
  mix.set(start);
  mix.set(start, WORDS);
  for (let access = 0; access < 64; access++) {
    const page = fnv(access ^ start[0]!, mix[access % mix.length]!) % pages;
    for (let half = 0; half < 2; half++) {
      const words = item(cache, 2 * page + half);
      for (let w = 0; w < WORDS; w++) mix[half * WORDS + w] = fnv(mix[half * WORDS + w]!, words[w]!);
    }
  }
  const short = new Uint32Array(8).map((_, i) =>
    [1, 2, 3].reduce((word, n) => fnv(word, mix[4 * i + n]!), mix[4 * i]!),
  );
  return { mixHash: toHex(bytesOf(short)), result: toHex(keccak_256(concat(seed, bytesOf(short)))) };
};
