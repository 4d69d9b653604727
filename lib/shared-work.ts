/** Ends a wait when the signal does, with its reason; the work itself has its own end. */
export const orAbort = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  // Work that nobody waits for any more may still fail.
  work.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
};

/** Work that several wait for at a time, each as long as its own signal lets it. */
export interface SharedWork<T> {
  /** Waits for the work of a name, or begins it. Its signal aborts when the last of those who wait has left. */
  join(name: string, work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** What is under way. */
  all(): Promise<T>[];
}

interface Running<T> {
  readonly work: Promise<T>;
  readonly left: AbortController;
  waiting: number;
}

/** Makes a place where work is shared by name. */
export const createSharedWork = <T>(): SharedWork<T> => {
  const running = new Map<string, Running<T>>();
  const begin = (name: string, work: (signal: AbortSignal) => Promise<T>): Running<T> => {
    const left = new AbortController();
    const begun = { left, waiting: 0, work: work(left.signal) };
    running.set(name, begun);
    const forget = (): void => {
      if (running.get(name) === begun) running.delete(name);
    };
    begun.work.then(forget, forget);
    left.signal.addEventListener("abort", forget);
    return begun;
  };
  return {
    join: async (name, work, signal) => {
      signal?.throwIfAborted();
      const joined = running.get(name) ?? begin(name, work);
      joined.waiting += 1;
      try {
        return await (signal ? orAbort(joined.work, signal) : joined.work);
      } finally {
        joined.waiting -= 1;
        // Who asks for it now begins anew.
        if (joined.waiting === 0) joined.left.abort(new Error(`nobody waits for ${name} any more`));
      }
    },
    all: () => [...running.values()].map(({ work }) => work),
  };
};
