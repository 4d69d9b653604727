/** Milliseconds of a clock that nobody sets: what it says of a duration stays true when the time of day is put right. */
export type Clock = () => number;
export const monotonic: Clock = () => performance.now();

/** An allowance that fills again as time passes. */
export interface Bucket {
  /** What is left; below zero where more was spent than there was. */
  readonly level: number;
  spend(amount: number): void;
  /** Milliseconds until something is left. */
  readonly waitMs: number;
}

/** Makes a full bucket that holds `capacity` and gets `perSecond` back. */
export const createBucket = (capacity: number, perSecond: number, now: Clock = monotonic): Bucket => {
  let level = capacity;
  let since = now();
  const fill = (): number => {
    const at = now();
    level = Math.min(capacity, level + ((at - since) / 1000) * perSecond);
    since = at;
    return level;
  };
  return {
    get level() {
      return fill();
    },
    spend: (amount) => {
      level = fill() - amount;
    },
    get waitMs() {
      return fill() > 0 ? 0 : Math.ceil((-level / perSecond) * 1000) + 1;
    },
  };
};
