import { monotonic } from "../bucket.ts";

/** A place that somebody has for a while. */
export interface Turn {
  /** Aborts when the place is wanted by others: who has it gives it back, and may wait for another. */
  readonly ended: AbortSignal;
  leave(): void;
}

interface Waiter {
  readonly start: (turn: Turn) => void;
}
interface Held {
  readonly asker: object;
  readonly since: number;
  readonly end: AbortController;
}

/** Why a turn ends while its work could go on. */
export class TurnOver extends Error {}

/**
 * Shares places among askers by turns. Those who wait get the next one asker by asker, however many waits each has. While
 * somebody waits, who has had a place for `turnMs` gives it up, of those first whose asker has the most: what never ends keeps
 * nothing from others.
 */
export const createFetchRoom = (places: number, turnMs: number) => {
  const held = new Set<Held>();
  /** Askers in the order of their next turn. */
  const waiting = new Map<object, Waiter[]>();
  let isRecalling = false;

  const give = (asker: object): Turn => {
    const mine: Held = { asker, since: monotonic(), end: new AbortController() };
    held.add(mine);
    return {
      ended: mine.end.signal,
      leave: () => {
        if (held.delete(mine)) serve();
      },
    };
  };
  const countOf = (asker: object): number => [...held].filter((each) => each.asker === asker).length;
  /** Asks for a place back, and again while somebody waits. */
  const recall = (): void => {
    isRecalling = false;
    const now = monotonic();
    const [first] = [...held]
      .filter(({ since, end }) => now - since >= turnMs && !end.signal.aborted)
      .map((each) => ({ each, count: countOf(each.asker) }))
      .sort((a, b) => b.count - a.count || a.each.since - b.each.since);
    first?.each.end.abort(new TurnOver("others wait for a place"));
    serve();
  };
  const serve = (): void => {
    for (const [asker, waiters] of waiting) {
      if (held.size >= places) break;
      waiting.delete(asker);
      const { start } = waiters.shift()!;
      // At the end of the order: everybody else comes before its next one.
      if (waiters.length > 0) waiting.set(asker, waiters);
      start(give(asker));
    }
    if (waiting.size === 0 || isRecalling) return;
    isRecalling = true;
    setTimeout(recall, turnMs / 4).unref();
  };
  return {
    /** Waits for a place. Rejects with the signal's reason. */
    enter: (asker: object, signal: AbortSignal): Promise<Turn> =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const leave = (): void => {
          const others = (waiting.get(asker) ?? []).filter((each) => each !== waiter);
          if (others.length > 0) waiting.set(asker, others);
          else waiting.delete(asker);
          reject(signal.reason);
        };
        const waiter: Waiter = {
          start: (turn) => {
            signal.removeEventListener("abort", leave);
            resolve(turn);
          },
        };
        signal.addEventListener("abort", leave, { once: true });
        waiting.set(asker, [...(waiting.get(asker) ?? []), waiter]);
        serve();
      }),
  };
};
