import type { Code } from "./decode.ts";
import { NAN } from "./nan-kinds.ts";
import { F32, F64, V128 } from "./opcodes.ts";
import { prefixedOf } from "./prefixed.ts";
import type { Writer } from "./writer.ts";

/**
 * NaN bits differ between tiers of one engine, so results of float operations are made the canonical NaN, but only
 * where the value itself can reach an observer (spec section 11; the deterministic profile of WebAssembly): a store,
 * reinterpret, the operands of abs, neg and copysign, an argument, a result, select, a branch, a global. Arithmetic
 * is no observer, for it makes a fresh NaN. A local observes if any read of it does, wherever it was written.
 * A vector has no type: what reads its lanes as integers observes them, and what reads them as floats observes those of the other
 * width; a lane that is taken out or put everywhere is followed.
 */
export interface Origins {
  /** Marks, by number of the operation in its body, of the operations whose result must be made canonical. */
  readonly marked: Uint8Array;
  readonly hasF32: boolean;
  readonly hasF64: boolean;
  /** Kinds of vectors whose result must be made canonical (nan-kinds.ts). */
  readonly vectors: number;
}

/** Where a value on the operand stack comes from: 0 nowhere that matters, n > 0 operation n - 1, n < 0 local -n - 1. */
export type Origin = number;

/** Tells whether an operation may make a NaN whose bits are not defined. */
export const makesNan = (op: number): boolean =>
  (op >= 0x8d && op <= 0x97) || (op >= 0x9b && op <= 0xa5) || op === 0xb6 || op === 0xbb;

/** Tells whether a numeric operation shows the bits of its operands: abs, neg, copysign, reinterpret. */
export const observesOperands = (op: number): boolean =>
  op === 0x8b || op === 0x8c || op === 0x98 || op === 0x99 || op === 0x9a || op === 0xa6 || op === 0xbc || op === 0xbd;

const resultType = (op: number): number =>
  prefixedOf(op) ? V128 : (op >= 0x8d && op <= 0x97) || op === 0xb6 ? F32 : F64;

/** The kind of NaN that an operation may make. */
const kindOf = (op: number): number => prefixedOf(op)?.makes ?? (resultType(op) === F32 ? NAN.f32 : NAN.f64);

/**
 * Follows values from operations through locals to observers, body after body. A body costs what it does, not what it declares: a
 * few bytes can declare thousands of locals.
 */
export const createTracker = () => {
  let ops: Code["op"] = new Uint16Array(0);
  let marked = new Uint8Array(1024);
  /** The kinds of NaN that some read of each local shows. */
  let observed = new Uint8Array(256);
  /** Lists of what was written to each local: `heads[local]` into `next` and `sources`. */
  let heads = new Int32Array(256).fill(-1);
  const next: number[] = [];
  const sources: Origin[] = [];
  const work: Origin[] = [];
  /** Locals that are observed or were written to in this body. */
  const touched: number[] = [];
  let operations = 0;

  const observe = (origin: Origin, kinds: number = NAN.any): void => {
    if (origin === 0 || kinds === NAN.none) return;
    work.push(origin);
    while (work.length > 0) {
      const one = work.pop()!;
      if (one > 0) {
        if ((kindOf(ops[one - 1]!) & kinds) !== 0) marked[one - 1] = 1;
        continue;
      }
      const local = -one - 1;
      if ((observed[local]! & kinds) === kinds) continue;
      observed[local]! |= kinds;
      touched.push(local);
      for (let edge = heads[local]!; edge >= 0; edge = next[edge]!) work.push(sources[edge]!);
    }
  };

  return {
    observe,
    /** Begins with another body; the origins of the one before are no longer true. */
    begin({ op, count }: Code, locals: number): void {
      ops = op;
      operations = count;
      if (count > marked.length) marked = new Uint8Array(2 * count);
      else marked.fill(0, 0, count);
      for (const local of touched) {
        observed[local] = 0;
        heads[local] = -1;
      }
      for (const list of [touched, next, sources]) list.length = 0;
      if (locals <= heads.length) return;
      observed = new Uint8Array(2 * locals);
      heads = new Int32Array(2 * locals).fill(-1);
    },
    /** Notes that a value was written to a local. */
    write(local: number, origin: Origin): void {
      if (origin === 0) return;
      observe(origin, observed[local]!);
      if (observed[local] === NAN.any) return;
      if (heads[local] === -1) touched.push(local);
      next.push(heads[local]!);
      sources.push(origin);
      heads[local] = sources.length - 1;
    },
    /** Gives the marks once the whole body was followed. */
    finish(): Origins {
      const types = new Set<number>();
      let vectors: number = NAN.none;
      for (let i = 0; i < operations; i++) {
        if (marked[i] === 0) continue;
        const type = resultType(ops[i]!);
        types.add(type);
        if (type === V128) vectors |= kindOf(ops[i]!);
      }
      return { marked, hasF32: types.has(F32), hasF64: types.has(F64), vectors };
    },
  };
};
export type Tracker = ReturnType<typeof createTracker>;

