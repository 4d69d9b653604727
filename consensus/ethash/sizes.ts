import type { Params } from "../../chain/params.ts";
import { fromHex, type Hash, toHex } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";

/** Bytes of an item of cache and dataset, and of the page of two that hashimoto reads (Ethash: HASH_BYTES, MIX_BYTES). */
export const ITEM_BYTES = 64;
export const PAGE_BYTES = 128;
/** Each epoch adds this part of the starting sizes: 2^17 of Ethereum's 2^24, 2^23 of its 2^30. */
const GROWTH = 128;
/** Blocks of one of Ethereum's epochs: by number and seed, any Ethash miner finds the dataset (spec section 7). */
export const ETHEREUM_EPOCH_BLOCKS = 30_000;

/** An Ethash epoch: what its cache and dataset are made from. */
export interface EthashEpoch {
  readonly number: number;
  readonly cacheBytes: number;
  readonly datasetBytes: number;
}

/** Trial division; the numbers are below 2^32. */
const isPrime = (value: number): boolean => {
  for (let divisor = 2; divisor * divisor <= value; divisor++) if (value % divisor === 0) return false;
  return value > 1;
};

const sizeAt = (start: number, epoch: number, unit: number): number => {
  let units = Math.floor((start + (start / GROWTH) * epoch) / unit) - 1;
  while (!isPrime(units)) units -= 2;
  return units * unit;
};

/**
 * Gives an Ethash epoch by its number. Sizes are the largest below start*(1 + number/128) with a prime number of items or
 * pages, as Ethereum's; the starting sizes must be multiples of 2^13 and 2^14 (chain/genesis.ts checks it).
 */
export const ethashEpoch = (
  number: number,
  start: Pick<Params, "ethashCacheBytes" | "ethashDatasetBytes">,
): EthashEpoch => ({
  number,
  cacheBytes: sizeAt(start.ethashCacheBytes, number, ITEM_BYTES),
  datasetBytes: sizeAt(start.ethashDatasetBytes, number, PAGE_BYTES),
});

let known: { readonly epoch: number; readonly seed: Uint8Array } = { epoch: 0, seed: new Uint8Array(32) };

/** Computes the seed of an epoch: keccak256 applied `epoch` times to 32 zero bytes. */
export const seedHash = (epoch: number): Hash => {
  let { epoch: at, seed } = epoch >= known.epoch ? known : { epoch: 0, seed: new Uint8Array(32) };
  for (; at < epoch; at++) seed = keccak256Bytes(seed);
  known = { epoch, seed };
  return toHex(seed);
};

/** The seed's bytes. */
export const seedBytes = (epoch: number): Uint8Array => fromHex(seedHash(epoch));
