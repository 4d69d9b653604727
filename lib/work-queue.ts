/** Does one piece of work after the other, in the order in which they came. */
export interface WorkQueue {
  /** Resolves with what the work gives. Rejects where it does, or where too much waits. */
  add<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves once all that was added is done. */
  idle(): Promise<void>;
}

/** Makes a queue in which at most so many wait. */
export const createWorkQueue = (max: number, name: string): WorkQueue => {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  return {
    add: (work) => {
      if (waiting >= max) return Promise.reject(new Error(`the ${name} queue is full`));
      waiting += 1;
      const done = last.then(work).finally(() => {
        waiting -= 1;
      });
      last = done.catch(() => undefined);
      return done;
    },
    idle: async () => void (await last),
  };
};
