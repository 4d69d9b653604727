import type { Account } from "../lib/spending.ts";
import type { Turns } from "../lib/turns.ts";

/** Has an account pay for the thread's time between its turns. */
export interface Meter {
  /** As Turns.turn; who has spent least goes first. */
  readonly turn: () => Promise<void>;
  /**
   * Runs something that was given a turn. Where it gives a promise, what it does after its first turn is paid for up to the
   * end, what it waits for before is not.
   */
  run<T>(work: () => T | Promise<T>): Promise<T>;
  /** Nothing more is done. */
  stop(): void;
}

/** Makes the meter of one request. */
export const createMeter = (turns: Turns, account: Account): Meter => {
  let since: number | undefined;
  let turnsBegun = 0;
  const start = (): void => {
    turnsBegun += 1;
    since = performance.now();
  };
  const stop = (): void => {
    if (since !== undefined) account.spend(performance.now() - since);
    since = undefined;
  };
  return {
    turn: () => {
      stop();
      // Not awaited here: the turn begins where the work is.
      return turns.turn(account.spent(), start);
    },
    run: async (work) => {
      const before = turnsBegun;
      try {
        const result = work();
        if (turnsBegun === before) stop();
        return await result;
      } finally {
        stop();
      }
    },
    stop,
  };
};
