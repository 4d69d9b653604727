import type { CID } from "multiformats/cid";
import { RuleError } from "../../lib/rule-error.ts";
import { DATA_RULES } from "./rules.ts";

/** Time that a block adds to a fetch, up to its time-out: a peer that gives one a minute would keep a place for an hour. */
const BLOCK_MS = 100;
const MIN_BYTES_PER_MS = 16;
/** Milliseconds for a whole tree: 256 MiB over 1 Mbit/s take 36 minutes. */
export const TREE_MS = 3_600_000;

/** Lets so many through at a time. Calls `onIdle` when the last one is through. */
export const createGate = (places: number, onIdle: () => void = () => {}) => {
  let free = places;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
      if (free === places) onIdle();
    }
  };
};

/** Ends a fetch that does not go on, or goes on so slowly that it only keeps a place from others, or lasts beyond `end`. */
export const createPace = (timeoutMs: number, root: CID, end: number) => {
  const slow = new AbortController();
  let deadline = Math.min(end, Date.now() + timeoutMs);
  let timer: NodeJS.Timeout | undefined;
  const watch = (): void => {
    timer = setTimeout(() => {
      if (Date.now() < deadline) watch();
      else slow.abort(new RuleError("data-slow", DATA_RULES["data-slow"], `no block of ${root} came in time`));
    }, deadline - Date.now());
  };
  watch();
  return {
    signal: slow.signal,
    onBlock: (bytes: number): void => {
      deadline = Math.min(end, Date.now() + timeoutMs, deadline + BLOCK_MS + bytes / MIN_BYTES_PER_MS);
    },
    stop: (): void => clearTimeout(timer),
  };
};
export type Pace = ReturnType<typeof createPace>;
