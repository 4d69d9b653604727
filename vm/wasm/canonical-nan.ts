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
  readonly hasVector: boolean;
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
  let ops: Uint16Array = new Uint16Array(0);
  let count = 0;
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
    begin(code: Code, locals: number): void {
      ops = code.op;
      count = code.count;
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
      for (let i = 0; i < count; i++) if (marked[i] === 1) types.add(resultType(ops[i]!));
      return { marked, hasF32: types.has(F32), hasF64: types.has(F64), hasVector: types.has(V128) };
    },
  };
};
export type Tracker = ReturnType<typeof createTracker>;

/** What makes a value of each type canonical: the NaN, the test of the value, the choice between both. */
interface Canonical {
  readonly nan: Uint8Array;
  /** Of a scalar, from its bits; a vector is compared with itself. */
  readonly isNumber: Uint8Array;
  readonly choose: Uint8Array;
}
const SELECT = Uint8Array.of(0x1b);
const BITSELECT = Uint8Array.of(0xfd, 0x52);
const NAN_F32 = [0, 0, 0xc0, 0x7f];
const NAN_F64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
const V128_CONST = [0xfd, 0x0c];
/** `(bits << 1) <= infinity << 1`, unsigned: true of all but NaNs. */
const IS_NUMBER_F32 = Uint8Array.of(0xbc, 0x41, 1, 0x74, 0x41, 0x80, 0x80, 0x80, 0x78, 0x4d);
const IS_NUMBER_F64 = Uint8Array.of(0xbd, 0x42, 1, 0x86, 0x42, ...new Array<number>(7).fill(0x80), 0x70, 0x58);
const SCALARS = new Map<number, Canonical>([
  [F32, { nan: Uint8Array.of(0x43, ...NAN_F32), isNumber: IS_NUMBER_F32, choose: SELECT }],
  [F64, { nan: Uint8Array.of(0x44, ...NAN_F64), isNumber: IS_NUMBER_F64, choose: SELECT }],
]);
const VECTORS = new Map<number, Canonical>([
  [
    NAN.f32,
    {
      nan: Uint8Array.of(...V128_CONST, ...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32),
      isNumber: Uint8Array.of(0xfd, 0x41),
      choose: BITSELECT,
    },
  ],
  [
    NAN.f64,
    {
      nan: Uint8Array.of(...V128_CONST, ...NAN_F64, ...NAN_F64),
      isNumber: Uint8Array.of(0xfd, 0x47),
      choose: BITSELECT,
    },
  ],
]);

/** The locals that hold a value of each type while it is made canonical. */
export interface Scratch {
  readonly f32: number;
  readonly f64: number;
  readonly vector: number;
}

/**
 * Writes what makes the result of `op`, on top of the stack, canonical, with a local to hold it. A scalar's bits are tested as an
 * integer: comparing floats takes the units that compute, 1.5 times the time of a loop that stores much. Gives how many bytes
 * this is longer than what limits count, which is `x == x ? x : NaN`.
 */
export const writeCanonical = (out: Writer, op: number, scratch: Scratch): number => {
  const type = resultType(op);
  const isVector = type === V128;
  const local = type === F32 ? scratch.f32 : type === F64 ? scratch.f64 : scratch.vector;
  const { nan, isNumber, choose } = isVector ? VECTORS.get(kindOf(op))! : SCALARS.get(type)!;
  const from = out.length;
  out.local(0x22, local);
  const use = out.length - from;
  out.bytes(nan);
  out.local(0x20, local);
  if (isVector) out.local(0x20, local);
  out.bytes(isNumber);
  out.bytes(choose);
  return isVector ? 0 : isNumber.length - 1 - use;
};
