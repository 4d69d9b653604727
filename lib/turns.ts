import { createHeap } from "./heap.ts";

/** Shares the thread between callers who have much to do. */
export interface Turns {
  /**
   * Waits until this round of the event loop has time left: not at all where nobody has used it up. Whoever computes for
   * long asks again now and then, so that others, and what the node has to do by the clock, run in between. To be awaited
   * where the work is: what runs between here and there is not counted. Of those who wait the lowest `rank` goes first.
   * `begin` is run when the turn comes, before the promise is kept.
   */
  turn(rank?: number, begin?: () => void): Promise<void>;
}

interface Waiting {
  readonly rank: number;
  readonly number: number;
  readonly go: () => void;
}

const NOW = Promise.resolve();
const before = (a: Waiting, b: Waiting): boolean => a.rank < b.rank || (a.rank === b.rank && a.number < b.number);

/** Short: a round may hold what is left of one slice and the whole of the next, and a node has several kinds of turns. */
const SLICE_MS = 5;

/** Makes turns that together take about `sliceMs` of each round of the event loop. */
export const createTurns = (sliceMs = SLICE_MS): Turns => {
  const waiting = createHeap<Waiting>(before);
  let number = 0;
  /** When the first turn of this round began; undefined before. */
  let since: number | undefined;
  const hasTime = (): boolean => since !== undefined && performance.now() - since < sliceMs;
  const start = (): void => {
    since = performance.now();
    setImmediate(() => {
      since = undefined;
      if (waiting.size > 0) void release();
    });
  };
  const release = async (): Promise<void> => {
    start();
    do {
      waiting.pop()!.go();
      // Who waited goes on now, up to its next turn.
      await NOW;
    } while (waiting.size > 0 && hasTime());
  };
  return {
    turn: (rank = 0, begin) => {
      if (since === undefined && waiting.size === 0) start();
      if (waiting.size > 0 || !hasTime())
        return new Promise((resolve) => {
          const go = (): void => {
            begin?.();
            resolve();
          };
          waiting.push({ rank, number: number++, go });
        });
      begin?.();
      return NOW;
    },
  };
};
