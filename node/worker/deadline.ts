import type { LotView } from "../market-client.ts";

/** Seconds that a message needs to be in a block. */
export const MESSAGE_SECONDS = 3;
/** Shares of what is left of a round: for fetching what a lot needs, and at the end for its answer to be in a block. */
const FETCH_SHARE = 0.5;
const ANSWER_SHARE = 0.05;
/** What a timer can hold; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Until when a worker fetches, and until when it computes, in Unix milliseconds: then there is still time to decline. */
export interface Deadlines {
  readonly fetchBy: number;
  readonly answerBy: number;
}

/** Divides what is left of a lot's round when its worker begins with it. The only place that reads a lot's clock for that. */
export const deadlinesOf = ({ roundEnd }: Pick<LotView, "roundEnd">, nowMs: number): Deadlines => {
  const left = Math.max(0, roundEnd * 1000 - nowMs);
  const answerBy = roundEnd * 1000 - Math.max(MESSAGE_SECONDS * 1000, ANSWER_SHARE * left);
  return { fetchBy: nowMs + FETCH_SHARE * Math.max(0, answerBy - nowMs), answerBy };
};

/** Gives a signal that aborts at a time, or as another one does. */
export const signalUntil = (timeMs: number, signal: AbortSignal): AbortSignal =>
  AbortSignal.any([signal, AbortSignal.timeout(Math.min(MAX_TIMER_MS, Math.max(0, Math.ceil(timeMs - Date.now()))))]);
