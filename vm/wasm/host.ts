import { type ChildProcess, fork } from "node:child_process";
import { readdirSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Hash } from "../../lib/bytes.ts";
import type { Outcome } from "./instance.ts";
import { TASK_LIMITS } from "./limits.ts";
import type { FromChild, Tier, ToChild } from "./messages.ts";
import { type Block, outputRoot } from "./output.ts";
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

/** This machine could not compute: a crash, a time-out, no memory. The worker declines; it is never a result. */
export class ComputeFault extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ComputeFault";
  }
}

const LOWEST_PRIORITY = 19;
const HEAP_MB = 512;
const MAX_ERROR_BYTES = 4_096;
/** What a timer can hold; more would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

const EXTENSION = extname(fileURLToPath(import.meta.url));
const RUN_FILE = fileURLToPath(new URL(`./run${EXTENSION}`, import.meta.url));

/** Folders that the process may read: the program, and the packages that it imports. */
const readableFolders = (): string[] => {
  const folders = new Set([join(dirname(RUN_FILE), "..", "..")]);
  for (const name of ["hash-wasm", "multiformats/cid"]) {
    const path = fileURLToPath(import.meta.resolve(name));
    const at = path.lastIndexOf("node_modules");
    if (at >= 0) folders.add(path.slice(0, at + "node_modules".length));
  }
  return [...folders];
};

/** Lowers the priority of all threads: on Linux each has its own, and compilers run in several. */
const lowerPriority = (pid: number): void => {
  let threads = [pid];
  try {
    threads = readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    // Elsewhere a process has one priority.
  }
  for (const thread of threads)
    try {
      setPriority(thread, LOWEST_PRIORITY);
    } catch {
      // The thread is gone, or the system has no priorities.
    }
};

const startProcess = (): ChildProcess =>
  fork(RUN_FILE, [], {
    env: {},
    execArgv: [
      "--permission",
      "--allow-worker",
      ...readableFolders().map((folder) => `--allow-fs-read=${folder}`),
      `--max-old-space-size=${HEAP_MB}`,
      "--disable-warning=ExperimentalWarning",
      "--disable-warning=SecurityWarning",
    ],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });

/** A process that answers each message; whatever ends it early rejects what is waited for. */
const openProcess = (timeoutMs: number, signal: AbortSignal | undefined) => {
  signal?.throwIfAborted();
  const child = startProcess();
  let errors = "";
  let ended: unknown;
  let waiting: { resolve: (message: FromChild) => void; reject: (error: unknown) => void } | undefined;
  const end = (error: unknown): void => {
    ended ??= error;
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
    child.kill("SIGKILL");
    waiting?.reject(ended);
    waiting = undefined;
  };
  const timer = setTimeout(
    () => end(new ComputeFault(`no result within ${timeoutMs} ms`)),
    Math.min(timeoutMs, MAX_TIMER_MS),
  );
  const abort = (): void => end(signal?.reason);
  signal?.addEventListener("abort", abort);
  child.stderr?.on("data", (data: Buffer) => {
    errors = (errors + data.toString()).slice(-MAX_ERROR_BYTES);
  });
  child.on("spawn", () => lowerPriority(child.pid!));
  child.on("error", (error) => end(new ComputeFault(`the process of the job failed: ${error.message}`)));
  child.on("close", (code, killedBy) =>
    end(new ComputeFault(`the process of the job ended (${killedBy ?? code}) ${errors.trim()}`)),
  );
  child.on("message", (message: FromChild) => {
    if (message.kind === "ready") lowerPriority(child.pid!);
    const reply = waiting;
    waiting = undefined;
    if (message.kind === "fault") reply?.reject(new ComputeFault(message.reason));
    else reply?.resolve(message);
  });
  return {
    ask: (message: ToChild): Promise<FromChild> =>
      new Promise((resolve, reject) => {
        if (ended !== undefined) {
          reject(ended);
          return;
        }
        waiting = { resolve, reject };
        child.send(message, (error) => {
          if (error) end(new ComputeFault(`the process of the job does not answer: ${error.message}`));
        });
      }),
    close: (): void => end(new ComputeFault("closed")),
  };
};

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
  const child = openProcess(lot.timeoutMs, lot.signal);
  try {
    const started = await child.ask({ kind: "start", module: lot.module, tier: lot.tier ?? "optimizing" });
    for (const [i, task] of lot.tasks.entries()) {
      const refusal = refusals[i] ?? (started.kind === "refused" ? started.reason : undefined);
      if (refusal !== undefined) {
        yield invalid(lot, task, refusal);
        continue;
      }
      const answer = await child.ask({ kind: "task", task });
      if (answer.kind !== "outcome") throw new ComputeFault(`unexpected answer ${answer.kind}`);
      yield await completed(task, answer.outcome);
    }
  } finally {
    child.close();
  }
}

/** Runs one task by itself. As runTasks. */
export const runTask = async (lot: Omit<Lot, "tasks">, task: Task): Promise<TaskResult> => {
  for await (const result of runTasks({ ...lot, tasks: [task] })) return result;
  throw new ComputeFault("no result");
};
