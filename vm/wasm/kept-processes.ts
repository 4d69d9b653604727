import { totalmem } from "node:os";
import { ComputeFault, type JobProcess } from "./process.ts";

/** What may be kept. */
export interface KeepLimits {
  readonly processes: number;
  /** Bytes of memory of all of them. */
  readonly bytes: number;
  /** One that nobody took for so long ends. */
  readonly idleMs: number;
  /** Tells the bytes that the machine has free. */
  readonly free: () => number;
}

/** Processes whose work is done, each with a compiled module, for whoever has more of the same purpose. */
export interface KeptProcesses {
  /** Has a process rest, and keeps it; the longest unused end where that is too much. */
  keep(job: JobProcess): void;
  /** Gives the last used one of a purpose, once it has rested. It is the caller's then. */
  take(purpose: string): Promise<JobProcess | undefined>;
  /** Ends the longest unused until the rest is within the limits; done every few seconds too. */
  trim(): void;
  close(): void;
}

const MIB = 1024 * 1024;
/** One that holds more, or takes longer to rest, is not kept. A large program (CPython) holds some 350 MiB. */
const MAX_BYTES = 768 * MIB;
const REST_MS = 20_000;
const TRIM_MS = 5_000;
/** Kept processes make way before a machine has less. */
const MIN_FREE_BYTES = 1024 * MIB;

const KEEP_LIMITS: KeepLimits = {
  processes: 4,
  bytes: Math.min(1536 * MIB, totalmem() / 8),
  idleMs: 600_000,
  free: () => process.availableMemory(),
};

/** Keeps processes within limits, so that the next deal of the same purpose starts with its module compiled. */
export const createKeptProcesses = (limits: Partial<KeepLimits> = {}): KeptProcesses => {
  const { processes, bytes: maxBytes, idleMs, free } = { ...KEEP_LIMITS, ...limits };
  interface Kept {
    readonly rested: Promise<void>;
    readonly since: number;
    bytes: number;
  }
  /** The longest unused first. */
  const kept = new Map<JobProcess, Kept>();

  const drop = (job: JobProcess, reason: string): void => {
    if (kept.delete(job)) job.end(new ComputeFault(reason));
  };
  const trim = (): void => {
    for (const [job, { since }] of kept) {
      if (job.isOver) drop(job, "it ended");
      else if (Date.now() - since >= idleMs) drop(job, "nobody needs it");
    }
    let held = [...kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    // What was just ended is not free yet: each is counted as if it were.
    let missing = MIN_FREE_BYTES - free();
    for (const [job, { bytes }] of kept) {
      if (kept.size <= processes && held <= maxBytes && missing <= 0) return;
      held -= bytes;
      missing -= bytes;
      drop(job, "another needs its place");
    }
  };
  // Programs of the machine's owner want memory too, whenever they do.
  const timer = setInterval(trim, Math.min(TRIM_MS, idleMs)).unref();
  /** Has it drop the files of its last deal, and what its tasks left to the collector; then nothing in it runs. */
  const rest = async (job: JobProcess): Promise<number> => {
    const late = setTimeout(() => job.end(new ComputeFault("it does not come to rest")), REST_MS);
    try {
      const answer = await job.ask({ kind: "rest" });
      if (answer.kind !== "rested") throw new ComputeFault(`unexpected answer ${answer.kind}`);
      // What the system says, before what it says itself.
      const bytes = job.memory() ?? answer.bytes ?? Number.POSITIVE_INFINITY;
      if (bytes > MAX_BYTES) throw new ComputeFault(`it keeps ${bytes} bytes`);
      job.hold(false);
      job.freeze();
      return bytes;
    } finally {
      clearTimeout(late);
    }
  };
  return {
    keep: (job) => {
      const rested = rest(job).then(
        (bytes) => {
          entry.bytes = bytes;
          trim();
        },
        (error: Error) => {
          job.end(error);
          drop(job, error.message);
        },
      );
      const entry: Kept = { rested, since: Date.now(), bytes: 0 };
      kept.set(job, entry);
      trim();
    },
    take: async (purpose) => {
      for (const [job, { rested }] of [...kept].reverse()) {
        if (job.purpose !== purpose || !kept.has(job)) continue;
        kept.delete(job);
        await rested;
        if (job.isOver) continue;
        job.thaw();
        job.hold(true);
        return job;
      }
      return undefined;
    },
    trim,
    close: () => {
      clearInterval(timer);
      for (const job of [...kept.keys()]) drop(job, "closed");
    },
  };
};
