import { readFileSync } from "node:fs";
import { bigintToBytes, fromHex, type Hash, type Hex, toHex } from "../../lib/bytes.ts";
import { type EthashEpoch, ITEM_BYTES, PAGE_BYTES, seedBytes } from "./sizes.ts";

/** A page of WebAssembly's memory. */
const WASM_PAGE = 65_536;
/** Where the areas of threads begin: below are the compiler's stack, which nobody uses, and its constants. */
const AREAS = 2 * WASM_PAGE;
/** A thread's area: its parameters and answers, and above them its stack. */
const AREA_BYTES = WASM_PAGE;
const [SEAL, TARGET, ANSWER] = [0, 32, 64];
/** Bytes of memory at most: WebAssembly has 32-bit addresses. */
const MAX_BYTES = 2 ** 32;

/** What kernel.c exports. */
interface Exports {
  readonly __stack_pointer: WebAssembly.Global;
  cache(items: number, rows: number, seed: number): void;
  dataset(items: number, rows: number, out: number, first: number, count: number): void;
  hash(items: number, rows: number, full: number, pages: number, seal: number, nonce: bigint, answer: number): void;
  search(
    items: number,
    rows: number,
    full: number,
    pages: number,
    seal: number,
    target: number,
    nonce: bigint,
    count: number,
    answer: number,
  ): number;
}

/** A place in memory for one epoch, shared by `threads` threads. */
export interface EthashMemory {
  readonly memory: WebAssembly.Memory;
  readonly epoch: EthashEpoch;
  readonly threads: number;
  /** The dataset has its place too. */
  readonly isFull: boolean;
}

const cacheAt = (threads: number): number => AREAS + threads * AREA_BYTES;
/** Both on the boundary of a page of 128 bytes. */
const datasetAt = (threads: number, epoch: EthashEpoch): number =>
  cacheAt(threads) + Math.ceil(epoch.cacheBytes / PAGE_BYTES) * PAGE_BYTES;

/** Bytes of memory that an epoch takes. */
export const memoryBytes = (epoch: EthashEpoch, threads: number, isFull: boolean): number =>
  datasetAt(threads, epoch) + (isFull ? epoch.datasetBytes : 0);

/** Tells whether a dataset of this epoch can be held at all: 32-bit addresses end at 4 GiB. */
export const isAddressable = (epoch: EthashEpoch, threads: number): boolean =>
  memoryBytes(epoch, threads, true) <= MAX_BYTES;

/** Makes the memory of an epoch, zeroed; it is shared, so that several threads can work on it. Throws where there is none. */
export const allocate = (epoch: EthashEpoch, threads: number, isFull: boolean): EthashMemory => {
  const pages = Math.ceil(memoryBytes(epoch, threads, isFull) / WASM_PAGE);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  return { memory, epoch, threads, isFull };
};

/** What a hash yields. */
export interface EthashAnswer {
  readonly mixHash: Hash;
  readonly result: Hash;
}

/** One thread's Ethash over a memory. */
export interface Kernel {
  /** Fills the cache; before anything else. 0.6 s for 16 MiB. */
  makeCache(): void;
  /** Fills `count` pages of the dataset from page `first` on, from the cache. 13 us a page. */
  makePages(first: number, count: number): void;
  /** Computes mix and result of a seal with a nonce: 0.9 ms from a cache of 16 MiB. */
  hash(seal: Hash, nonce: Hex): EthashAnswer;
  /** Tries `count` nonces from `first` on; gives what the first with a result of at most `target` yields. */
  search(seal: Hash, target: bigint, first: bigint, count: number): { nonce: Hex; mixHash: Hash } | undefined;
}

let compiled: WebAssembly.Module | undefined;

/** Opens Ethash on a memory for the thread of this number, below the memory's `threads`. */
export const openKernel = ({ memory, epoch, threads, isFull }: EthashMemory, thread: number): Kernel => {
  compiled ??= new WebAssembly.Module(readFileSync(new URL("./kernel.wasm", import.meta.url)));
  const kernel = new WebAssembly.Instance(compiled, { env: { memory } }).exports as unknown as Exports;
  const area = AREAS + thread * AREA_BYTES;
  kernel.__stack_pointer.value = area + AREA_BYTES;
  const items = cacheAt(threads);
  const rows = epoch.cacheBytes / ITEM_BYTES;
  const pages = epoch.datasetBytes / PAGE_BYTES;
  const full = isFull ? datasetAt(threads, epoch) : 0;
  const bytes = new Uint8Array(memory.buffer);
  const take = (at: number): Hash => toHex(bytes.slice(area + at, area + at + 32));
  return {
    makeCache: () => {
      bytes.set(seedBytes(epoch.number), area);
      kernel.cache(items, rows, area);
    },
    makePages: (first, count) => kernel.dataset(items, rows, full + first * PAGE_BYTES, first, count),
    hash: (seal, nonce) => {
      bytes.set(fromHex(seal), area + SEAL);
      kernel.hash(items, rows, full, pages, area + SEAL, BigInt(nonce), area + ANSWER);
      return { mixHash: take(ANSWER), result: take(ANSWER + 32) };
    },
    search: (seal, target, first, count) => {
      bytes.set(fromHex(seal), area + SEAL);
      bytes.set(bigintToBytes(target, 32), area + TARGET);
      const [at, limit, answer] = [area + SEAL, area + TARGET, area + ANSWER];
      const tried = kernel.search(items, rows, full, pages, at, limit, first, count, answer);
      if (tried === count) return undefined;
      return { nonce: toHex(bigintToBytes(BigInt.asUintN(64, first + BigInt(tried)), 8)), mixHash: take(ANSWER) };
    },
  };
};
