/** Shares the thread between callers who have much to do. */
export interface Turns {
  /**
   * Waits until this round of the event loop has time left: not at all where nobody has used it up. Whoever computes for
   * long asks again now and then, so that others, and what the node has to do by the clock, run in between. To be awaited
   * where the work is: what runs between here and there is not counted.
   */
  turn(): Promise<void>;
}

const NOW = Promise.resolve();

/** Makes turns that together take about `sliceMs` of each round of the event loop. */
export const createTurns = (sliceMs = 20): Turns => {
  const waiting: (() => void)[] = [];
  /** When the first turn of this round began; undefined before. */
  let since: number | undefined;
  const hasTime = (): boolean => since !== undefined && performance.now() - since < sliceMs;
  const begin = (): void => {
    since = performance.now();
    setImmediate(() => {
      since = undefined;
      if (waiting.length > 0) void release();
    });
  };
  const release = async (): Promise<void> => {
    begin();
    do {
      waiting.shift()!();
      // Who waited goes on now, up to its next turn.
      await NOW;
    } while (waiting.length > 0 && hasTime());
  };
  return {
    turn: () => {
      if (since === undefined && waiting.length === 0) begin();
      return waiting.length === 0 && hasTime() ? NOW : new Promise((resolve) => waiting.push(resolve));
    },
  };
};
