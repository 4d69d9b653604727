/** The simulated time of all nodes: events in order, and the timers of the code under simulation among them. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  at(ms: number, run: () => unknown): { cancelled: boolean };
  /** Runs what is due until a time. */
  until(ms: number): Promise<void>;
}

interface Event {
  readonly ms: number;
  readonly order: number;
  readonly run: () => unknown;
  cancelled: boolean;
}

const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout };

/** Makes a clock and puts it in the place of this process' timers until `restore`. */
export const createClock = (startMs: number): Clock & { restore(): void } => {
  let nowMs = startMs;
  let order = 0;
  const heap: Event[] = [];
  const before = (a: Event, b: Event): boolean => a.ms < b.ms || (a.ms === b.ms && a.order < b.order);
  const push = (event: Event): void => {
    let at = heap.push(event) - 1;
    for (let parent = (at - 1) >> 1; at > 0 && before(event, heap[parent]!); parent = (at - 1) >> 1) {
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  };
  const pop = (): Event => {
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (let child = 1; child < heap.length; child = 2 * at + 1) {
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  };
  const at: Clock["at"] = (ms, run) => {
    const event: Event = { ms: Math.max(ms, nowMs), order: order++, run, cancelled: false };
    push(event);
    return event;
  };
  Object.assign(globalThis, {
    setTimeout: (run: () => unknown, ms = 0) => at(nowMs + ms, run),
    clearTimeout: (event?: { cancelled: boolean }) => {
      if (event) event.cancelled = true;
    },
  });
  return {
    now: () => nowMs,
    at,
    until: async (ms) => {
      while (heap[0] && heap[0].ms <= ms) {
        const event = pop();
        nowMs = event.ms;
        if (!event.cancelled) await event.run();
      }
      nowMs = ms;
    },
    restore: () => Object.assign(globalThis, real),
  };
};

/** A pseudo-random sequence from a seed (mulberry32): a run can be repeated. */
export const randomFrom = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};
