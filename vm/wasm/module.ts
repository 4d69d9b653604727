import { WASM_LIMITS as LIMITS, PAGE_BYTES } from "./limits.ts";
import { F32, F64, I32, I64, OP } from "./opcodes.ts";
import { Reader } from "./reader.ts";
import { WASI_SIGNATURES } from "./wasi-abi.ts";

export interface FunctionType {
  readonly params: Uint8Array;
  readonly results: Uint8Array;
}

export interface GlobalType {
  readonly type: number;
  readonly mutable: boolean;
  /** The initial value's expression, its `end` included: a range of the module's bytes. */
  readonly from: number;
  readonly to: number;
}

/** Where a function's locals and code stand in the module's bytes. */
export interface Body {
  readonly from: number;
  readonly to: number;
}

/** A body's declarations of locals. */
export interface Locals {
  /** Types of the parameters and locals. */
  readonly types: Uint8Array;
  /** How many groups the module declares, where they start, and where the code starts after them. */
  readonly groups: number;
  readonly from: number;
  readonly codeFrom: number;
}

export interface ElementSegment {
  readonly offset: number;
  readonly functions: Uint32Array;
}

export interface DataSegment {
  /** Where an active segment goes; undefined for a passive one. */
  readonly offset: number | undefined;
  readonly from: number;
  readonly to: number;
}

/** A module whose sections were parsed and checked; the code is not validated yet. */
export interface WasmModule {
  readonly bytes: Uint8Array;
  readonly types: readonly FunctionType[];
  /** Names in wasi_snapshot_preview1 of the imported functions. */
  readonly imports: readonly { readonly name: string; readonly type: number }[];
  /** Type index of each function, the imported ones first. */
  readonly functionTypes: Uint32Array;
  /** Minimum size of the table, or undefined. */
  readonly table: { readonly min: number; readonly max: number | undefined } | undefined;
  /** Initial and greatest pages of the memory, after the limits of the VM; undefined without a memory. */
  readonly memory: { readonly initial: number; readonly max: number } | undefined;
  readonly globals: readonly GlobalType[];
  readonly start: number | undefined;
  /** The exported `_start`. */
  readonly entry: number;
  readonly elements: readonly ElementSegment[];
  readonly dataCount: number | undefined;
  readonly data: readonly DataSegment[];
  readonly bodies: readonly Body[];
}

const SECTIONS = [
  "custom",
  "type",
  "import",
  "function",
  "table",
  "memory",
  "global",
  "export",
  "start",
  "element",
  "code",
  "data",
  "data count",
] as const;
/** Place of each section in the order that the format prescribes; the data count stands before the code. */
const ORDER = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10];
const WASI_MODULE = "wasi_snapshot_preview1";

const valueType = (reader: Reader): number => {
  const type = reader.byte();
  if (type !== I32 && type !== I64 && type !== F32 && type !== F64)
    reader.refuse(
      type === 0x7b
        ? "SIMD is not allowed"
        : type === 0x70 || type === 0x6f
          ? "reference values are not allowed"
          : `unknown value type 0x${type.toString(16)}`,
      reader.at - 1,
    );
  return type;
};

const valueTypes = (reader: Reader, max: number, what: string): Uint8Array => {
  const out = new Uint8Array(reader.count(max, what));
  for (let i = 0; i < out.length; i++) out[i] = valueType(reader);
  return out;
};

const readTypes = (reader: Reader): FunctionType[] => {
  const types: FunctionType[] = [];
  for (let left = reader.count(LIMITS.types, "types"); left > 0; left--) {
    if (reader.byte() !== 0x60) reader.refuse("only function types are allowed", reader.at - 1);
    const params = valueTypes(reader, LIMITS.parameters, "parameters");
    types.push({ params, results: valueTypes(reader, LIMITS.results, "results") });
  }
  return types;
};

const readTypeIndex = (reader: Reader, types: readonly FunctionType[]): number => {
  const at = reader.at;
  const index = reader.u32();
  if (index >= types.length) reader.refuse(`unknown type ${index}`, at);
  return index;
};

const IMPORT_KINDS = ["function", "table", "memory", "global", "tag"];

