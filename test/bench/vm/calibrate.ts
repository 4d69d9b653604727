/**
 * Measures what a gas costs where it costs most: `node test/bench/vm/calibrate.ts [name]`. Each program does one thing
 * that V8 or the machine is slow at, as cheaply in gas as it can; printed are seconds of processor time per Ggas, and
 * the program's own unit. Whole tasks pay all that a task does, and what is measured is all that is done for one, with the
 * hashing of its results. A price is wrong where a legal program passes LIMIT, and that of a host call where it takes
 * more than CALL_LIMIT times what the cheapest call of the same run takes.
 */
import { createHash } from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import loadWabt from "wabt";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { startGas } from "../../../vm/wasm/gas.ts";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { outputRoot } from "../../../vm/wasm/output.ts";
import { parseModule } from "../../../vm/wasm/parse.ts";
import { checkCommand } from "../../../vm/wasm/profile.ts";
import { WasmRefused } from "../../../vm/wasm/refusal.ts";
import { EXPORTS, IMPORTS, prepareModule, rewriteModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { createWasi } from "../../../vm/wasm/wasi.ts";
import { createHost } from "../../../vm/wasm/wasi-host.ts";
import { COMPILED } from "./compiled.ts";
import { HOST_CALLS, WHOLE_TASKS, type WholeTask } from "./host-programs.ts";
import { OPERATIONS, type Program } from "./programs.ts";
import { VECTOR_COMPILED, VECTOR_OPERATIONS } from "./vectors.ts";

/** Seconds that a Ggas may take at most. */
const LIMIT = 40;
const CALL_LIMIT = 50;
const CHEAPEST = "sched_yield";
const GAS = 2 ** 53 - 1;
const ROUNDS = 5;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const secondsSince = (from: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1e6;
};
const cpuSeconds = (run: () => void): number => {
  const from = process.cpuUsage();
  run();
  return secondsSince(from);
};

const say = (line: string): void => parentPort!.postMessage(line);
const results = new Map<string, number>();
const report = (name: string, seconds: number, gas: number, units: number, unit: string): void => {
  const perGgas = (seconds / gas) * 1e9;
  results.set(name, perGgas);
  const cells = [perGgas.toFixed(3).padStart(8), ((seconds / units) * 1e9).toFixed(2).padStart(12)];
  say(`${name.padEnd(44)} ${cells.join(" ")} ns per ${unit}${perGgas > LIMIT ? "  OVER THE LIMIT" : ""}`);
};
const sayWorst = (what: string, names: readonly string[]): void => {
  const unit = results.get(CHEAPEST) ?? Number.NaN;
  const measured = names.flatMap((name) => (results.has(name) ? [{ name, perGgas: results.get(name)! }] : []));
  const [...worst] = measured.sort((a, b) => b.perGgas - a.perGgas).slice(0, 3);
  say(`worst of ${what}:`);
  for (const { name, perGgas } of worst)
    say(`  ${name}: ${perGgas.toFixed(3)} s/Ggas, ${(perGgas / unit).toFixed(1)} times ${CHEAPEST}`);
  const over = measured.filter(({ perGgas }) => perGgas / unit > CALL_LIMIT);
  if (over.length > 0) say(`  over ${CALL_LIMIT} times: ${over.map(({ name }) => name).join("; ")}`);
};

const measureProgram = (
  bytes: Uint8Array,
  { name, units, unit, setup, paidPages, args = [], environment = [], input }: Program,
): void => {
  const module = parseModule(bytes, NEWEST_RULES);
  checkCommand(module);
  const { bytes: rewritten } = rewriteModule(module, {
    exports: module.exports,
    maxPages: module.memory!.max!,
    gas: 0,
  });
  const compiled = new WebAssembly.Module(rewritten as Uint8Array<ArrayBuffer>);
  const seconds: number[] = [];
  let used = 0;
  for (let round = -1; round < ROUNDS; round++) {
    let exports: WebAssembly.Exports = {};
    const memory = (): WebAssembly.Memory => exports[EXPORTS.memory] as WebAssembly.Memory;
    const gas = (): WebAssembly.Global<"i64"> => exports[EXPORTS.gas] as WebAssembly.Global<"i64">;
    const tree = createFileTree(input ? [{ name: "a", bytes: input }] : [], NEWEST_RULES);
    const wasi = createWasi(
      createHost(memory, gas, GAS),
      {
        taskid: `0x${"11".repeat(32)}`,
        args,
        environment,
        startTime: 1_700_000_000,
        tree,
        root: tree.root,
      },
      NEWEST_RULES,
    );
    exports = new WebAssembly.Instance(compiled, {
      [IMPORTS.wasi]: wasi as WebAssembly.ModuleImports,
      [IMPORTS.own]: { [IMPORTS.fault]: () => undefined },
    }).exports;
    gas().value = BigInt(GAS);
    if (exports.setup) (exports.setup as () => void)();
    if (setup) setup(new Uint32Array(memory().buffer));
    gas().value = BigInt(GAS);
    const time = cpuSeconds(exports[EXPORTS.entry] as () => void);
    used = GAS - Number(gas().value);
    if (round >= 0) seconds.push(time);
  }
  report(name, median(seconds), used + startGas(0, 0, 0, paidPages ?? 0) - startGas(0, 0, 0, 0), units, unit);
};

/** Measures all that happens to a module before it runs, and its first run, in which V8 compiles. */
const measureCompiled = (name: string, bytes: Uint8Array): void => {
  let gas = 0;
  const seconds = cpuSeconds(() => {
    const prepared = prepareModule(bytes, NEWEST_RULES);
    const module = new WebAssembly.Module(prepared.bytes as Uint8Array<ArrayBuffer>);
    const { exports } = new WebAssembly.Instance(module, { [IMPORTS.own]: { [IMPORTS.fault]: () => undefined } });
    const left = exports[EXPORTS.gas] as WebAssembly.Global<"i64">;
    left.value = BigInt(GAS);
    (exports[EXPORTS.entry] as () => void)();
    gas = startGas(bytes.length, prepared.compileGas, 0, 0) + GAS - Number(left.value);
  });
  report(name, seconds, gas, bytes.length, "byte of module");
};

/** Measures a task from its start to its results, which its node hashes; the module is compiled before, as it pays for itself. */
const measureTask = async (bytes: Uint8Array, { name, input }: WholeTask): Promise<void> => {
  const compiled = compileModule(bytes, NEWEST_RULES);
  const task = {
    taskid: `0x${"11".repeat(32)}` as const,
    args: [],
    inputs: input ? [{ name: "a", bytes: input }] : [],
    gasLimit: GAS,
    startTime: 1_700_000_000,
    hasCallback: false,
  };
  const seconds: number[] = [];
  let gas = 0;
  for (let round = -1; round < ROUNDS; round++) {
    const from = process.cpuUsage();
    // A file is hashed when it is fetched, and copied to the process.
    const inputs = task.inputs.map(({ name, bytes }) => {
      createHash("sha256").update(bytes).digest();
      return { name, bytes: structuredClone(bytes) };
    });
    const outcome = runInstance(compiled, { ...task, inputs });
    await outputRoot(outcome.files);
    if (round >= 0) seconds.push(secondsSince(from));
    gas = outcome.gasUsed;
  }
  report(name, median(seconds), gas, 1, "task");
};

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: process.argv[2],
    resourceLimits: { stackSizeMb: 64, maxOldGenerationSizeMb: 1_024 },
  });
  worker.on("message", (line: string) => console.log(line));
} else {
  const wanted = (name: string): boolean =>
    workerData === undefined || name === CHEAPEST || name.includes(workerData as string);
  const wabt = await loadWabt();
  Error.stackTraceLimit = 0;
  setFlagsFromString("--no-liftoff");
  say(`${"program".padEnd(44)}   s/Ggas`);
  for (const program of [...OPERATIONS, ...VECTOR_OPERATIONS, ...HOST_CALLS]) {
    if (!wanted(program.name)) continue;
    const module = wabt.parseWat(program.name, program.text, {
      bulk_memory: true,
      sat_float_to_int: true,
      simd: true,
      threads: true,
    });
    measureProgram(module.toBinary({}).buffer.slice(), program);
    module.destroy();
  }
  for (const task of WHOLE_TASKS) {
    if (!wanted(task.name)) continue;
    const module = wabt.parseWat(task.name, task.text);
    await measureTask(module.toBinary({}).buffer.slice(), task);
    module.destroy();
  }
  for (const { name, build } of [...COMPILED, ...VECTOR_COMPILED]) {
    if (!wanted(name)) continue;
    try {
      measureCompiled(name, build());
    } catch (error) {
      if (!(error instanceof WasmRefused)) throw error;
      say(`${name.padEnd(44)}  refused: ${error.rule}`);
    }
  }
  sayWorst(
    "host calls",
    HOST_CALLS.map(({ name }) => name),
  );
  sayWorst(
    "whole tasks",
    WHOLE_TASKS.map(({ name }) => name),
  );
  sayWorst("all", [...results.keys()]);
}
