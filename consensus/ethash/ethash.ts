import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import type { Hash, Hex } from "../../lib/bytes.ts";
import type { Answer, Question } from "./cache-worker.ts";
import type { EthashAnswer } from "./kernel.ts";
import type { EthashEpoch } from "./sizes.ts";

/** Epochs whose caches are held at once: the one before, the present one, and the next. */
const MAX_CACHES = 3;

const EXTENSION = extname(fileURLToPath(import.meta.url));
const WORKER = new URL(`./cache-worker${EXTENSION}`, import.meta.url);

/**
 * Ethash by cache, off the main thread: each epoch has a thread of its own, so that making the next cache delays nobody.
 * An answer is a function of what is asked alone; a fault of this machine is an Error, never an answer.
 */
export interface Ethash {
  /** Computes mix and result of a seal with a nonce in an epoch. 1 ms; the epoch's first one waits for its cache. */
  hash(epoch: EthashEpoch, seal: Hash, nonce: Hex): Promise<EthashAnswer>;
  /** Makes an epoch's cache ahead of need. */
  prepare(epoch: EthashEpoch): void;
  /** How many caches are held or being made. */
  readonly caches: number;
  stop(): Promise<void>;
}

/** A thread and who waits for it. */
interface Holder {
  readonly worker: Worker;
  readonly waiting: Map<number, { resolve: (answer: EthashAnswer) => void; reject: (error: Error) => void }>;
}

interface Parts {
  /** By epoch and sizes; the one used last is last. */
  readonly holders: Map<string, Holder>;
  /** Who waits until a thread is idle and can give way. */
  idle: (() => void)[];
  lastId: number;
  stopped: boolean;
}

const keyOf = (epoch: EthashEpoch): string => `${epoch.number} ${epoch.cacheBytes} ${epoch.datasetBytes}`;

const wake = (parts: Parts): void => {
  const woken = parts.idle;
  parts.idle = [];
  for (const go of woken) go();
};

const start = (parts: Parts, key: string, epoch: EthashEpoch): Holder => {
  const { holders } = parts;
  const worker = new Worker(WORKER, { workerData: epoch, execArgv: [], name: `ethash ${epoch.number}` });
  const holder: Holder = { worker, waiting: new Map() };
  const end = (error: Error): void => {
    if (holders.get(key) === holder) holders.delete(key);
    for (const { reject } of holder.waiting.values()) reject(error);
    holder.waiting.clear();
    wake(parts);
  };
  worker.on("message", ({ id, mixHash, result }: Answer) => {
    const asker = holder.waiting.get(id);
    holder.waiting.delete(id);
    // A thread that nobody waits for keeps no program from ending.
    if (holder.waiting.size === 0) {
      worker.unref();
      wake(parts);
    }
    asker?.resolve({ mixHash, result });
  });
  worker.on("error", (error) => end(error instanceof Error ? error : new Error(String(error))));
  worker.on("exit", (code) => end(new Error(`the Ethash thread of epoch ${epoch.number} ended with ${code}`)));
  worker.unref();
  holders.set(key, holder);
  return holder;
};

/**
 * Uses the thread of an epoch, before it could give way again. Where there are too many, the one that rested longest ends;
 * while all are busy, one is waited for.
 */
const withHolder = async <T>(parts: Parts, epoch: EthashEpoch, use: (holder: Holder) => T | Promise<T>): Promise<T> => {
  const { holders } = parts;
  const key = keyOf(epoch);
  for (;;) {
    if (parts.stopped) throw new Error("Ethash is stopped");
    const found = holders.get(key);
    if (found) {
      holders.delete(key);
      holders.set(key, found);
      return use(found);
    }
    if (holders.size < MAX_CACHES) return use(start(parts, key, epoch));
    const oldest = [...holders].find(([, holder]) => holder.waiting.size === 0);
    if (oldest) {
      holders.delete(oldest[0]);
      await oldest[1].worker.terminate();
    } else {
      await new Promise<void>((resolve) => parts.idle.push(resolve));
    }
  }
};

const ask = (parts: Parts, { worker, waiting }: Holder, seal: Hash, nonce: Hex): Promise<EthashAnswer> =>
  new Promise((resolve, reject) => {
    const id = ++parts.lastId;
    waiting.set(id, { resolve, reject });
    worker.ref();
    worker.postMessage({ id, seal, nonce } satisfies Question);
  });

/** Makes the holder of caches; threads start when they are needed. */
export const createEthash = (): Ethash => {
  const parts: Parts = { holders: new Map(), idle: [], lastId: 0, stopped: false };
  return {
    hash: (epoch, seal, nonce) => withHolder(parts, epoch, (holder) => ask(parts, holder, seal, nonce)),
    prepare: (epoch) => {
      // One that cannot be made says so to the first who asks for a hash.
      withHolder(parts, epoch, () => undefined).catch(() => undefined);
    },
    get caches() {
      return parts.holders.size;
    },
    stop: async () => {
      parts.stopped = true;
      wake(parts);
      await Promise.all([...parts.holders.values()].map(({ worker }) => worker.terminate()));
    },
  };
};