const NAN_F32 = [0, 0, 0xc0, 0x7f];
const NAN_F64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
const CANONICAL_F32 = Uint8Array.of(0x43, ...NAN_F32);
const CANONICAL_F64 = Uint8Array.of(0x44, ...NAN_F64);
const CANONICAL_F32X4 = Uint8Array.of(0xfd, 0x0c, ...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32);
const F32X4_EQ = Uint8Array.of(0xfd, 0x41);
const F64X2_EQ = Uint8Array.of(0xfd, 0x47);
const BITSELECT = Uint8Array.of(0xfd, 0x52);
const CANONICAL_F64X2 = Uint8Array.of(0xfd, 0x0c, ...NAN_F64, ...NAN_F64);
const F32_EQ = 0x5b;
const F64_EQ = 0x61;
/** Tests the bits of a value: `(bits << 1) <= infinity << 1`, unsigned, is true of all but NaNs. */
const IS_NUMBER_F32 = Uint8Array.of(0xbc, 0x41, 1, 0x74, 0x41, 0x80, 0x80, 0x80, 0x78, 0x4d);
const IS_NUMBER_F64 = Uint8Array.of(0xbd, 0x42, 1, 0x86, 0x42, ...new Array<number>(7).fill(0x80), 0x70, 0x58);

/** Locals that the rewriter adds: they hold a value of each type while it is made canonical, and the NaNs of vectors. */
export interface Scratch {
  readonly f32: number;
  readonly f64: number;
  readonly vector: number;
  readonly nanF32x4: number;
  readonly nanF64x2: number;
}

/** Declares the locals that a body's marks need. */
export const declareScratch = ({ hasF32, hasF64, vectors }: Origins, declare: (type: number) => number): Scratch => {
  const declareIf = (needed: boolean, type: number): number => (needed ? declare(type) : 0);
  return {
    f32: declareIf(hasF32, F32),
    f64: declareIf(hasF64, F64),
    vector: declareIf(vectors !== NAN.none, V128),
    nanF32x4: declareIf((vectors & NAN.f32) !== 0, V128),
    nanF64x2: declareIf((vectors & NAN.f64) !== 0, V128),
  };
};

/** Writes what a body does first: NaNs of vectors go to locals, for V8 makes a constant anew wherever it stands. */
export const writeNans = (out: Writer, { vectors }: Origins, { nanF32x4, nanF64x2 }: Scratch): void => {
  if ((vectors & NAN.f32) !== 0) {
    out.bytes(CANONICAL_F32X4);
    out.local(0x21, nanF32x4);
  }
  if ((vectors & NAN.f64) !== 0) {
    out.bytes(CANONICAL_F64X2);
    out.local(0x21, nanF64x2);
  }
};

/** Tells whether what uses the result of a scalar operation waits long for it: division, square root. */
export const takesLong = (op: number): boolean => op === 0x91 || op === 0x95 || op === 0x9f || op === 0xa3;

/**
 * Writes what makes the result of `op`, on top of the stack, canonical, with a local to hold it: `x == x ? x : NaN`. Where much waits
 * for a division or a root, the bits of a scalar are tested, which takes less time there and more elsewhere (docs/vm.md). Gives how many bytes longer than the comparison that is: limits do not count them.
 */
export const writeCanonical = (out: Writer, op: number, scratch: Scratch, waitsLong: boolean): number => {
  const type = resultType(op);
  if (type === V128) {
    const isSingle = kindOf(op) === NAN.f32;
    out.local(0x22, scratch.vector);
    out.local(0x20, isSingle ? scratch.nanF32x4 : scratch.nanF64x2);
    out.local(0x20, scratch.vector);
    out.local(0x20, scratch.vector);
    out.bytes(isSingle ? F32X4_EQ : F64X2_EQ);
    out.bytes(BITSELECT);
    return 0;
  }
  const single = type === F32;
  const local = single ? scratch.f32 : scratch.f64;
  const from = out.length;
  out.local(0x22, local);
  const use = out.length - from;
  out.bytes(single ? CANONICAL_F32 : CANONICAL_F64);
  out.local(0x20, local);
  const isNumber = single ? IS_NUMBER_F32 : IS_NUMBER_F64;
  if (waitsLong) out.bytes(isNumber);
  else {
    out.local(0x20, local);
    out.byte(single ? F32_EQ : F64_EQ);
  }
  out.byte(0x1b);
  return waitsLong ? isNumber.length - use - 1 : 0;
};
