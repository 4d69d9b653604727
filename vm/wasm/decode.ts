import { FIRST_ATOMIC } from "./atomics.ts";
import type { Range, WasmModule } from "./module.ts";
import { accessAlignment, numericOf, OP, refusedFeature } from "./opcodes.ts";
import { type Prefixed, prefixedOf } from "./prefixed.ts";
import { Reader } from "./reader.ts";
import { FIRST_VECTOR } from "./vectors.ts";
import type { Features } from "./versions.ts";

/** The operations of one body, in parallel arrays that are reused from body to body. */
export interface Code {
  count: number;
  /** Operations (opcodes.ts). */
  op: Uint16Array;
  /** Where each starts in the module; `at[count]` is the end. */
  at: Uint32Array;
  /**
   * Its first number: index of a local, function, type, global or label, a block type (negative: a type's byte less
   * 128; -64: none), the number of targets of a br_table, the type of a typed select.
   */
  immediate: Int32Array;
}

/** Makes room for bodies; it grows with the largest one. */
export const createCode = (): Code => ({
  count: 0,
  op: new Uint16Array(1024),
  at: new Uint32Array(1025),
  immediate: new Int32Array(1024),
});

const grow = (code: Code): void => {
  const { op, at, immediate } = code;
  code.op = new Uint16Array(op.length * 2);
  code.op.set(op);
  code.at = new Uint32Array(op.length * 2 + 1);
  code.at.set(at);
  code.immediate = new Int32Array(op.length * 2);
  code.immediate.set(immediate);
};

const readAccess = (reader: Reader, natural: number, isExact: boolean): number => {
  const at = reader.at;
  const alignment = reader.u32();
  if (alignment > natural)
    reader.refuse(alignment >= 64 ? "several memories are not allowed" : "alignment is larger than natural", at);
  if (isExact && alignment < natural) reader.refuse("alignment of an atomic access is not natural", at);
  reader.u32();
  return alignment;
};

const readPrefixed = (reader: Reader, start: number): number => {
  const sub = reader.u32();
  if (sub > 0x0b) reader.refuse(refusedFeature(0xfc, sub), start);
  return 0x100 + sub;
};

const readLane = (reader: Reader, lanes: number): void => {
  if (reader.byte() >= lanes) reader.refuse(`invalid lane index, of ${lanes} lanes`, reader.at - 1);
};

const skipImmediate = (reader: Reader, { immediate, alignment, isExact, lanes }: Prefixed): void => {
  switch (immediate) {
    case "access":
    case "access and lane":
      readAccess(reader, alignment, isExact);
      if (immediate === "access and lane") readLane(reader, lanes);
      break;
    case "lane":
      readLane(reader, lanes);
      break;
    case "constant":
      reader.skip(16);
      break;
    case "shuffle":
      for (let left = 16; left > 0; left--) readLane(reader, 32);
      break;
    case "zero":
      zeroByte(reader, "malformed atomic.fence");
      break;
  }
};

/** Each prefix has as many numbers at most; relaxed vector operations come after them. */
const BEHIND_PREFIX = 0x100;

/** Reads a vector or atomic operation and what stands behind its number. */
const readFeature = (reader: Reader, prefix: number, features: Features, start: number): number => {
  if (!(prefix === 0xfd ? features.simd : features.atomics)) reader.refuse(refusedFeature(prefix), start);
  const sub = reader.u32();
  const op = sub >= BEHIND_PREFIX ? 0 : (prefix === 0xfd ? FIRST_VECTOR : FIRST_ATOMIC) + sub;
  const known = prefixedOf(op);
  if (!known) return reader.refuse(refusedFeature(prefix, sub), start);
  skipImmediate(reader, known);
  return op;
};

const zeroByte = (reader: Reader, what: string): void => {
  if (reader.byte() !== 0) reader.refuse(what, reader.at - 1);
};

/** Decodes the operations in a range of a module into `code`. Throws WasmRefused. Cost: linear in the bytes. */
export const decodeBody = (module: WasmModule, { from, to }: Range, functionIndex: number, code: Code): void => {
  const { limits } = module.rules;
  const reader = new Reader(module.bytes, from, to);
  reader.section = "code";
  reader.functionIndex = functionIndex;
  let depth = 1;
  let count = 0;
  while (depth > 0) {
    if (count === code.op.length) grow(code);
    const start = reader.at;
    let op = reader.byte();
    let immediate = 0;
    if (op >= OP.firstNumeric) {
      if (op === 0xfc) {
        op = readPrefixed(reader, start);
        if (op === OP.memoryInit) {
          immediate = reader.u32();
          zeroByte(reader, "several memories are not allowed");
        } else if (op === OP.dataDrop) immediate = reader.u32();
        else if (op === OP.memoryCopy) {
          zeroByte(reader, "several memories are not allowed");
          zeroByte(reader, "several memories are not allowed");
        } else if (op === OP.memoryFill) zeroByte(reader, "several memories are not allowed");
      } else if (op === 0xfd || op === 0xfe) op = readFeature(reader, op, module.rules.features, start);
      else if (!numericOf(op)) reader.refuse(refusedFeature(op), start);
    } else if (op >= OP.localGet && op <= OP.globalSet) immediate = reader.u32();
    else if (op >= OP.firstLoad && op <= OP.lastStore) immediate = readAccess(reader, accessAlignment(op), false);
    else
      switch (op) {
        case OP.block:
        case OP.loop:
        case OP.if:
          immediate = reader.s33();
          if (++depth > limits.nesting) reader.refuse(`nesting deeper than ${limits.nesting}`, start);
          break;
        case OP.end:
          depth--;
          break;
        case OP.br:
        case OP.brIf:
        case OP.call:
          immediate = reader.u32();
          break;
        case OP.brTable: {
          immediate = reader.count(limits.branchTargets, "branch targets");
          for (let left = immediate; left >= 0; left--) reader.u32();
          break;
        }
        case OP.callIndirect: {
          immediate = reader.u32();
          if (reader.u32() !== 0) reader.refuse("several tables are not allowed", start);
          break;
        }
        case OP.selectTyped: {
          if (reader.u32() !== 1) reader.refuse("malformed select", start);
          immediate = reader.byte();
          break;
        }
        case OP.i32Const:
          reader.s32();
          break;
        case OP.i64Const:
          reader.skipS64();
          break;
        case OP.f32Const:
          reader.skip(4);
          break;
        case OP.f64Const:
          reader.skip(8);
          break;
        case OP.memorySize:
        case OP.memoryGrow:
          zeroByte(reader, "several memories are not allowed");
          break;
        case OP.unreachable:
        case OP.nop:
        case OP.else:
        case OP.return:
        case OP.drop:
        case OP.select:
          break;
        default:
          reader.refuse(refusedFeature(op), start);
      }
    // A number that does not fit the array is beyond every index, and must not wrap to one that is known.
    if (immediate > 0x7fffffff) reader.refuse("unknown index", start);
    code.op[count] = op;
    code.at[count] = start;
    code.immediate[count] = immediate;
    count++;
  }
  if (reader.at !== to) reader.refuse("operations after the end of the function");
  code.count = count;
  code.at[count] = to;
};
