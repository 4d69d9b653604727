import type { BlockHead } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Turns } from "../lib/turns.ts";
import type { EnginePort } from "./engine-port.ts";

/** Blocks that are remembered: more than a search for logs may cover. */
const KEPT = 16_384;
const BLOOM_BYTES = 256;
/** Headers that are read in one turn: about half a millisecond. */
const PER_TURN = 16;

/** Hashes and bloom filters of the newest blocks of the head's chain, so that nothing is read of a block that has no log which is wanted. */
export interface Blooms {
  /**
   * Takes in the chain of the head from block `from` on, as far back as is remembered: headers that were not read before, in turns
   * with others, one search after the other. Gives that chain's blocks from the first that is there, which stays the chain of that time.
   */
  follow(from: number): Promise<{ readonly first: number; readonly hashes: readonly Hash[] }>;
  /** The bloom filter of a block, until the next wait; undefined where it is not there, or not any more. */
  of(number: number, hash: Hash): Uint8Array | undefined;
}

/** Remembers 4 MiB of bloom filters, from the first search on. */
export const createBlooms = (engine: Pick<EnginePort, "head" | "store">, turns: Turns): Blooms => {
  const { store } = engine;
  const hashes: Hash[] = [];
  let filters = new Uint8Array(0);
  /** What is there: a chain without a hole; none while newest is below oldest. */
  let oldest = 0;
  let newest = -1;

  const hashAt = (number: number): Hash | undefined =>
    number >= oldest && number <= newest ? hashes[number % KEPT] : undefined;
  const put = ({ hash, header }: BlockHead): void => {
    hashes[header.number % KEPT] = hash;
    filters.set(header.logsBloom, (header.number % KEPT) * BLOOM_BYTES);
  };
  /** Reads the ancestors of a block, itself first, down to a number or to one that is there. Gives the last that was read. */
  const readBack = async (start: Hash, to: number, isThere: (block: BlockHead) => boolean): Promise<BlockHead[]> => {
    const read: BlockHead[] = [];
    for (let hash = start; ; ) {
      const block = store.head(hash);
      if (!block || block.header.number < to || isThere(block)) return read;
      read.push(block);
      if (read.length % PER_TURN === 0) await turns.turn();
      hash = block.header.parentHash;
    }
  };
  /** Blocks that are there, from one on. */
  const chainFrom = (first: number) => ({
    first,
    hashes: Array.from({ length: newest - first + 1 }, (_, i) => hashes[(first + i) % KEPT]!),
  });
  const takeIn = async (from: number): Promise<{ first: number; hashes: Hash[] }> => {
    if (filters.length === 0) filters = new Uint8Array(KEPT * BLOOM_BYTES);
    const top = engine.head();
    const least = Math.max(0, top.header.number - KEPT + 1);
    const first = Math.max(from, least);
    if (first > top.header.number) return { first, hashes: [] };
    const fresh = await readBack(top.hash, first, ({ hash, header }) => hashAt(header.number) === hash);
    const last = fresh.at(-1)?.header;
    // What is there goes on below what came, or is of another chain.
    if (last && hashAt(last.number - 1) !== last.parentHash) oldest = last.number;
    oldest = Math.max(oldest, least);
    newest = top.header.number;
    for (const block of fresh) put(block);
    if (oldest <= first) return chainFrom(first);
    const below = store.head(hashAt(oldest)!)!.header.parentHash;
    for (const block of await readBack(below, first, () => false)) put(block);
    oldest = first;
    return chainFrom(first);
  };
  let before: Promise<unknown> = Promise.resolve();
  return {
    follow: (from) => {
      const work = before.catch(() => undefined).then(() => takeIn(from));
      before = work;
      return work;
    },
    of: (number, hash) => {
      const at = (number % KEPT) * BLOOM_BYTES;
      return hashAt(number) === hash ? filters.subarray(at, at + BLOOM_BYTES) : undefined;
    },
  };
};
