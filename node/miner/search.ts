import { randomBytes } from "node:crypto";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { allocate, isAddressable, memoryBytes } from "../../consensus/ethash/kernel.ts";
import { type EthashEpoch, PAGE_BYTES } from "../../consensus/ethash/sizes.ts";
import type { Hash, Hex } from "../../lib/bytes.ts";
import type { FromSearcher, SearcherData, ToSearcher } from "./search-worker.ts";

/** What to search for. */
export interface SearchJob {
  readonly seal: Hash;
  readonly target: bigint;
  readonly epoch: EthashEpoch;
  /** Hex digits that a nonce must begin with. */
  readonly prefix: string;
}

/** A nonce that was found. */
export interface Found {
  readonly nonce: Hex;
  readonly mixHash: Hash;
}

export interface SearchOptions {
  readonly threads: number;
  /** Bytes that cache and dataset may take; where the dataset does not fit, its items are made as they are needed. */
  readonly memoryBytes: number;
  readonly onFound: (job: SearchJob, found: Found) => void;
  /** Told what is being prepared, and when it is ready. */
  readonly onState: (text: string) => void;
  /** Searching cannot go on. */
  readonly onError: (error: Error) => void;
}

/** Threads that search for the job that was set last. */
export interface Search {
  set(job: SearchJob): void;
  /** How many nonces were tried since the start. */
  hashes(): number;
  stop(): Promise<void>;
}

const WORKER = new URL(`./search-worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
/** The share of the dataset that a thread fills between two looks at whether it should stop. */
const PARTS = 16;
const MIB = 2 ** 20;

interface Thread {
  readonly worker: Worker;
  /** Resolves once what was told is done. */
  tell(message: ToSearcher): Promise<void>;
}

const isSame = (a: EthashEpoch, b: EthashEpoch): boolean =>
  a.number === b.number && a.cacheBytes === b.cacheBytes && a.datasetBytes === b.datasetBytes;

/** A start within a prefix, another one for each thread: 2^40 nonces apart, more than an hour's at a GPU's rate. */
const firstNonce = (prefix: string, thread: number): bigint => {
  const free = BigInt(64 - 4 * prefix.length);
  const random = BigInt.asUintN(Number(free), BigInt(`0x${randomBytes(8).toString("hex")}`));
  const start = BigInt.asUintN(Number(free), random + (BigInt(thread) << (free > 48n ? 40n : free - 8n)));
  return (BigInt(`0x0${prefix}`) << free) + start;
};

/** Makes a search. Threads start with the first job; a job of another epoch makes them start again. */
export const createSearch = ({ threads: count, ...options }: SearchOptions): Search => {
  let threads: Thread[] = [];
  let ready: EthashEpoch | undefined;
  let wanted: SearchJob | undefined;
  let building = false;
  let stopped = false;
  let hashes = 0;
  let lastJob = 0;
  const jobs = new Map<number, SearchJob>();

  const open = (data: SearcherData): Thread => {
    const worker = new Worker(WORKER, { workerData: data, execArgv: [], name: `search ${data.thread}` });
    let done: (() => void) | undefined;
    worker.on("message", (message: FromSearcher) => {
      if (message.kind === "hashes") hashes += message.count;
      else if (message.kind === "done") done?.();
      else {
        const job = jobs.get(message.job);
        if (job) options.onFound(job, message);
      }
    });
    worker.on("error", (error) => options.onError(error instanceof Error ? error : new Error(String(error))));
    // A thread that is ended leaves nobody waiting.
    worker.on("exit", () => done?.());
    return {
      worker,
      tell: (message) =>
        new Promise((resolve) => {
          done = resolve;
          worker.postMessage(message);
          if (message.kind === "job") resolve();
        }),
    };
  };
  const close = async (): Promise<void> => {
    ready = undefined;
    await Promise.all(threads.map(({ worker }) => worker.terminate()));
    threads = [];
  };

  const prepare = async (epoch: EthashEpoch): Promise<void> => {
    await close();
    const isFull = isAddressable(epoch, count) && memoryBytes(epoch, count, true) <= options.memoryBytes;
    const size = Math.ceil((isFull ? epoch.datasetBytes : epoch.cacheBytes) / MIB);
    options.onState(`epoch ${epoch.number}: making the ${isFull ? "dataset" : "cache"} of ${size} MiB`);
    const started = performance.now();
    const memory = allocate(epoch, count, isFull);
    threads = Array.from({ length: count }, (_, thread) => open({ memory, thread }));
    await threads[0]!.tell({ kind: "cache" });
    const pages = isFull ? epoch.datasetBytes / PAGE_BYTES : 0;
    const part = Math.ceil(pages / (count * PARTS));
    let next = 0;
    const fill = async (thread: Thread): Promise<void> => {
      while (next < pages && !stopped) {
        const first = next;
        next += part;
        await thread.tell({ kind: "pages", first, count: Math.min(part, pages - first) });
      }
    };
    await Promise.all(threads.map(fill));
    ready = epoch;
    if (!stopped)
      options.onState(`epoch ${epoch.number}: ready after ${((performance.now() - started) / 1000).toFixed(1)} s`);
  };

  const give = (job: SearchJob): void => {
    const id = ++lastJob;
    jobs.set(id, job);
    jobs.delete(id - 8);
    for (const [i, thread] of threads.entries()) {
      const { seal, target } = job;
      void thread.tell({ kind: "job", job: id, seal, target, first: firstNonce(job.prefix, i) });
    }
  };
  const build = async (): Promise<void> => {
    building = true;
    try {
      while (!stopped && !(ready && isSame(ready, wanted!.epoch))) await prepare(wanted!.epoch);
      if (!stopped) give(wanted!);
    } catch (error) {
      options.onError(error as Error);
    } finally {
      building = false;
    }
  };

  return {
    set: (job) => {
      wanted = job;
      if (building || stopped) return;
      if (ready && isSame(ready, job.epoch)) give(job);
      else void build();
    },
    hashes: () => hashes,
    stop: async () => {
      stopped = true;
      await close();
    },
  };
};