const signatureOf = ({ params, results }: FunctionType): string => {
  const letter = (type: number): string => (type === I32 ? "i" : type === I64 ? "I" : type === F32 ? "f" : "d");
  return `${Array.from(params, letter).join("")}>${Array.from(results, letter).join("")}`;
};

const readImports = (reader: Reader, types: readonly FunctionType[]): { name: string; type: number }[] => {
  const imports: { name: string; type: number }[] = [];
  for (let left = reader.count(LIMITS.imports, "imports"); left > 0; left--) {
    const at = reader.at;
    const module = reader.name();
    const name = reader.name();
    const kind = reader.byte();
    if (kind !== 0) reader.refuse(`an imported ${IMPORT_KINDS[kind] ?? `thing of kind ${kind}`} is not allowed`, at);
    const type = readTypeIndex(reader, types);
    const expected = module === WASI_MODULE ? WASI_SIGNATURES.get(name) : undefined;
    if (expected === undefined) reader.refuse(`unknown import ${module}.${name}`, at);
    const got = signatureOf(types[type]!);
    if (got !== expected) reader.refuse(`import ${name} has type ${got}, not ${expected}`, at);
    imports.push({ name, type });
  }
  return imports;
};

const readLimits = (reader: Reader, what: string): { min: number; max: number | undefined } => {
  const flags = reader.byte();
  if (flags > 1)
    reader.refuse(
      flags & 4 ? "64-bit memory is not allowed" : flags & 2 ? "shared memory is not allowed" : "unknown limits",
      reader.at - 1,
    );
  const at = reader.at;
  const min = reader.u32();
  const max = flags === 1 ? reader.u32() : undefined;
  if (max !== undefined && max < min) reader.refuse(`${what}: maximum ${max} is below minimum ${min}`, at);
  return { min, max };
};

const readTable = (reader: Reader): WasmModule["table"] => {
  const count = reader.u32();
  if (count > 1) reader.refuse(`${count} tables, at most 1`);
  if (count === 0) return undefined;
  if (reader.byte() !== 0x70) reader.refuse("only a table of functions is allowed", reader.at - 1);
  const { min, max } = readLimits(reader, "table");
  if (min > LIMITS.tableEntries) reader.refuse(`table of ${min} entries, at most ${LIMITS.tableEntries}`);
  return { min, max: max === undefined ? undefined : Math.min(max, LIMITS.tableEntries) };
};

const readMemory = (reader: Reader): WasmModule["memory"] => {
  const count = reader.u32();
  if (count > 1) reader.refuse("several memories are not allowed");
  if (count === 0) return undefined;
  const { min, max } = readLimits(reader, "memory");
  if (min > 65_536 || (max !== undefined && max > 65_536)) reader.refuse("memory of more than 65536 pages");
  const limit = max === undefined ? LIMITS.memoryPagesUndeclared : Math.min(max, LIMITS.memoryPages);
  if (min > limit)
    reader.refuse(
      `memory of ${min} pages, at most ${limit}${max === undefined ? " where no maximum is declared" : ""}`,
    );
  return { initial: min, max: limit };
};

/** Reads a constant expression of one operation; gives the value of an i32.const, else 0. */
const constant = (reader: Reader, type: number): number => {
  const at = reader.at;
  const op = reader.byte();
  let value = 0;
  let got: number;
  if (op === OP.i32Const) {
    value = reader.s32() >>> 0;
    got = I32;
  } else if (op === OP.i64Const) {
    reader.skipS64();
    got = I64;
  } else if (op === OP.f32Const) {
    reader.skip(4);
    got = F32;
  } else if (op === OP.f64Const) {
    reader.skip(8);
    got = F64;
  } else return reader.refuse("only a constant is allowed as initial value", at);
  if (got !== type) reader.refuse("type mismatch in an initial value", at);
  if (reader.byte() !== OP.end) reader.refuse("extended constant expressions are not allowed", reader.at - 1);
  return value;
};

const readGlobals = (reader: Reader): GlobalType[] => {
  const globals: GlobalType[] = [];
  for (let left = reader.count(LIMITS.globals, "globals"); left > 0; left--) {
    const type = valueType(reader);
    const mutable = reader.byte();
    if (mutable > 1) reader.refuse("malformed mutability", reader.at - 1);
    const from = reader.at;
    constant(reader, type);
    globals.push({ type, mutable: mutable === 1, from, to: reader.at });
  }
  return globals;
};

