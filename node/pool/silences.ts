import type { Address } from "../../lib/bytes.ts";

/** How often a worker was silent of late, and until when it is not asked for that, in milliseconds. */
export interface Silence {
  readonly count: number;
  readonly until: number;
}

/** Who was asked and did not answer is asked again later, twice as late with each time; an answer halves what was counted. */
export interface Silences {
  /**
   * Counts that a worker did not answer what it was asked at a time (ms), and gives until when it rests for that. What it was asked
   * before its last rest was over is the same silence: undefined.
   */
  silent(worker: Address, since: number): number | undefined;
  /** Takes a silence back that was counted, and its rest: the answer was late. */
  takeBack(worker: Address, until: number): void;
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
    silent: (worker, since) => {
      const found = counts.get(worker);
      if (found && since < found.until) return undefined;
      const count = (found?.count ?? 0) + 1;
      note(worker, count, Math.min(MOST_MS, FIRST_MS * 2 ** (count - 1)));
      return counts.get(worker)?.until;
    },
    takeBack: (worker, until) => {
      const found = counts.get(worker);
      if (!found) return;
      note(worker, Math.max(0, found.count - 1), found.until === until ? 0 : Math.max(0, found.until - now()));
    },
    answered: (worker) => {
      const found = counts.get(worker);
      if (found) note(worker, found.count >> 1, Math.max(0, found.until - now()));
    },
    restOf: (worker) => Math.max(0, (counts.get(worker)?.until ?? 0) - now()),
  };
};
