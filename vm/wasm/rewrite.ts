import { createTracker } from "./canonical-nan.ts";
import { createCode, decodeBody } from "./decode.ts";
import { compileGas, type GasPrices } from "./gas.ts";
import { WASM_LIMITS as LIMITS } from "./limits.ts";
import { type Layout, METER_PARAMS, METER_RESULTS, STOP, writeFunction, writeGasCheck } from "./meter.ts";
import { createLocalTypes, type ElementSegment, KIND, readLocals, type WasmModule } from "./module.ts";
import { I32, I64, OP } from "./opcodes.ts";
import { parseModule } from "./parse.ts";
import { checkCommand, WASI_MODULE } from "./profile.ts";
import { WasmRefused } from "./refusal.ts";
import { validateBody } from "./validate.ts";
import type { VmRules } from "./versions.ts";
import { unsignedBytes, Writer } from "./writer.ts";

/** A module that is ready to run: validated, with meters in its code and nothing of its own exported but its start. */
export interface Prepared {
  readonly bytes: Uint8Array;
  /** What it was prepared by, and runs by. */
  readonly rules: VmRules;
  /** Bytes of the module before rewriting, which is what its gas counts. */
  readonly originalBytes: number;
  /** Gas of compiling its functions. */
  readonly compileGas: number;
  readonly initialPages: number;
  readonly hasMemory: boolean;
  readonly hasStart: boolean;
}

/** Names that the rewritten module exports and imports. */
export const EXPORTS = {
  memory: "memory",
  entry: "_start",
  start: "rolec:start",
  gas: "rolec:gas",
  status: "rolec:status",
  growth: "rolec:growth",
} as const;
export const IMPORTS = { wasi: WASI_MODULE, own: "rolec", fault: "fault" } as const;

/** What a rewritten module exports of the original, beside its start and its meters, and how far its memory grows. */
export interface Shape {
  readonly exports: readonly { readonly name: string; readonly kind: number; readonly index: number }[];
  readonly maxPages: number;
  /** What the counter starts with. A host that starts tasks in one module sets it for each instance. */
  readonly gas: number;
}

/** The types of a new module: the module's own, their metered forms, and those that the rewriter needs. */
const createTypes = (module: WasmModule) => {
  const { types } = module;
  const all = [
    ...types.map(({ params, results }) => ({ params: [...params], results: [...results] })),
    ...types.map(({ params, results }) => ({
      params: [...params, ...METER_PARAMS],
      results: [...results, ...METER_RESULTS],
    })),
  ];
  const known = new Map<string, number>();
  return {
    metered: (type: number): number => types.length + type,
    add(params: readonly number[], results: readonly number[]): number {
      const key = `${params}>${results}`;
      let index = known.get(key);
      if (index === undefined) {
        index = all.push({ params: [...params], results: [...results] }) - 1;
        known.set(key, index);
      }
      return index;
    },
    section(): Writer {
      const out = new Writer();
      out.u32(all.length);
      for (const { params, results } of all) {
        out.byte(0x60);
        for (const list of [params, results]) {
          out.u32(list.length);
          out.bytes(Uint8Array.from(list));
        }
      }
      return out;
    },
  };
};

/** Writes what every host call goes through: its price, the check of the counter, and the counter in its global. */
const writeImportWrapper = (
  out: Writer,
  parameters: number,
  index: number,
  { hostCall }: GasPrices,
  layout: Layout,
): void => {
  out.u32(0);
  const gas = parameters;
  out.local(OP.localGet, gas);
  out.i64Const(hostCall);
  out.byte(0x7d);
  out.local(OP.localTee, gas);
  writeGasCheck(out, gas, () => out.i64Const(hostCall), layout);
  out.local(OP.localGet, gas);
  out.local(OP.globalSet, layout.gasGlobal);
  for (let i = 0; i < parameters; i++) out.local(OP.localGet, i);
  out.local(OP.call, index);
  out.local(OP.globalGet, layout.gasGlobal);
  out.byte(OP.end);
};

/** Writes what the host calls in place of a function: it starts the meters and leaves what is left of the gas. */
const writeDoor = (out: Writer, parameters: number, index: number, layout: Layout): void => {
  out.u32(0);
  for (let i = 0; i < parameters; i++) out.local(OP.localGet, i);
  out.local(OP.globalGet, layout.gasGlobal);
  out.i32Const(LIMITS.stackBytes);
  out.local(OP.call, layout.functionIndex(index));
  out.local(OP.globalSet, layout.gasGlobal);
  out.byte(OP.end);
};

