/** The thread that runs the tasks of a deal, started by run.ts: it compiles the module that comes first, then runs tasks. */
import { setFlagsFromString } from "node:v8";
import { parentPort } from "node:worker_threads";
import { type Compiled, compileModule, runInstance } from "./instance.ts";
import { type FromChild, type Tier, type ToChild, unpackTask } from "./messages.ts";
import { WasmRefused } from "./refusal.ts";
import { rulesOf } from "./versions.ts";
import { warmUp } from "./warm-up.ts";

/** Flags of V8: without --no-liftoff, a hot loop in a function that is entered once stays in baseline code for ever. */
const TIER_FLAGS: Readonly<Record<Tier, string>> = { optimizing: "--no-liftoff", baseline: "--liftoff-only" };

let compiled: Compiled | undefined;
let files: readonly Uint8Array[] = [];

const answerTo = (message: ToChild): FromChild => {
  if (message.kind === "start") {
    if (compiled) return { kind: "fault", reason: "a process has one module" };
    // Only now: Node's own WebAssembly (it strips types) was compiled by the fast compiler before.
    setFlagsFromString(TIER_FLAGS[message.tier]);
    files = message.files;
    compiled = compileModule(message.module, rulesOf(message.vmVersion));
    return { kind: "ready" };
  }
  if (!compiled) return { kind: "fault", reason: "a task came before the module" };
  return { kind: "outcome", outcome: runInstance(compiled, unpackTask(message.task, files)) };
};

Error.stackTraceLimit = 0;
parentPort!.on("message", (message: ToChild) => {
  let answer: FromChild;
  try {
    answer = answerTo(message);
  } catch (error) {
    answer = {
      kind: error instanceof WasmRefused ? "refused" : "fault",
      reason: error instanceof Error ? error.message : String(error),
    };
  }
  const contents = answer.kind === "outcome" ? [...answer.outcome.files.values()] : [];
  parentPort!.postMessage(
    answer,
    contents.map((bytes) => bytes.buffer as ArrayBuffer),
  );
});
warmUp();
parentPort!.postMessage({ kind: "warm" } satisfies FromChild);