/** Reads the declarations of locals of one body. Throws WasmRefused. */
export const readLocals = (bytes: Uint8Array, body: Body, type: FunctionType, functionIndex: number): Locals => {
  const reader = new Reader(bytes, body.from, body.to);
  reader.section = "code";
  reader.functionIndex = functionIndex;
  const groups = reader.count(LIMITS.bodyBytes, "groups of locals");
  const from = reader.at;
  const counts: [number, number][] = [];
  let total = type.params.length;
  for (let i = 0; i < groups; i++) {
    const at = reader.at;
    const count = reader.u32();
    total += count;
    if (total > LIMITS.locals + type.params.length) reader.refuse(`more than ${LIMITS.locals} locals`, at);
    counts.push([count, valueType(reader)]);
  }
  const types = new Uint8Array(total);
  types.set(type.params);
  let filled = type.params.length;
  for (const [count, local] of counts) {
    types.fill(local, filled, filled + count);
    filled += count;
  }
  return { types, groups, from, codeFrom: reader.at };
};

const readElements = (reader: Reader, functions: number, table: WasmModule["table"]): ElementSegment[] => {
  const segments: ElementSegment[] = [];
  for (let left = reader.count(LIMITS.segments, "segments"); left > 0; left--) {
    const at = reader.at;
    const flags = reader.u32();
    // 0: table 0, functions; 2: a table and a kind are written. The rest are passive, declared or of expressions.
    if (flags !== 0 && flags !== 2) reader.refuse(`element segment of kind ${flags} is not allowed`, at);
    const index = flags === 2 ? reader.u32() : 0;
    if (!table || index !== 0) reader.refuse(`unknown table ${index}`, at);
    const offset = constant(reader, I32);
    if (flags === 2 && reader.byte() !== 0) reader.refuse("only segments of functions are allowed", reader.at - 1);
    const list = new Uint32Array(reader.count(LIMITS.tableEntries, "elements"));
    for (let i = 0; i < list.length; i++) {
      const here = reader.at;
      list[i] = reader.u32();
      if (list[i]! >= functions) reader.refuse(`unknown function ${list[i]}`, here);
    }
    if (offset + list.length > table!.min) reader.refuse("element segment does not fit the table", at);
    segments.push({ offset, functions: list });
  }
  return segments;
};

const readData = (reader: Reader, memory: WasmModule["memory"]): DataSegment[] => {
  const segments: DataSegment[] = [];
  for (let left = reader.count(LIMITS.segments, "segments"); left > 0; left--) {
    const at = reader.at;
    const flags = reader.u32();
    if (flags > 2) reader.refuse("malformed data segment", at);
    const index = flags === 2 ? reader.u32() : 0;
    if (flags !== 1 && (!memory || index !== 0)) reader.refuse(`unknown memory ${index}`, at);
    const offset = flags === 1 ? undefined : constant(reader, I32);
    const length = reader.u32();
    const from = reader.at;
    reader.skip(length);
    if (offset !== undefined && offset + length > memory!.initial * PAGE_BYTES)
      reader.refuse("data segment does not fit the memory", at);
    segments.push({ offset, from, to: reader.at });
  }
  return segments;
};

