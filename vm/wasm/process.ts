import { fork } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { FromChild, ToChild } from "./messages.ts";
import { findSandbox, NODE, programFiles } from "./sandbox.ts";

/** This machine could not compute: a crash, a time-out, no memory. The worker declines; it is never a result. */
export class ComputeFault extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "ComputeFault";
  }
}

/** A process for one module's tasks. It answers each message; whatever ends it early rejects what is waited for. */
export interface JobProcess {
  readonly pid: number | undefined;
  /** Whose module of which rules it holds, or began to take; undefined while it is as it was started. */
  purpose: string | undefined;
  /** Resolves when it takes a module, or has ended. */
  readonly ready: Promise<void>;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  /** True once it has ended, or was told to. */
  readonly isOver: boolean;
  ask(message: ToChild): Promise<FromChild>;
  /** Bytes of memory that it has, as the system tells; undefined where that does not. */
  memory(): number | undefined;
  /** Kills it. What is waited for, and all that is asked later, is rejected with the reason. */
  end(reason: unknown): void;
  /** Tells whether this program may end while the process is there. */
  hold(isNeeded: boolean): void;
  /** Has it stand still: nothing in it runs until it goes on. Only where it dies with this program even so; else it idles. */
  freeze(): void;
  thaw(): void;
}

const LOWEST_PRIORITY = 19;
const HEAP_MB = 512;
const MAX_ERROR_BYTES = 4_096;
const RUN_FILE = fileURLToPath(new URL(`./run${extname(fileURLToPath(import.meta.url))}`, import.meta.url));

/** Barriers that every system has: those around the process are findSandbox's. */
export const BARRIERS = [
  "a process for each app of a requester",
  "Node's permission model",
  "empty environment",
  "lowest priority",
] as const;

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

/** Reads what Linux says of a process's memory. */
const memoryOf = (pid: number | undefined): number | undefined => {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024 || undefined;
  } catch {
    return undefined;
  }
};

/** Gives the flags under which Node runs a job: it may read its own program, start threads, and nothing else. */
export const nodeFlags = (): string[] => [
  "--permission",
  "--allow-worker",
  ...programFiles().map((path) => `--allow-fs-read=${path}`),
  `--max-old-space-size=${HEAP_MB}`,
  "--no-addons",
  "--disable-warning=ExperimentalWarning",
  "--disable-warning=SecurityWarning",
];

/** Starts a process behind all barriers that this system has. */
export const startProcess = async (): Promise<JobProcess> => {
  const { prefix } = await findSandbox();
  const [program, ...args] = [...prefix, NODE];
  const diesAlong = prefix.includes("--pdeathsig");
  const child = fork(RUN_FILE, [], {
    execPath: program!,
    execArgv: [...args, ...nodeFlags()],
    env: {},
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let errors = "";
  let reason: unknown;
  let waiting: { resolve: (message: FromChild) => void; reject: (error: unknown) => void } | undefined;
  const ready = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const end = (error: unknown): void => {
    reason ??= error;
    child.kill("SIGKILL");
    waiting?.reject(reason);
    waiting = undefined;
  };
  child.stderr?.on("data", (data: Buffer) => {
    errors = (errors + data.toString()).slice(-MAX_ERROR_BYTES);
  });
  child.on("spawn", () => lowerPriority(child.pid!));
  child.on("error", (error) => {
    end(new ComputeFault(`the process of the job failed: ${error.message}`));
    ready.resolve();
    ended.resolve();
  });
  child.on("close", (code, killedBy) => {
    end(new ComputeFault(`the process of the job ended (${killedBy ?? code}) ${errors.trim()}`));
    ready.resolve();
    ended.resolve();
  });
  child.on("message", (message: FromChild) => {
    if (message.kind === "warm") {
      ready.resolve();
      return;
    }
    if (message.kind === "ready") lowerPriority(child.pid!);
    const reply = waiting;
    waiting = undefined;
    // A process that speaks unasked is no longer the one that was started.
    if (!reply) end(new ComputeFault(`the process of the job said ${message.kind} unasked`));
    if (message.kind === "fault") reply?.reject(new ComputeFault(message.reason));
    else reply?.resolve(message);
  });
  return {
    pid: child.pid,
    ready: ready.promise,
    ended: ended.promise,
    get isOver() {
      return reason !== undefined;
    },
    ask: (message) =>
      new Promise((resolve, reject) => {
        if (reason !== undefined) {
          reject(reason);
          return;
        }
        waiting = { resolve, reject };
        child.send(message, (error) => {
          if (error) end(new ComputeFault(`the process of the job does not answer: ${error.message}`));
        });
      }),
    memory: () => memoryOf(child.pid),
    end,
    purpose: undefined,
    freeze() {
      if (diesAlong) child.kill("SIGSTOP");
    },
    thaw() {
      if (diesAlong) child.kill("SIGCONT");
    },
    hold(isNeeded) {
      for (const handle of [child, child.channel, child.stderr as unknown as { ref(): void; unref(): void }])
        if (isNeeded) handle?.ref();
        else handle?.unref();
    },
  };
};