/** Holds the pages of the growth that was refused last, for who asks why a program ended. */
const growthGlobal = ({ statusGlobal }: Layout): number => statusGlobal + 1;

/**
 * Writes the function that stands for memory.grow. Beyond the module's limit it answers -1, the same everywhere; by
 * nothing it is memory.size; a growth that V8 refuses below the limit is a fault of this machine, not a result.
 */
const writeGrow = (out: Writer, module: WasmModule, maxPages: number, fault: number, layout: Layout): void => {
  if (!module.memory) {
    out.u32(0);
    out.byte(OP.unreachable);
    out.byte(OP.end);
    return;
  }
  const [pages, gas, before] = [0, 1, 2];
  const answerIf = (write: () => void): void => {
    out.byte(OP.if);
    out.byte(0x40);
    write();
    out.local(OP.localGet, gas);
    out.byte(OP.return);
    out.byte(OP.end);
  };
  const size = (): void => {
    out.byte(OP.memorySize);
    out.byte(0);
  };
  out.u32(1);
  out.byte(1);
  out.byte(I32);
  out.local(OP.localGet, pages);
  out.byte(0x45); // i32.eqz
  answerIf(size);
  out.local(OP.localGet, pages);
  out.i32Const(maxPages);
  size();
  out.byte(0x6b);
  out.byte(0x4b); // i32.gt_u
  answerIf(() => {
    out.local(OP.localGet, pages);
    out.local(OP.globalSet, growthGlobal(layout));
    out.i32Const(-1);
  });
  const cost = (): void => {
    out.local(OP.localGet, pages);
    out.byte(0xad);
    out.i64Const(module.rules.gas.growPage);
    out.byte(0x7e); // i64.mul
    out.i64Const(module.rules.gas.growBase);
    out.byte(0x7c);
  };
  out.local(OP.localGet, gas);
  cost();
  out.byte(0x7d);
  out.local(OP.localTee, gas);
  writeGasCheck(out, gas, cost, layout);
  out.local(OP.localGet, pages);
  out.byte(OP.memoryGrow);
  out.byte(0);
  out.local(OP.localTee, before);
  out.i32Const(-1);
  out.byte(0x46); // i32.eq
  out.byte(OP.if);
  out.byte(0x40);
  out.local(OP.call, fault);
  out.byte(OP.unreachable);
  out.byte(OP.end);
  out.local(OP.localGet, before);
  out.local(OP.localGet, gas);
  out.byte(OP.end);
};

const writeGlobals = (module: WasmModule, shape: Shape): Writer => {
  const out = new Writer();
  const own = module.globals.filter(({ initial }) => initial !== undefined);
  out.u32(own.length + 3);
  for (const { type, mutable, initial } of own) {
    out.byte(type);
    out.byte(mutable ? 1 : 0);
    out.range(module.bytes, initial!.from, initial!.to);
  }
  out.bytes(Uint8Array.of(I64, 1));
  out.i64Const(shape.gas);
  out.byte(OP.end);
  out.bytes(Uint8Array.of(I32, 1, OP.i32Const, STOP.none, OP.end));
  out.bytes(Uint8Array.of(I32, 1, OP.i32Const, 0, OP.end));
  return out;
};

const writeExports = (module: WasmModule, shape: Shape, layout: Layout, doorIndex: Map<number, number>): Writer => {
  const entries: [string, number, number][] = [
    [EXPORTS.gas, KIND.global, layout.gasGlobal],
    [EXPORTS.status, KIND.global, layout.statusGlobal],
    [EXPORTS.growth, KIND.global, growthGlobal(layout)],
  ];
  for (const { name, kind, index } of shape.exports)
    entries.push([name, kind, kind === KIND.function ? doorIndex.get(index)! : index]);
  if (module.start !== undefined) entries.push([EXPORTS.start, KIND.function, doorIndex.get(module.start)!]);
  const out = new Writer();
  out.u32(entries.length);
  for (const [name, kind, index] of entries) {
    out.name(name);
    out.byte(kind);
    out.u32(index);
  }
  return out;
};

