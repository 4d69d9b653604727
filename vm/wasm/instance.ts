import { createHash } from "node:crypto";
import { concat, type Hash, uint32 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { createFileTree } from "./file-tree.ts";
import { startGas } from "./gas.ts";
import { PAGE_BYTES } from "./limits.ts";
import { STOP } from "./meter.ts";
import { EXPORTS, IMPORTS, type Prepared, prepareModule } from "./rewrite.ts";
import { STATUS, TRAP } from "./status.ts";
import { environmentOf, filesOf, PROGRAM, type Task } from "./task.ts";
import type { VmRules } from "./versions.ts";
import { createWasi, type World } from "./wasi.ts";
import { createHost, Halt } from "./wasi-host.ts";

/** What running a task gives: all of its receipt but the root of its output. */
export interface Outcome {
  readonly status: number;
  readonly code: number;
  readonly gasUsed: number;
  readonly gasExecuted: number;
  /** Undefined where it was never started, or left its memory zero: the module's own root stands there then. */
  readonly stateRoot: Hash | undefined;
  readonly files: Map<string, Uint8Array>;
  /** The growth of memory that was refused last, in pages; no part of the receipt. */
  readonly refusedGrowth?: RefusedGrowth | undefined;
}

export interface RefusedGrowth {
  readonly pages: number;
  /** What the memory had at the end. */
  readonly has: number;
}

/** This machine could not run the task. Never a result. */
class LocalFault extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = "LocalFault";
  }
}

export interface Compiled {
  readonly prepared: Omit<Prepared, "bytes">;
  readonly module: WebAssembly.Module;
}

/** Compiles a rewritten module. Throws LocalFault where the engine fails. */
export const compilePrepared = ({ bytes, ...prepared }: Prepared): Compiled => {
  try {
    return { prepared, module: new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>) };
  } catch (error) {
    throw new LocalFault(`the engine refuses a valid module: ${error instanceof Error ? error.message : error}`);
  }
};

/** Validates, rewrites and compiles a module. Throws WasmRefused, or LocalFault where the engine fails. */
export const compileModule = (bytes: Uint8Array, rules: VmRules): Compiled =>
  compilePrepared(prepareModule(bytes, rules));

const ZERO_PAGE = new Uint8Array(PAGE_BYTES);

/** Computes keccak256 over (uint32 index || SHA-256) of each page of memory that is not zero, in order; undefined without any. */
export const stateRootOf = (memory: Uint8Array): Hash | undefined => {
  const parts: Uint8Array[] = [];
  for (let page = 0; page * PAGE_BYTES < memory.length; page++) {
    const bytes = memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (Buffer.compare(bytes, ZERO_PAGE) === 0) continue;
    parts.push(uint32(page), createHash("sha256").update(bytes).digest());
  }
  return parts.length === 0 ? undefined : keccak256(concat(...parts));
};

/** `exact`: the counter and the whole memory are what they are on every machine. */
type Ended = { status: number; code: number; exact: boolean };

/** Tells how a task ended from what its code threw. Throws LocalFault for what is no result. */
const endOf = (error: unknown, stop: number): Ended => {
  if (error instanceof Halt) {
    if (error.reason === "gas") return { status: STATUS.outOfGas, code: 0, exact: true };
    if (error.reason === "output") return { status: STATUS.outputLimit, code: 0, exact: true };
    return { status: error.code === 0 ? STATUS.ok : STATUS.exit, code: error.code, exact: true };
  }
  if (error instanceof WebAssembly.RuntimeError) {
    if (stop === STOP.gas) return { status: STATUS.outOfGas, code: 0, exact: true };
    if (stop === STOP.stack) return { status: STATUS.trap, code: TRAP.stack, exact: true };
    if (stop === STOP.unreachable) return { status: STATUS.trap, code: TRAP.unreachable, exact: true };
    return { status: STATUS.trap, code: TRAP.other, exact: false };
  }
  throw new LocalFault(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
};

/**
 * Runs a module in a fresh instance, in this thread, in the world that is given. The gas of starting counts its inputs.
 * Throws LocalFault.
 */
export const runIn = ({ prepared, module }: Compiled, world: World, gasLimit: number, inputBytes: number): Outcome => {
  const { tree } = world;
  const { rules, originalBytes, compileGas, initialPages } = prepared;
  const left = gasLimit - startGas(originalBytes, compileGas, inputBytes, initialPages, rules.gas);
  if (left < 0)
    return {
      status: STATUS.outOfGas,
      code: 0,
      gasUsed: gasLimit,
      gasExecuted: 0,
      stateRoot: undefined,
      files: tree.files(),
    };

  let exports: WebAssembly.Exports | undefined;
  const memory = (): WebAssembly.Memory | undefined => exports?.[EXPORTS.memory] as WebAssembly.Memory | undefined;
  const gas = (): WebAssembly.Global<"i64"> => exports![EXPORTS.gas] as WebAssembly.Global<"i64">;
  const host = createHost(memory, gas, gasLimit);
  const wasi = createWasi(host, world, rules);
  const fault = (): never => {
    throw new LocalFault("this machine has not enough memory for the task");
  };
  try {
    exports = new WebAssembly.Instance(module, {
      [IMPORTS.wasi]: wasi as WebAssembly.ModuleImports,
      [IMPORTS.own]: { [IMPORTS.fault]: fault },
    }).exports;
  } catch (error) {
    throw new LocalFault(`cannot make an instance: ${error instanceof Error ? error.message : error}`);
  }
  gas().value = BigInt(left);

  let ended: Ended = { status: STATUS.ok, code: 0, exact: true };
  try {
    if (prepared.hasStart) (exports[EXPORTS.start] as () => void)();
    (exports[EXPORTS.entry] as () => void)();
  } catch (error) {
    if (error instanceof LocalFault) throw error;
    ended = endOf(error, (exports[EXPORTS.status] as WebAssembly.Global<"i32">).value);
  }
  const remaining = Number(gas().value);
  const asked = (exports[EXPORTS.growth] as WebAssembly.Global<"i32">).value >>> 0;
  // The last block may have taken more than was left with no check after it.
  if (ended.exact && remaining < 0) ended = { status: STATUS.outOfGas, code: 0, exact: true };
  const takesAll = ended.status === STATUS.outOfGas || !ended.exact;
  const bytes = new Uint8Array(memory()?.buffer ?? new ArrayBuffer(0));
  if (!ended.exact) bytes.fill(0, Math.max(0, bytes.length - rules.limits.storeBytes));
  return {
    status: ended.status,
    code: ended.code,
    gasUsed: takesAll ? gasLimit : gasLimit - remaining,
    // After a trap that is not exact the counter is what it was at the last host call.
    gasExecuted: Math.min(left, left - remaining) - host.charged(),
    stateRoot: stateRootOf(bytes),
    files: tree.files(),
    refusedGrowth: asked === 0 ? undefined : { pages: asked, has: bytes.length / PAGE_BYTES },
  };
};

/** Runs one task in a fresh instance, in this thread. Throws LocalFault. The task must have passed checkTask. */
export const runInstance = (compiled: Compiled, task: Task): Outcome => {
  const inputs = filesOf(task);
  const tree = createFileTree(inputs, compiled.prepared.rules);
  const world = {
    taskid: task.taskid,
    args: [PROGRAM, ...task.args],
    environment: environmentOf(task, compiled.prepared.rules),
    startTime: task.startTime,
    tree,
    root: tree.root,
  };
  const inputBytes = inputs.reduce((sum, { bytes }) => sum + bytes.length, 0);
  return runIn(compiled, world, task.gasLimit, inputBytes);
};
