import type { WasmLimits } from "./limits.ts";
import {
  type Constant,
  type DataSegment,
  type ElementSegment,
  type Export,
  type FunctionType,
  type GlobalType,
  type Import,
  KIND,
  KIND_NAMES,
  type Sizes,
} from "./module.ts";
import { F32, F64, I32, I64, OP, V128, V128_CONST } from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import { readValueType, readValueTypes } from "./value-types.ts";
import type { Features, VmRules } from "./versions.ts";

/** Reads the section of types. */
export const readTypes = (reader: Reader, { limits, features }: VmRules): FunctionType[] => {
  const types: FunctionType[] = [];
  for (let left = reader.count(limits.types, "types"); left > 0; left--) {
    if (reader.byte() !== 0x60) reader.refuse("only function types are allowed", reader.at - 1);
    const params = readValueTypes(reader, features, limits.parameters, "parameters");
    types.push({ params, results: readValueTypes(reader, features, limits.results, "results") });
  }
  return types;
};

const readTypeIndex = (reader: Reader, types: readonly FunctionType[]): number => {
  const at = reader.at;
  const index = reader.u32();
  if (index >= types.length) reader.refuse(`unknown type ${index}`, at);
  return index;
};

/** Reads the section of functions: the type index of each. */
export const readFunctions = (reader: Reader, limits: WasmLimits, types: readonly FunctionType[]): number[] => {
  const functions: number[] = [];
  for (let left = reader.count(limits.functions, "functions"); left > 0; left--)
    functions.push(readTypeIndex(reader, types));
  return functions;
};

const readSizes = (reader: Reader, what: string): { min: number; max: number | undefined; at: number } => {
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
  return { min, max, at };
};

const readTableType = (reader: Reader, imported: boolean): Sizes => {
  const type = reader.byte();
  if (type !== 0x70)
    reader.refuse(type === 0x6f ? "reference values are not allowed" : "malformed table type", reader.at - 1);
  return { ...readSizes(reader, "table"), imported };
};

const MOST_PAGES = 65_536;

const readMemoryType = (reader: Reader, imported: boolean): Sizes => {
  const sizes = readSizes(reader, "memory");
  if (sizes.min > MOST_PAGES || (sizes.max ?? 0) > MOST_PAGES)
    reader.refuse(`memory of more than ${MOST_PAGES} pages`, sizes.at);
  return { ...sizes, imported };
};

const readGlobalType = (reader: Reader, features: Features): { type: number; mutable: boolean } => {
  const type = readValueType(reader, features);
  const mutable = reader.byte();
  if (mutable > 1) reader.refuse("malformed mutability", reader.at - 1);
  return { type, mutable: mutable === 1 };
};

/** What the imports bring, beside functions. */
export interface Imported {
  readonly imports: readonly Import[];
  readonly tables: readonly Sizes[];
  readonly memories: readonly Sizes[];
  readonly globals: readonly GlobalType[];
}

/** Reads the section of imports. */
export const readImports = (
  reader: Reader,
  { limits, features }: VmRules,
  types: readonly FunctionType[],
): Imported => {
  const imports: Import[] = [];
  const tables: Sizes[] = [];
  const memories: Sizes[] = [];
  const globals: GlobalType[] = [];
  for (let left = reader.count(limits.imports, "imports"); left > 0; left--) {
    const at = reader.at;
    const module = reader.name();
    const name = reader.name();
    const from = reader.at;
    const kind = reader.byte();
    let type = 0;
    if (kind === KIND.function) type = readTypeIndex(reader, types);
    else if (kind === KIND.table) tables.push(readTableType(reader, true));
    else if (kind === KIND.memory) memories.push(readMemoryType(reader, true));
    else if (kind === KIND.global) globals.push({ ...readGlobalType(reader, features), initial: undefined });
    else reader.refuse(kind === 4 ? "exceptions are not allowed" : "malformed import kind", from);
    imports.push({ module, name, kind, type, at, description: { from, to: reader.at } });
  }
  return { imports, tables, memories, globals };
};

/** Gives the only one of a module's tables or memories, or none. Throws WasmRefused for several. */
export const single = (reader: Reader, list: readonly Sizes[], what: string): Sizes | undefined => {
  if (list.length > 1) reader.refuse(`several ${what} are not allowed`);
  return list[0];
};

/** Reads the section of tables. */
export const readTables = (reader: Reader, limits: WasmLimits): Sizes[] =>
  Array.from({ length: reader.count(limits.imports, "tables") }, () => readTableType(reader, false));

/** Reads the section of memories. */
export const readMemories = (reader: Reader, limits: WasmLimits): Sizes[] =>
  Array.from({ length: reader.count(limits.imports, "memories") }, () => readMemoryType(reader, false));

