import type { Address } from "../../lib/bytes.ts";

/** How often a worker was silent of late, and until when it is not asked for that, in milliseconds. */
export interface Silence {
  readonly count: number;
  readonly until: number;
}

/** Who was asked and did not answer is asked again later, twice as late with each time; an answer halves what was counted. */
export interface Silences {
  silent(worker: Address): void;
  answered(worker: Address): void;
  /** Milliseconds until a worker is asked again; 0 where it may be now. */
  restOf(worker: Address): number;
}

const FIRST_MS = 30_000;
const MOST_MS = 3_600_000;
/** Workers of whom something is counted, those longest ago forgotten first; and for how long. */
const MAX_WORKERS = 16_384;
const FORGET_MS = 24 * 3_600_000;

/** Keeps count in a map, which whoever gives it may save. */
export const createSilences = (counts: Map<Address, Silence>, now: () => number): Silences => {
  const note = (worker: Address, count: number, ms: number): void => {
    counts.delete(worker);
    if (count === 0) return;
    counts.set(worker, { count, until: now() + ms });
    for (const [oldest, { until }] of counts) {
      if (counts.size <= MAX_WORKERS && until + FORGET_MS > now()) return;
      counts.delete(oldest);
    }
  };
  return {
    silent: (worker) => {
      const count = (counts.get(worker)?.count ?? 0) + 1;
      note(worker, count, Math.min(MOST_MS, FIRST_MS * 2 ** (count - 1)));
    },
    answered: (worker) => {
      const found = counts.get(worker);
      if (found) note(worker, found.count >> 1, Math.max(0, found.until - now()));
    },
    restOf: (worker) => Math.max(0, (counts.get(worker)?.until ?? 0) - now()),
  };
};
