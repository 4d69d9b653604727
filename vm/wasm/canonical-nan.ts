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

/** Follows values from operations through locals to observers in one body. */
export const createTracker = ({ op: ops, count }: Code, locals: number) => {
  const marked = new Uint8Array(count);
  /** The kinds of NaN that some read of each local shows. */
  const observed = new Uint8Array(locals);
  /** Lists of what was written to each local: `heads[local]` into `next` and `sources`. */
  const heads = new Int32Array(locals).fill(-1);
  const next: number[] = [];
  const sources: Origin[] = [];
  const work: Origin[] = [];

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
      for (let edge = heads[local]!; edge >= 0; edge = next[edge]!) work.push(sources[edge]!);
    }
  };

  return {
    observe,
    /** Notes that a value was written to a local. */
    write(local: number, origin: Origin): void {
      if (origin === 0) return;
      observe(origin, observed[local]!);
      if (observed[local] === NAN.any) return;
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

/** What makes a value of each type canonical: the NaN, comparison of the value with itself, choice between both. */
interface Canonical {
  readonly nan: Uint8Array;
  readonly equal: Uint8Array;
  readonly choose: Uint8Array;
  /** Takes the value once and tests its bits: `(bits << 1) <= infinity << 1`, unsigned, is true of all but NaNs. */
  readonly bits?: Uint8Array;
}
const SELECT = Uint8Array.of(0x1b);
const BITSELECT = Uint8Array.of(0xfd, 0x52);
const NAN_F32 = [0, 0, 0xc0, 0x7f];
const NAN_F64 = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f];
const V128_CONST = [0xfd, 0x0c];
const BITS_F32 = Uint8Array.of(0xbc, 0x41, 1, 0x74, 0x41, 0x80, 0x80, 0x80, 0x78, 0x4d);
const BITS_F64 = Uint8Array.of(0xbd, 0x42, 1, 0x86, 0x42, ...new Array<number>(7).fill(0x80), 0x70, 0x58);
const SCALARS = new Map<number, Canonical>([
  [F32, { nan: Uint8Array.of(0x43, ...NAN_F32), equal: Uint8Array.of(0x5b), choose: SELECT, bits: BITS_F32 }],
  [F64, { nan: Uint8Array.of(0x44, ...NAN_F64), equal: Uint8Array.of(0x61), choose: SELECT, bits: BITS_F64 }],
]);
const VECTORS = new Map<number, Canonical>([
  [
    NAN.f32,
    {
      nan: Uint8Array.of(...V128_CONST, ...NAN_F32, ...NAN_F32, ...NAN_F32, ...NAN_F32),
      equal: Uint8Array.of(0xfd, 0x41),
      choose: BITSELECT,
    },
  ],
  [
    NAN.f64,
    {
      nan: Uint8Array.of(...V128_CONST, ...NAN_F64, ...NAN_F64),
      equal: Uint8Array.of(0xfd, 0x47),
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

/** Tells whether what uses the result of a scalar operation waits long for it: division, square root. */
export const takesLong = (op: number): boolean => op === 0x91 || op === 0x95 || op === 0x9f || op === 0xa3;

/**
 * Writes what makes the result of `op`, on top of the stack, canonical, with a local to hold it: `x == x ? x : NaN`. Where much waits
 * for a division or a root, the bits of a scalar are tested: a comparison would wait in the processor's queue of float
 * operations, which then is full (docs/vm.md). Gives how many bytes longer than the comparison that is: limits do not count them.
 */
export const writeCanonical = (out: Writer, op: number, scratch: Scratch, waitsLong: boolean): number => {
  const type = resultType(op);
  const local = type === F32 ? scratch.f32 : type === F64 ? scratch.f64 : scratch.vector;
  const { nan, equal, choose, bits } = type === V128 ? VECTORS.get(kindOf(op))! : SCALARS.get(type)!;
  const test = waitsLong ? bits : undefined;
  const from = out.length;
  out.local(0x22, local);
  const use = out.length - from;
  out.bytes(nan);
  out.local(0x20, local);
  if (!test) out.local(0x20, local);
  out.bytes(test ?? equal);
  out.bytes(choose);
  return test ? test.length - use - equal.length : 0;
};
