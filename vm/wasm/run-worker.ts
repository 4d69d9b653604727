/** The thread that runs tasks, started by run.ts: it compiles the one module that comes, then runs tasks of deal after deal. */
import { setFlagsFromString } from "node:v8";
import { parentPort } from "node:worker_threads";
import { collectGarbage } from "./garbage.ts";
import { type Compiled, compilePrepared, runInstance } from "./instance.ts";
import { type FromChild, type Tier, type ToChild, unpackTask } from "./messages.ts";
import { WasmRefused } from "./refusal.ts";
import { prepareModule } from "./rewrite.ts";
import type { Rewritten } from "./rewritten-store.ts";
import { rulesOf } from "./versions.ts";
import { warmUp } from "./warm-up.ts";

/** Flags of V8: without --no-liftoff, a hot loop in a function that is entered once stays in baseline code for ever. */
const TIER_FLAGS: Readonly<Record<Tier, string>> = { optimizing: "--no-liftoff", baseline: "--liftoff-only" };

const ONE_MODULE: FromChild = { kind: "fault", reason: "a process has one module" };

/** The module from when it is rewritten until it is compiled. */
let rewritten: Rewritten | undefined;
let compiled: Compiled | undefined;
/** Files of the deal that runs: all that a task finds here beside the module. */
let files: readonly Uint8Array[] = [];

const answerTo = (message: ToChild): FromChild => {
  switch (message.kind) {
    case "prepare": {
      if (rewritten || compiled) return ONE_MODULE;
      const { rules: _, ...rest } = prepareModule(message.module, rulesOf(message.vmVersion));
      rewritten = rest;
      return { kind: "prepared", rewritten: message.isWanted ? rewritten : undefined };
    }
    case "compile": {
      const source = message.rewritten ?? rewritten;
      if (compiled || !source) return ONE_MODULE;
      // Only now: Node's own WebAssembly (it strips types) was compiled by the fast compiler before.
      setFlagsFromString(TIER_FLAGS[message.tier]);
      compiled = compilePrepared({ ...source, rules: rulesOf(message.vmVersion) });
      rewritten = undefined;
      return { kind: "ready" };
    }
    case "files":
      files = message.files;
      return { kind: "ready" };
    case "rest":
      files = [];
      return { kind: "rested", bytes: collectGarbage() };
    case "task":
      if (!compiled) return { kind: "fault", reason: "a task came before the module" };
      return { kind: "outcome", outcome: runInstance(compiled, unpackTask(message.task, files)) };
  }
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
