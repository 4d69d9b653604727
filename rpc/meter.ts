import type { Account } from "../lib/spending.ts";
import type { Turns } from "../lib/turns.ts";
import { REFUSED, RpcError } from "./errors.ts";

/** Has an account pay for the thread's time between its turns. */
export interface Meter {
  /** As Turns.turn; who has spent least goes first. */
  readonly turn: () => Promise<void>;
  /**
   * Runs a call that was given a turn, and gives it how to ask for more: that rejects with RpcError -32000 once the call has
   * taken too much. Where the call gives a promise, what it does after a turn of its own is paid for up to the end, what it
   * waits for before is not.
   */
  run(call: (turn: () => Promise<void>) => unknown): unknown;
  /** Nothing more is done. */
  stop(): void;
}

/** Makes the meter of one request, whose calls may each take `maxCallMs` of the thread. */
export const createMeter = (turns: Turns, account: Account, maxCallMs: number): Meter => {
  let since: number | undefined;
  let turnsBegun = 0;
  let spentMs = 0;
  const start = (): void => {
    turnsBegun += 1;
    since = performance.now();
  };
  const stop = (): void => {
    if (since === undefined) return;
    const tookMs = performance.now() - since;
    since = undefined;
    spentMs += tookMs;
    account.spend(tookMs);
  };
  const turn = (): Promise<void> => {
    stop();
    // Not awaited here: the turn begins where the work is.
    return turns.turn(account.spent(), start);
  };
  const late = (): RpcError =>
    new RpcError(REFUSED, `query timeout: more than ${maxCallMs} ms of work; ask for less at a time`);
  return {
    turn,
    run: (call) => {
      const [before, spentBefore] = [turnsBegun, spentMs];
      const limited = (): Promise<void> => {
        stop();
        return spentMs - spentBefore > maxCallMs ? Promise.reject(late()) : turn();
      };
      const result = call(limited);
      if (!(result instanceof Promise)) return result;
      if (turnsBegun === before) stop();
      return result.finally(stop);
    },
    stop,
  };
};
