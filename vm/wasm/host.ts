import type { Address, Hash } from "../../lib/bytes.ts";
import type { Outcome, RefusedGrowth } from "./instance.ts";
import { createPacker, type Tier } from "./messages.ts";
import { type Block, outputRoot } from "./output.ts";
import { ComputeFault, type JobProcess, startProcess } from "./process.ts";
import type { ProcessPool } from "./process-pool.ts";
import { digestOf, encodeReceipt, invalidReceipt, type JobReceipt, unstartedRoots } from "./receipt.ts";
import { WasmRefused } from "./refusal.ts";
import { moduleName, type RewrittenStore } from "./rewritten-store.ts";
import { checkTask, type Task } from "./task.ts";
import { rulesOf, type VmRules } from "./versions.ts";

/** What a process is opened for: a module, and the files that its tasks may have. */
export interface SessionOptions {
  readonly vmVersion: number;
  readonly module: Uint8Array;
  readonly tier?: Tier;
  /** Where the process comes from; without, one is started. */
  readonly pool?: ProcessPool;
  /** Whose tasks these are: the pool keeps the process for the next of theirs. Without, it ends with the session. */
  readonly requester?: Address;
  /** Where modules lie that were rewritten before. */
  readonly store?: RewrittenStore;
}
/** How long tasks may take. */
export interface Patience {
  /** Milliseconds for all of them. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}
/** A lot to run: the tasks share the module and one process. */
export interface Lot extends SessionOptions, Patience {
  readonly tasks: readonly Task[];
}

/** A deal's part of a process's life: it has the deal's module, and runs tasks that share their files, one lot after another. */
export interface Session {
  /**
   * Runs tasks one after another and yields a result for each, in order. Given the same task it yields the same on every
   * machine. Throws as runTasks does, and the session is over then, as when the caller stops early.
   */
  run(tasks: readonly Task[], patience: Patience): AsyncGenerator<TaskResult, void, undefined>;
  /** False once its process has ended, or was given back. */
  readonly isOpen: boolean;
  /** Gives the process back to its pool where all that was asked of it is answered, and ends it where not. */
  close(): void;
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
  /** The growth of memory that it was refused last. */
  readonly refusedGrowth: RefusedGrowth | undefined;
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
    refusedGrowth: undefined,
    ...more,
  };
};

/** Gives what a callback receives: `/out/callback`, or nothing where it is larger than a callback may be. */
const callbackOf = (task: Task, files: ReadonlyMap<string, Uint8Array>, { taskLimits }: VmRules): Uint8Array => {
  const data = task.hasCallback ? files.get("out/callback") : undefined;
  return data && data.length <= taskLimits.callbackBytes ? data : new Uint8Array(0);
};

const completed = async (
  task: Task,
  outcome: Outcome,
  unstarted: (taskid: Hash) => Hash,
  rules: VmRules,
): Promise<TaskResult> => {
  const { status, code, gasUsed, gasExecuted, files } = outcome;
  const stateRoot = outcome.stateRoot ?? unstarted(task.taskid);
  const { root, cid, blocks } = await outputRoot(files);
  const callbackData = callbackOf(task, files, rules);
  return resultOf(
    task.taskid,
    { status, code, gasUsed, gasExecuted, outputRoot: root, stateRoot, callbackData },
    { files, cid, blocks, refusedGrowth: outcome.refusedGrowth },
  );
};

const refusalOf = (task: Task, rules: VmRules): string | undefined => {
  try {
    checkTask(task, rules);
    return undefined;
  } catch (error) {
    if (error instanceof WasmRefused) return error.message;
    throw error;
  }
};

/** Gives a process the module: rewritten before, or to be rewritten now. Gives why it is refused; "" where it is not. */
const start = async (job: JobProcess, name: string, options: SessionOptions): Promise<string> => {
  const { vmVersion, module, store, tier = "optimizing" } = options;
  const rewritten = await store?.get(name);
  if (!rewritten) {
    // It has seen no other module, and no engine this one: what it gives is the rewriter's word.
    const answer = await job.ask({ kind: "prepare", vmVersion, module, isWanted: store !== undefined });
    if (answer.kind === "refused") return answer.reason;
    if (answer.kind === "prepared" && answer.rewritten) await store?.put(name, answer.rewritten);
  }
  const answer = await job.ask({ kind: "compile", vmVersion, rewritten, tier });
  if (answer.kind !== "ready") throw new ComputeFault(`unexpected answer ${answer.kind}`);
  return "";
};

const knownRules = (vmVersion: number): VmRules => {
  try {
    return rulesOf(vmVersion);
  } catch (error) {
    throw new ComputeFault((error as Error).message);
  }
};

