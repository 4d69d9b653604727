/** Places of lots that are computed, one for each core that the owner gives. Who waits for data needs none. */
export interface Places {
  /** Lots that have a place, or wait for one. */
  readonly wanted: number;
  /** Waits for a place; gives what leaves it. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void>;
}

/** Makes so many places. */
export const createPlaces = (count: number): Places => {
  let taken = 0;
  const waiting = new Set<() => void>();
  const leave = (): void => {
    const [next] = waiting;
    if (next) next();
    else taken -= 1;
  };
  return {
    get wanted() {
      return taken + waiting.size;
    },
    enter: (signal) =>
      new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        if (taken < count) {
          taken += 1;
          return resolve(leave);
        }
        const give = (): void => {
          waiting.delete(give);
          signal.removeEventListener("abort", end);
          resolve(leave);
        };
        const end = (): void => {
          waiting.delete(give);
          reject(signal.reason);
        };
        signal.addEventListener("abort", end, { once: true });
        waiting.add(give);
      }),
  };
};