/**
 * Gives what all element segments make of the module's own table, in as few segments as hold it; undefined where that is for the host
 * to say. V8 takes 350 ns for each element of each segment, in each instance, also where a later one takes its place.
 */
const tableContents = ({ table, elements }: WasmModule): { from: number; functions: Uint32Array }[] | undefined => {
  if (!table || table.imported) return undefined;
  const fits = ({ offset, functions }: ElementSegment): boolean =>
    offset.value !== undefined && offset.value + functions.length <= table.min;
  if (!elements.every(fits)) return undefined;
  const contents = new Float64Array(table.min).fill(-1);
  for (const { offset, functions } of elements) contents.set(functions, offset.value!);
  const runs: { from: number; functions: Uint32Array }[] = [];
  for (let from = 0; from < contents.length; from++) {
    let to = from;
    while (to < contents.length && contents[to]! >= 0) to++;
    if (to > from) runs.push({ from, functions: Uint32Array.from(contents.subarray(from, to)) });
    from = to;
  }
  return runs;
};

const writeElements = (module: WasmModule, layout: Layout): Writer => {
  const out = new Writer();
  const contents = tableContents(module);
  if (contents) {
    out.u32(contents.length);
    for (const { from, functions } of contents) {
      out.byte(0);
      out.i32Const(from);
      out.byte(OP.end);
      out.u32(functions.length);
      for (const index of functions) out.u32(layout.functionIndex(index));
    }
    return out;
  }
  out.u32(module.elements.length);
  for (const { offset, functions } of module.elements) {
    out.byte(0);
    out.range(module.bytes, offset.from, offset.to);
    out.u32(functions.length);
    for (const index of functions) out.u32(layout.functionIndex(index));
  }
  return out;
};

const writeData = (module: WasmModule): Writer => {
  const out = new Writer();
  out.u32(module.data.length);
  for (const { offset, from, to } of module.data) {
    if (offset === undefined) out.byte(1);
    else {
      out.byte(0);
      out.range(module.bytes, offset.from, offset.to);
    }
    out.u32(to - from);
    out.range(module.bytes, from, to);
  }
  return out;
};

/** Writes the imports as they were, with the one for faults behind them. */
const writeImports = (module: WasmModule, faultType: number): Writer => {
  const out = new Writer();
  out.u32(module.imports.length + 1);
  for (const { module: from, name, description } of module.imports) {
    out.name(from);
    out.name(name);
    out.range(module.bytes, description.from, description.to);
  }
  out.name(IMPORTS.own);
  out.name(IMPORTS.fault);
  out.byte(KIND.function);
  out.u32(faultType);
  return out;
};

const writeSizes = (min: number, max: number | undefined): Writer => {
  const out = new Writer();
  out.byte(max === undefined ? 0 : 1);
  out.u32(min);
  if (max !== undefined) out.u32(max);
  return out;
};

/** Validates each function and writes it with its meters, between wrappers for imports and doors for exports. */
const writeCode = (
  module: WasmModule,
  shape: Shape,
  layout: Layout,
  doors: readonly number[],
): { code: Writer; gas: number } => {
  const code = new Writer(Math.max(1024, module.bytes.length));
  const body = new Writer(64 * 1024);
  const imported = module.importedFunctions;
  const { limits } = module.rules;
  code.u32(imported + 1 + module.bodies.length + doors.length);
  const parametersOf = (index: number): number => module.types[module.functionTypes[index]!]!.params.length;
  for (let index = 0; index < imported; index++) {
    body.clear();
    writeImportWrapper(body, parametersOf(index), index, module.rules.gas, layout);
    code.sized(body);
  }
  body.clear();
  writeGrow(body, module, shape.maxPages, imported, layout);
  code.sized(body);
  const decoded = createCode();
  const localTypes = createLocalTypes(module);
  const track = createTracker();
  let gas = 0;
  let counted = code.length;
  for (const [i, place] of module.bodies.entries()) {
    const functionIndex = imported + i;
    const locals = readLocals(module, place, functionIndex, localTypes);
    decodeBody(module, { from: locals.codeFrom, to: place.to }, functionIndex, decoded);
    const facts = validateBody(module, functionIndex, locals.types, decoded, track);
    const compiling = compileGas(decoded, locals.types.length, facts, module.rules.gas);
    if (compiling > limits.compileGas)
      throw new WasmRefused(`a function too complex: ${compiling} gas to compile, at most ${limits.compileGas}`, {
        section: "code",
        functionIndex,
        offset: place.from,
      });
    gas += compiling;
    body.clear();
    const bytes = writeFunction(body, module, functionIndex, locals, decoded, facts, layout);
    code.sized(body);
    counted += unsignedBytes(bytes) + bytes;
    if (counted > limits.rewrittenCodeBytes)
      throw new WasmRefused(`rewritten code of more than ${limits.rewrittenCodeBytes} bytes`, {
        section: "code",
      });
  }
  for (const index of doors) {
    body.clear();
    writeDoor(body, parametersOf(index), index, layout);
    code.sized(body);
  }
  return { code, gas };
};