/** Opens a session. No process is taken before there is a task that needs one. */
export const openSession = (options: SessionOptions): Session => {
  const { vmVersion, module, pool, requester, tier = "optimizing" } = options;
  const rules = knownRules(vmVersion);
  const packer = createPacker();
  let job: JobProcess | undefined;
  /** Why the module is refused; "" where it is taken. */
  let refused: string | undefined;
  let isOpen = true;
  let isRunning = false;
  let roots: ((taskid: Hash) => Hash) | undefined;
  const unstarted = (taskid: Hash): Hash => {
    roots ??= unstartedRoots(module, rules);
    return roots(taskid);
  };
  const invalid = ({ taskid, gasLimit }: Task, reason: string): TaskResult =>
    resultOf(taskid, invalidReceipt(module.length, gasLimit, unstarted(taskid), rules), { reason });
  /** Why it is over, as soon as it is. */
  let why: unknown;
  const end = (reason: unknown): void => {
    why ??= reason;
    isOpen = false;
    job?.end(reason);
  };
  const close = (): void => {
    if (!isOpen) return;
    if (pool && job?.purpose !== undefined && refused === "" && !isRunning) {
      isOpen = false;
      pool.give(job);
    } else end(new ComputeFault("closed"));
  };
  /** Gives the process, with the module where it is not refused. */
  const begin = async (): Promise<JobProcess> => {
    const name = moduleName(module, vmVersion);
    const purpose = requester && `${requester} ${name} ${tier}`;
    job = await (pool?.take(purpose) ?? startProcess());
    if (!isOpen) job.end(why);
    if (job.purpose !== undefined) {
      if (job.purpose !== purpose) throw new ComputeFault("a process has one purpose");
      refused = "";
    } else {
      job.purpose = purpose;
      refused = await start(job, name, options);
    }
    return job;
  };

  async function* run(tasks: readonly Task[], { timeoutMs, signal }: Patience) {
    const refusals = tasks.map((task) => refusalOf(task, rules));
    if (refusals.every((reason) => reason !== undefined)) {
      for (const [i, task] of tasks.entries()) yield invalid(task, refusals[i]!);
      return;
    }
    signal?.throwIfAborted();
    if (!isOpen) throw new ComputeFault("the session is closed");
    isRunning = true;
    const timer = setTimeout(
      () => end(new ComputeFault(`no result within ${timeoutMs} ms`)),
      Math.min(timeoutMs, MAX_TIMER_MS),
    );
    const abort = (): void => end(signal?.reason);
    signal?.addEventListener("abort", abort);
    let isDone = false;
    try {
      const isFirst = job === undefined;
      job ??= await begin();
      const { files, sent } = packer.pack(tasks.filter((_, i) => refusals[i] === undefined));
      if (files.length > 0 && !isFirst) throw new TypeError("the tasks of a session share their files");
      if (files.length > 0 && refused === "") await job.ask({ kind: "files", files });
      let next = 0;
      for (const [i, task] of tasks.entries()) {
        const refusal = refusals[i] ?? (refused || undefined);
        let result: TaskResult;
        if (refusal !== undefined) result = invalid(task, refusal);
        else {
          const answer = await job.ask({ kind: "task", task: sent[next++]! });
          if (answer.kind !== "outcome") throw new ComputeFault(`unexpected answer ${answer.kind}`);
          result = await completed(task, answer.outcome, unstarted, rules);
        }
        // Who has the last result need not ask for another.
        isDone = i === tasks.length - 1;
        yield result;
      }
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
      isRunning = false;
      if (!isDone) end(new ComputeFault("closed"));
    }
  }
  return {
    run,
    get isOpen() {
      return isOpen && !job?.isOver;
    },
    close,
  };
};

/**
 * Runs the tasks of a lot one after another in a process of their own, at the lowest priority, and yields a result for
 * each, in order. Given the same lot it yields the same on every machine. Throws ComputeFault where this machine
 * fails or `timeoutMs` is over, the signal's reason where it aborts, a TypeError for tasks that no deal can give. The
 * process is killed then, and when the caller stops early; else only where there is no requester to keep it for.
 */
export async function* runTasks(lot: Lot): AsyncGenerator<TaskResult, void, undefined> {
  const session = openSession(lot);
  try {
    yield* session.run(lot.tasks, lot);
  } finally {
    session.close();
  }
}

/** Runs one task by itself. As runTasks. */
export const runTask = async (lot: Omit<Lot, "tasks">, task: Task): Promise<TaskResult> => {
  for await (const result of runTasks({ ...lot, tasks: [task] })) return result;
  throw new ComputeFault("no result");
};
