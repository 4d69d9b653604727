import type { Hash } from "../../lib/bytes.ts";
import type { Outcome } from "./instance.ts";
import { TASK_LIMITS } from "./limits.ts";
import { packTasks, type Tier } from "./messages.ts";
import { type Block, outputRoot } from "./output.ts";
import { ComputeFault, startProcess } from "./process.ts";
import type { ProcessPool } from "./process-pool.ts";
import { digestOf, encodeReceipt, invalidReceipt, type JobReceipt } from "./receipt.ts";
import { WasmRefused } from "./refusal.ts";
import { checkTask, type Task } from "./task.ts";

/** The version of these rules, which a deal's snapshot names (spec section 10). */
export const VM_VERSION = 1;

/** A lot to run: the tasks share the module and one process. */
export interface Lot {
  readonly vmVersion: number;
  readonly module: Uint8Array;
  readonly tasks: readonly Task[];
  /** Milliseconds for the whole lot. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly tier?: Tier;
  /** Where its process comes from; without, one is started. */
  readonly pool?: ProcessPool;
}

/** A task's receipt, and what it stands for. */
export interface TaskResult extends JobReceipt {
  readonly taskid: Hash;
  /** The encoded receipt, and its keccak256. */
  readonly receipt: Uint8Array;
  readonly digest: Hash;
  /** `stdout`, `stderr`, `out/…`; an empty directory's name ends in /. Empty if the task is INVALID. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** CID of the directory of results, undefined if the task is INVALID, and its blocks. */
  readonly cid: string | undefined;
  readonly blocks: readonly Block[];
  /** Why the task is INVALID. */
  readonly reason: string | undefined;
}

/** What a timer can hold; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const resultOf = (taskid: Hash, receipt: JobReceipt, more: Partial<TaskResult>): TaskResult => {
  const encoded = encodeReceipt(receipt);
  return {
    ...receipt,
    taskid,
    receipt: encoded,
    digest: digestOf(encoded),
    files: new Map(),
    cid: undefined,
    blocks: [],
    reason: undefined,
    ...more,
  };
};

const invalid = (lot: Lot, task: Task, reason: string): TaskResult =>
  resultOf(task.taskid, invalidReceipt(lot.module.length, task.gasLimit), { reason });

/** Gives what a callback receives: `/out/callback`, or nothing where it is larger than a callback may be. */
const callbackOf = (task: Task, files: ReadonlyMap<string, Uint8Array>): Uint8Array => {
  const data = task.hasCallback ? files.get("out/callback") : undefined;
  return data && data.length <= TASK_LIMITS.callbackBytes ? data : new Uint8Array(0);
};

const completed = async (task: Task, outcome: Outcome): Promise<TaskResult> => {
  const { status, code, gasUsed, stateRoot, files } = outcome;
  const { root, cid, blocks } = await outputRoot(files);
  const callbackData = callbackOf(task, files);
  return resultOf(
    task.taskid,
    { status, code, gasUsed, outputRoot: root, stateRoot, callbackData },
    { files, cid, blocks },
  );
};

const refusalOf = (task: Task): string | undefined => {
  try {
    checkTask(task);
    return undefined;
  } catch (error) {
    if (error instanceof WasmRefused) return error.message;
    throw error;
  }
};

/**
 * Runs the tasks of a lot one after another in a process of their own, at the lowest priority, and yields a result for
 * each, in order. Given the same lot it yields the same on every machine. Throws ComputeFault where this machine
 * fails or `timeoutMs` is over, the signal's reason where it aborts, a TypeError for tasks that no deal can give. The
 * process is killed in every case, also when the caller stops early.
 */
export async function* runTasks(lot: Lot): AsyncGenerator<TaskResult, void, undefined> {
  if (lot.vmVersion !== VM_VERSION) throw new ComputeFault(`unknown vmVersion ${lot.vmVersion}, known: ${VM_VERSION}`);
  const refusals = lot.tasks.map(refusalOf);
  if (refusals.every((reason) => reason !== undefined)) {
    for (const [i, task] of lot.tasks.entries()) yield invalid(lot, task, refusals[i]!);
    return;
  }
  const { timeoutMs, signal } = lot;
  signal?.throwIfAborted();
  const job = await (lot.pool?.take() ?? startProcess());
  const timer = setTimeout(
    () => job.end(new ComputeFault(`no result within ${timeoutMs} ms`)),
    Math.min(timeoutMs, MAX_TIMER_MS),
  );
  const abort = (): void => job.end(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    const { files, sent } = packTasks(lot.tasks.filter((_, i) => refusals[i] === undefined));
    const started = await job.ask({ kind: "start", module: lot.module, files, tier: lot.tier ?? "optimizing" });
    let next = 0;
    for (const [i, task] of lot.tasks.entries()) {
      const refusal = refusals[i] ?? (started.kind === "refused" ? started.reason : undefined);
      if (refusal !== undefined) {
        yield invalid(lot, task, refusal);
        continue;
      }
      const answer = await job.ask({ kind: "task", task: sent[next++]! });
      if (answer.kind !== "outcome") throw new ComputeFault(`unexpected answer ${answer.kind}`);
      yield await completed(task, answer.outcome);
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    job.end(new ComputeFault("closed"));
  }
}

/** Runs one task by itself. As runTasks. */
export const runTask = async (lot: Omit<Lot, "tasks">, task: Task): Promise<TaskResult> => {
  for await (const result of runTasks({ ...lot, tasks: [task] })) return result;
  throw new ComputeFault("no result");
};