/**
 * Validates a module's code and rewrites it, the same everywhere, and prices its compilation: meters in its code, custom sections gone, the start
 * function exported so that it runs under the meters, references to imports through priced wrappers. Throws
 * WasmRefused. Costs about 50 ns per byte of code.
 */
export const rewriteModule = (module: WasmModule, shape: Shape): { bytes: Uint8Array; compileGas: number } => {
  const types = createTypes(module);
  const imported = module.importedFunctions;
  // Imports, fault | a wrapper for each import, grow, the module's own functions, a door for each that the host calls.
  const layout: Layout = {
    functionIndex: (index) => index + imported + (index < imported ? 1 : 2),
    meteredType: types.metered,
    growFunction: imported + 1 + imported,
    gasGlobal: module.globals.length,
    statusGlobal: module.globals.length + 1,
    blockType: (results) => types.add([], [...results]),
  };
  const exported = shape.exports.filter(({ kind }) => kind === KIND.function).map(({ index }) => index);
  const doors = [...new Set(module.start === undefined ? exported : [...exported, module.start])];
  const firstDoor = layout.functionIndex(module.functionTypes.length);
  const doorIndex = new Map(doors.map((index, i) => [index, firstDoor + i]));
  const faultType = types.add([], []);
  const growType = types.add([I32, I64], [I32, I64]);
  const { code, gas } = writeCode(module, shape, layout, doors);

  const out = new Writer(code.length + 64 * 1024);
  out.bytes(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0));
  out.section(1, types.section());
  out.section(2, writeImports(module, faultType));
  const section = new Writer();
  section.u32(imported + 1 + module.bodies.length + doors.length);
  for (const type of module.functionTypes.subarray(0, imported)) section.u32(types.metered(type));
  section.u32(growType);
  for (const type of module.functionTypes.subarray(imported)) section.u32(types.metered(type));
  for (const index of doors) section.u32(module.functionTypes[index]!);
  out.section(3, section);
  if (module.table && !module.table.imported) {
    section.clear();
    section.bytes(Uint8Array.of(1, 0x70));
    section.append(writeSizes(module.table.min, module.table.max));
    out.section(4, section);
  }
  if (module.memory && !module.memory.imported) {
    section.clear();
    section.byte(1);
    section.append(writeSizes(module.memory.min, shape.maxPages));
    out.section(5, section);
  }
  out.section(6, writeGlobals(module, shape));
  out.section(7, writeExports(module, shape, layout, doorIndex));
  if (module.elements.length > 0) out.section(9, writeElements(module, layout));
  if (module.dataCount !== undefined) {
    section.clear();
    section.u32(module.dataCount);
    out.section(12, section);
  }
  out.section(10, code);
  if (module.data.length > 0) out.section(11, writeData(module));
  return { bytes: out.finish(), compileGas: gas };
};

/** Makes a job's module ready to run: parsed, checked, rewritten once. Throws WasmRefused. */
export const prepareModule = (bytes: Uint8Array, rules: VmRules): Prepared => {
  const module = parseModule(bytes, rules);
  const { entry, initialPages, maxPages } = checkCommand(module);
  const exports: Shape["exports"][number][] = [{ name: EXPORTS.entry, kind: KIND.function, index: entry }];
  const hasMemory = module.memory !== undefined;
  if (hasMemory) exports.push({ name: EXPORTS.memory, kind: KIND.memory, index: 0 });
  return {
    ...rewriteModule(module, { exports, maxPages, gas: 0 }),
    rules,
    originalBytes: bytes.length,
    initialPages,
    hasMemory,
    hasStart: module.start !== undefined,
  };
};
