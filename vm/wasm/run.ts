/**
 * The process of one lot, started by host.ts. Its main thread sets V8 up and passes messages on; the job runs in a
 * worker thread, whose stack is far larger than what the stack meter lets a job use.
 */
import { setPriority } from "node:os";
import { setFlagsFromString } from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { type Compiled, compileModule, runInstance } from "./instance.ts";
import type { FromChild, Tier, ToChild } from "./messages.ts";
import { WasmRefused } from "./refusal.ts";

const LOWEST_PRIORITY = 19;
const STACK_MB = 64;
const HEAP_MB = 1_024;

/** Flags of V8: without --no-liftoff, a hot loop in a function that is entered once stays in baseline code for ever. */
const TIER_FLAGS: Readonly<Record<Tier, string>> = { optimizing: "--no-liftoff", baseline: "--liftoff-only" };

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const passMessages = (): void => {
  try {
    setPriority(LOWEST_PRIORITY);
  } catch {
    // A system without priorities runs jobs all the same.
  }
  let worker: Worker | undefined;
  const answer = (message: FromChild): void => {
    process.send?.(message);
  };
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: ToChild) => {
    if (message.kind !== "start") {
      worker?.postMessage(message);
      return;
    }
    setFlagsFromString(TIER_FLAGS[message.tier]);
    worker = new Worker(new URL(import.meta.url), {
      workerData: message.module,
      env: {},
      resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB },
    });
    worker.on("message", answer);
    worker.on("error", (error) => answer({ kind: "fault", reason: reasonOf(error) }));
  });
};

const work = (): void => {
  Error.stackTraceLimit = 0;
  const port = parentPort!;
  const answer = (message: FromChild): void => port.postMessage(message);
  let compiled: Compiled;
  try {
    compiled = compileModule(workerData as Uint8Array);
    answer({ kind: "ready" });
  } catch (error) {
    answer({ kind: error instanceof WasmRefused ? "refused" : "fault", reason: reasonOf(error) });
    return;
  }
  port.on("message", (message: ToChild) => {
    if (message.kind !== "task") return;
    try {
      answer({ kind: "outcome", outcome: runInstance(compiled, message.task) });
    } catch (error) {
      answer({ kind: "fault", reason: reasonOf(error) });
    }
  });
};

if (isMainThread) passMessages();
else work();
