/** Runs the WebAssembly specification suite: `ROLEC_WASM_SUITE=<folder of .wast files> node test/vm/wasm/suite.ts`. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { loadAssembler } from "./suite/assembler.ts";
import { judgeScript, type Verdict } from "./suite/verdict.ts";

/** As large as a job's: the stack meter must stop a recursion before the engine does. */
const STACK_MB = 64;

/** The script of the proposal for threads that asks nothing of several threads but a memory that they share. */
const ATOMICS = join("proposals", "threads", "atomic.wast");

/** Makes its memories unshared: all stays the same but that waiting traps. */
const withoutSharing = (source: Uint8Array): Uint8Array =>
  Buffer.from(
    Buffer.from(source)
      .toString("latin1")
      .replaceAll(" shared)", ")")
      .replaceAll(
        /\(assert_return (\(invoke "memory\.atomic\.wait.*\)) \(i32\.const 1\)\)/g,
        '(assert_trap $1 "expected shared memory")',
      ),
    "latin1",
  );

/** Judges all scripts of a folder, in the order of their names, in a thread with a job's stack. */
export const runSuite = (folder: string): Promise<Verdict> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), {
      workerData: folder,
      resourceLimits: { stackSizeMb: STACK_MB },
    });
    worker.on("message", resolve);
    worker.on("error", reject);
  });

if (!isMainThread && import.meta.url.endsWith("suite.ts") && typeof workerData === "string") {
  const assembler = await loadAssembler();
  const verdict: Verdict = { counts: {}, failures: [], features: new Map() };
  for (const name of readdirSync(workerData).sort())
    if (name.endsWith(".wast")) judgeScript(name, readFileSync(join(workerData, name)), assembler, verdict);
  const atomics = join(workerData, ATOMICS);
  if (existsSync(atomics)) judgeScript(ATOMICS, withoutSharing(readFileSync(atomics)), assembler, verdict);
  parentPort!.postMessage(verdict);
} else if (import.meta.main) {
  const folder = process.env.ROLEC_WASM_SUITE;
  if (!folder) {
    console.error("ROLEC_WASM_SUITE must name the folder of the specification suite's .wast files");
    process.exit(2);
  }
  const { counts, failures, features } = await runSuite(folder);
  for (const name of Object.keys(counts).sort()) console.log(`${String(counts[name]).padStart(7)}  ${name}`);
  for (const [feature, modules] of features)
    console.log(`refused for ${feature}: ${[...modules].map(([file, n]) => `${file} ${n}`).join(", ")}`);
  for (const failure of failures) console.log(`FAILED ${failure}`);
  process.exit(failures.length > 0 ? 1 : 0);
}