/** Reads a constant expression of one operation that gives `type`; it may read an imported global that never changes. */
const readConstant = (reader: Reader, features: Features, type: number, globals: readonly GlobalType[]): Constant => {
  const from = reader.at;
  const op = reader.byte();
  let value: number | undefined;
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
  } else if (op === 0xfd && features.simd) {
    if (reader.u32() !== V128_CONST) reader.refuse("only a constant is allowed as initial value", from);
    reader.skip(16);
    got = V128;
  } else if (op === OP.globalGet) {
    const index = reader.u32();
    const global = globals[index];
    if (!global) return reader.refuse(`a constant reads the unknown global ${index}`, from);
    if (global.mutable) reader.refuse(`a constant cannot read the mutable global ${index}`, from);
    if (global.initial)
      reader.refuse(`extended constant expressions are not allowed: global ${index} is of this module`, from);
    got = global.type;
  } else if (op === 0xd0 || op === 0xd2) return reader.refuse("reference values are not allowed", from);
  else if (op === 0xfd) return reader.refuse("SIMD is not allowed", from);
  else return reader.refuse("only a constant is allowed as initial value", from);
  if (got !== type) reader.refuse("type mismatch in an initial value", from);
  if (reader.byte() !== OP.end) reader.refuse("extended constant expressions are not allowed", reader.at - 1);
  return { value, from, to: reader.at };
};

/** Reads the section of globals; gives the imported ones and them. */
export const readGlobals = (
  reader: Reader,
  { limits, features }: VmRules,
  imported: readonly GlobalType[],
): GlobalType[] => {
  const globals = [...imported];
  for (let left = reader.count(limits.globals, "globals"); left > 0; left--) {
    const type = readGlobalType(reader, features);
    globals.push({ ...type, initial: readConstant(reader, features, type.type, globals) });
  }
  return globals;
};

/** Reads the section of exports. `known` holds how many functions, tables, memories and globals there are. */
export const readExports = (reader: Reader, limits: WasmLimits, known: readonly number[]): Export[] => {
  const exports: Export[] = [];
  const names = new Set<string>();
  for (let left = reader.count(limits.exports, "exports"); left > 0; left--) {
    const at = reader.at;
    const name = reader.name();
    if (names.has(name)) reader.refuse(`duplicate export ${name.slice(0, 80)}`, at);
    names.add(name);
    const kind = reader.byte();
    if (kind > KIND.global) reader.refuse(`unknown kind of export ${kind}`, reader.at - 1);
    const index = reader.u32();
    if (index >= known[kind]!) reader.refuse(`export of an unknown ${KIND_NAMES[kind]} ${index}`, at);
    exports.push({ name, kind, index, at });
  }
  return exports;
};

/** Reads the section of elements. */
export const readElements = (
  reader: Reader,
  { limits, features }: VmRules,
  functions: number,
  table: Sizes | undefined,
  globals: readonly GlobalType[],
): ElementSegment[] => {
  const segments: ElementSegment[] = [];
  for (let left = reader.count(limits.segments, "segments"); left > 0; left--) {
    const at = reader.at;
    const flags = reader.u32();
    if (flags > 7) reader.refuse("malformed element segment", at);
    // 0: table 0, functions; 2: a table and a kind are written. The rest are passive, declared or of expressions.
    if (flags !== 0 && flags !== 2) reader.refuse(`element segment of kind ${flags} is not allowed`, at);
    const index = flags === 2 ? reader.u32() : 0;
    if (!table || index !== 0) reader.refuse(`unknown table ${index}`, at);
    const offset = readConstant(reader, features, I32, globals);
    if (flags === 2 && reader.byte() !== 0) reader.refuse("malformed element kind", reader.at - 1);
    const list = new Uint32Array(reader.count(limits.tableEntries, "elements"));
    for (let i = 0; i < list.length; i++) {
      const here = reader.at;
      list[i] = reader.u32();
      if (list[i]! >= functions) reader.refuse(`unknown function ${list[i]}`, here);
    }
    segments.push({ offset, functions: list, at });
  }
  return segments;
};

/** Reads the section of data. */
export const readData = (
  reader: Reader,
  { limits, features }: VmRules,
  memory: Sizes | undefined,
  globals: readonly GlobalType[],
): DataSegment[] => {
  const segments: DataSegment[] = [];
  for (let left = reader.count(limits.segments, "segments"); left > 0; left--) {
    const at = reader.at;
    const flags = reader.u32();
    if (flags > 2) reader.refuse("malformed data segment", at);
    const index = flags === 2 ? reader.u32() : 0;
    if (flags !== 1 && (!memory || index !== 0)) reader.refuse(`unknown memory ${index}`, at);
    const offset = flags === 1 ? undefined : readConstant(reader, features, I32, globals);
    const length = reader.u32();
    const from = reader.at;
    reader.skip(length);
    segments.push({ offset, from, to: reader.at, at });
  }
  return segments;
};
