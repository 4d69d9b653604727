import type { WorkShare } from "../chain/block.ts";
import type { Hash } from "../lib/bytes.ts";
import type { WorkWindow } from "./resources/work.ts";
import { shareId, WORK_WINDOW } from "./shares.ts";

/** Shares kept at most: four full blocks of them for each block of the window. */
const MAX_SHARES = 2_048;

interface Kept {
  readonly share: WorkShare;
  readonly number: number;
  readonly difficulty: bigint;
}

/** Verified shares that wait for a block. */
export interface SharePool {
  readonly size: number;
  has(id: Hash): boolean;
  /** Keeps a verified share; where there are too many, the worst gives way. */
  add(share: WorkShare, anchor: { readonly number: number; readonly difficulty: bigint }): void;
  /**
   * Lists what a chain may still include, by its window: the highest difficulty first, then the anchor that leaves first,
   * then what came first. O(n log n).
   */
  best(window: WorkWindow): WorkShare[];
  /** Forgets shares whose anchor no block above a height can name. */
  prune(height: number): void;
}

/** Compares by worth: what earns more first, then what has less time. */
const compare = (a: Kept, b: Kept): number =>
  a.difficulty === b.difficulty ? a.number - b.number : a.difficulty > b.difficulty ? -1 : 1;

/** Makes an empty pool of shares. */
export const createSharePool = (): SharePool => {
  const shares = new Map<Hash, Kept>();
  return {
    get size() {
      return shares.size;
    },
    has: (id) => shares.has(id),
    add: (share, { number, difficulty }) => {
      shares.set(shareId(share), { share, number, difficulty });
      if (shares.size <= MAX_SHARES) return;
      const [worst] = [...shares].sort(([, a], [, b]) => compare(b, a));
      shares.delete(worst![0]);
    },
    best: ({ anchors, included }) =>
      [...shares]
        .filter(([id, { share }]) => anchors.has(share.anchorHash) && !included.has(id))
        .map(([, kept]) => kept)
        .sort(compare)
        .map(({ share }) => share),
    prune: (height) => {
      for (const [id, { number }] of shares) if (number + WORK_WINDOW <= height) shares.delete(id);
    },
  };
};
