/** One thread of a miner, started by search.ts: it fills its part of cache and dataset, then tries nonces. */
import { parentPort, workerData } from "node:worker_threads";
import { type EthashMemory, openKernel } from "../../consensus/ethash/kernel.ts";
import type { Hash, Hex } from "../../lib/bytes.ts";

/** What a thread is told. */
export type ToSearcher =
  | { readonly kind: "cache" }
  | { readonly kind: "pages"; readonly first: number; readonly count: number }
  | {
      readonly kind: "job";
      readonly job: number;
      readonly seal: Hash;
      readonly target: bigint;
      readonly first: bigint;
    };
/** What it tells. */
export type FromSearcher =
  | { readonly kind: "done" }
  | { readonly kind: "hashes"; readonly count: number }
  | { readonly kind: "found"; readonly job: number; readonly nonce: Hex; readonly mixHash: Hash };
export interface SearcherData {
  readonly memory: EthashMemory;
  readonly thread: number;
}

/** Between two looks at its messages. */
const SLICE_MS = 50;

const port = parentPort!;
const { memory, thread } = workerData as SearcherData;
const kernel = openKernel(memory, thread);
const tell = (message: FromSearcher): void => port.postMessage(message);

let task: Extract<ToSearcher, { kind: "job" }> | undefined;
let isRunning = false;
const search = async (): Promise<void> => {
  isRunning = true;
  let count = 32;
  let from = task!;
  let next = from.first;
  while (task) {
    if (task !== from) {
      from = task;
      next = from.first;
    }
    const started = performance.now();
    const found = kernel.search(from.seal, from.target, next, count);
    const tried = found ? Number(BigInt.asUintN(64, BigInt(found.nonce) - next)) + 1 : count;
    next = BigInt.asUintN(64, next + BigInt(tried));
    if (found) tell({ kind: "found", job: from.job, ...found });
    tell({ kind: "hashes", count: tried });
    const tookMs = performance.now() - started;
    if (!found) count = Math.max(1, Math.min(2 ** 20, Math.floor((count * SLICE_MS) / Math.max(tookMs, 1))));
    await new Promise((resolve) => setImmediate(resolve));
  }
};

port.on("message", (message: ToSearcher) => {
  if (message.kind === "job") {
    task = message;
    if (!isRunning) void search();
    return;
  }
  if (message.kind === "cache") kernel.makeCache();
  else kernel.makePages(message.first, message.count);
  tell({ kind: "done" });
});
