/**
 * Runs every module of a folder and prints a line for each with its receipt: `node [V8's flags] receipts.ts <folder>`.
 * `<name>.wasm` stands beside `<name>.json`, the task without its module.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { keccak256 } from "../../../../lib/keccak.ts";
import { compileModule, runInstance } from "../../../../vm/wasm/instance.ts";
import { NEWEST_RULES } from "../../../../vm/wasm/versions.ts";

const STACK_MB = 64;

if (isMainThread)
  new Worker(fileURLToPath(import.meta.url), {
    workerData: process.argv[2],
    resourceLimits: { stackSizeMb: STACK_MB },
  });
else {
  const folder = workerData as string;
  Error.stackTraceLimit = 0;
  for (const file of readdirSync(folder).sort()) {
    if (!file.endsWith(".wasm")) continue;
    const module = new Uint8Array(readFileSync(join(folder, file)));
    const { inputs, ...task } = JSON.parse(readFileSync(join(folder, file.replace(/wasm$/, "json")), "utf8"));
    const files = inputs.map(({ name, text }: { name: string; text: string }) => ({ name, bytes: Buffer.from(text) }));
    const outcome = runInstance(compileModule(module, NEWEST_RULES), { ...task, inputs: files });
    const output = Array.from(outcome.files, ([name, bytes]) => `${name}=${keccak256(bytes)}`).join(" ");
    console.log(
      `${file} ${outcome.status} ${outcome.code} ${outcome.gasUsed} ${outcome.gasExecuted} ${outcome.stateRoot} ${output}`,
    );
  }
}