/** Parses a module and checks everything but its code. Throws WasmRefused with the place and the rule. O(bytes). */
export const parseModule = (bytes: Uint8Array): WasmModule => {
  const reader = new Reader(bytes);
  if (bytes.length > LIMITS.moduleBytes)
    reader.refuse(`module of ${bytes.length} bytes, at most ${LIMITS.moduleBytes}`);
  if (bytes.length < 8 || Buffer.compare(bytes.subarray(0, 8), Buffer.from("\0asm\x01\0\0\0", "latin1")) !== 0)
    reader.refuse("not a WebAssembly module of version 1");
  reader.at = 8;

  let types: FunctionType[] = [];
  let imports: { name: string; type: number }[] = [];
  let declared: number[] = [];
  let functionTypes = new Uint32Array(0);
  let table: WasmModule["table"];
  let memory: WasmModule["memory"];
  let globals: GlobalType[] = [];
  let start: number | undefined;
  let entry: number | undefined;
  let elements: ElementSegment[] = [];
  let dataCount: number | undefined;
  let data: DataSegment[] = [];
  const bodies: Body[] = [];

  const functionIndex = (): number => {
    const at = reader.at;
    const index = reader.u32();
    if (index >= functionTypes.length) reader.refuse(`unknown function ${index}`, at);
    return index;
  };
  const isCommand = (index: number): boolean => {
    const type = types[functionTypes[index]!]!;
    return type.params.length === 0 && type.results.length === 0;
  };

  const readExports = (): void => {
    const names = new Set<string>();
    for (let left = reader.count(LIMITS.exports, "exports"); left > 0; left--) {
      const at = reader.at;
      const name = reader.name();
      if (names.has(name)) reader.refuse(`duplicate export ${name.slice(0, 80)}`, at);
      names.add(name);
      const kind = reader.byte();
      if (kind > 3) reader.refuse(`unknown kind of export ${kind}`, reader.at - 1);
      const index = reader.u32();
      const known = [functionTypes.length, table ? 1 : 0, memory ? 1 : 0, globals.length][kind]!;
      if (index >= known) reader.refuse(`export of an unknown ${IMPORT_KINDS[kind]} ${index}`, at);
      if (name !== "_start") continue;
      if (kind !== 0 || !isCommand(index)) reader.refuse("_start is not a function without parameters and results", at);
      entry = index;
    }
  };

  const readCode = (): void => {
    const count = reader.count(LIMITS.functions, "functions");
    if (count !== declared.length) reader.refuse(`${count} bodies for ${declared.length} functions`);
    for (let i = 0; i < count; i++) {
      reader.functionIndex = imports.length + i;
      const size = reader.u32();
      if (size > LIMITS.bodyBytes) reader.refuse(`body of ${size} bytes, at most ${LIMITS.bodyBytes}`);
      const from = reader.at;
      reader.skip(size);
      bodies.push({ from, to: reader.at });
    }
    reader.functionIndex = undefined;
  };

  let last = 0;
  while (reader.at < bytes.length) {
    reader.end = bytes.length;
    reader.section = "header";
    const at = reader.at;
    const id = reader.byte();
    const size = reader.u32();
    const from = reader.at;
    reader.skip(size);
    const to = reader.at;
    if (id >= SECTIONS.length) reader.refuse(id === 13 ? "exceptions are not allowed" : `unknown section ${id}`, at);
    reader.section = SECTIONS[id]!;
    reader.at = from;
    reader.end = to;
    if (id === 0) {
      reader.name();
      reader.at = to;
      continue;
    }
    if (ORDER[id]! <= last) reader.refuse("section out of order or twice", at);
    last = ORDER[id]!;
    if (id === 1) types = readTypes(reader);
    else if (id === 2) imports = readImports(reader, types);
    else if (id === 3) {
      declared = [];
      for (let left = reader.count(LIMITS.functions, "functions"); left > 0; left--)
        declared.push(readTypeIndex(reader, types));
    } else if (id === 4) table = readTable(reader);
    else if (id === 5) memory = readMemory(reader);
    else if (id === 6) globals = readGlobals(reader);
    else if (id === 7) readExports();
    else if (id === 8) {
      start = functionIndex();
      if (!isCommand(start)) reader.refuse("the start function has parameters or results");
    } else if (id === 9) elements = readElements(reader, functionTypes.length, table);
    else if (id === 10) readCode();
    else if (id === 11) data = readData(reader, memory);
    else dataCount = reader.u32();
    if (id === 2 || id === 3) functionTypes = Uint32Array.from([...imports.map(({ type }) => type), ...declared]);
    if (reader.at !== to) reader.refuse("section size mismatch");
  }
  reader.section = "code";
  if (bodies.length !== declared.length) reader.refuse(`${bodies.length} bodies for ${declared.length} functions`);
  if (dataCount !== undefined && dataCount !== data.length)
    reader.refuse(`data count ${dataCount}, but ${data.length} segments`);
  reader.section = "export";
  if (entry === undefined) return reader.refuse("no _start: not a WASI command");
  return {
    bytes,
    types,
    imports,
    functionTypes,
    table,
    memory,
    globals,
    start,
    entry,
    elements,
    dataCount,
    data,
    bodies,
  };
};
