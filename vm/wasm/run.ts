/**
 * The process of one module's tasks, started by process.ts. Its main thread passes messages on; the job runs in a worker thread,
 * whose stack is far larger than what the stack meter lets a job use.
 */
import { setPriority } from "node:os";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { collectGarbage } from "./garbage.ts";
import type { FromChild, ToChild } from "./messages.ts";

const WORKER = new URL(`./run-worker${extname(fileURLToPath(import.meta.url))}`, import.meta.url);
const LOWEST_PRIORITY = 19;
const STACK_MB = 64;
const HEAP_MB = 1_024;

const passMessages = (): void => {
  try {
    setPriority(LOWEST_PRIORITY);
  } catch {
    // A system without priorities runs jobs all the same.
  }
  const answer = (message: FromChild): void => {
    process.send?.(message);
  };
  const worker = new Worker(WORKER, {
    env: {},
    resourceLimits: { stackSizeMb: STACK_MB, maxOldGenerationSizeMb: HEAP_MB },
  });
  worker.on("message", (message: FromChild) =>
    // Copies of what passed here are this thread's.
    answer(message.kind === "rested" ? { ...message, bytes: collectGarbage() } : message),
  );
  worker.on("error", (error) =>
    answer({ kind: "fault", reason: error instanceof Error ? error.message : String(error) }),
  );
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: ToChild) => worker.postMessage(message));
};

passMessages();
