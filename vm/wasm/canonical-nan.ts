import { F32, F64 } from "./opcodes.ts";
import type { Writer } from "./writer.ts";

/**
 * NaN bits differ between tiers of one engine, so results of float operations are made the canonical NaN, but only
 * where the value itself can reach an observer (spec section 11; the deterministic profile of WebAssembly): a store,
 * reinterpret, the operands of abs, neg and copysign, an argument, a result, select, a branch, a global. Arithmetic
 * is no observer, for it makes a fresh NaN. A local observes if any read of it does, wherever it was written.
 */
export interface Origins {
  /** Marks, by number of the operation in its body, of the operations whose result must be made canonical. */
  readonly marked: Uint8Array;
  readonly hasF32: boolean;
  readonly hasF64: boolean;
}

/** Where a value on the operand stack comes from: 0 nowhere that matters, n > 0 operation n - 1, n < 0 local -n - 1. */
export type Origin = number;

/** Tells whether an operation may make a NaN whose bits are not defined. */
export const makesNan = (op: number): boolean =>
  (op >= 0x8d && op <= 0x97) || (op >= 0x9b && op <= 0xa5) || op === 0xb6 || op === 0xbb;

/** Tells whether a numeric operation shows the bits of its operands: abs, neg, copysign, reinterpret. */
export const observesOperands = (op: number): boolean =>
  op === 0x8b || op === 0x8c || op === 0x98 || op === 0x99 || op === 0x9a || op === 0xa6 || op === 0xbc || op === 0xbd;

const resultType = (op: number): number => ((op >= 0x8d && op <= 0x97) || op === 0xb6 ? F32 : F64);

/** Follows values from operations through locals to observers in one body. */
export const createTracker = (operations: number, locals: number) => {
  const marked = new Uint8Array(operations);
  const observed = new Uint8Array(locals);
  /** Lists of what was written to each local: `heads[local]` into `next` and `sources`. */
  const heads = new Int32Array(locals).fill(-1);
  const next: number[] = [];
  const sources: Origin[] = [];
  const work: Origin[] = [];

  const observe = (origin: Origin): void => {
    if (origin === 0) return;
    work.push(origin);
    while (work.length > 0) {
      const one = work.pop()!;
      if (one > 0) {
        marked[one - 1] = 1;
        continue;
      }
      const local = -one - 1;
      if (observed[local] === 1) continue;
      observed[local] = 1;
      for (let edge = heads[local]!; edge >= 0; edge = next[edge]!) work.push(sources[edge]!);
    }
  };

  return {
    observe,
    /** Notes that a value was written to a local. */
    write(local: number, origin: Origin): void {
      if (origin === 0) return;
      if (observed[local] === 1) {
        observe(origin);
        return;
      }
      next.push(heads[local]!);
      sources.push(origin);
      heads[local] = sources.length - 1;
    },
    /** Gives the marks once the whole body was followed. */
    finish(ops: Uint16Array): Origins {
      let hasF32 = false;
      let hasF64 = false;
      for (let i = 0; i < operations; i++) {
        if (marked[i] === 0) continue;
        if (resultType(ops[i]!) === F32) hasF32 = true;
        else hasF64 = true;
      }
      return { marked, hasF32, hasF64 };
    },
  };
};
export type Tracker = ReturnType<typeof createTracker>;

const CANONICAL_F32 = Uint8Array.of(0x43, 0x00, 0x00, 0xc0, 0x7f);
const CANONICAL_F64 = Uint8Array.of(0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f);
/** `(bits << 1) <= infinity << 1`, unsigned: true of all but NaNs. */
const IS_NUMBER_F32 = Uint8Array.of(0xbc, 0x41, 1, 0x74, 0x41, 0x80, 0x80, 0x80, 0x78, 0x4d);
const IS_NUMBER_F64 = Uint8Array.of(0xbd, 0x42, 1, 0x86, 0x42, ...new Array<number>(7).fill(0x80), 0x70, 0x58);
/** Bytes that limits count for one value beside the three uses of its local: those of `x == x ? x : NaN`. */
const COUNTED_F32 = CANONICAL_F32.length + 2;
const COUNTED_F64 = CANONICAL_F64.length + 2;

/**
 * Writes what makes the result of `op`, on top of the stack, canonical, with a local to hold it. Its bits are tested as an integer:
 * comparing floats takes the units that compute, 1.5 times the time of a loop that stores much. Gives how many bytes
 * this is longer than what limits count.
 */
export const writeCanonical = (out: Writer, op: number, f32Local: number, f64Local: number): number => {
  const single = resultType(op) === F32;
  const local = single ? f32Local : f64Local;
  const from = out.length;
  out.local(0x22, local);
  const use = out.length - from;
  out.bytes(single ? CANONICAL_F32 : CANONICAL_F64);
  out.local(0x20, local);
  out.bytes(single ? IS_NUMBER_F32 : IS_NUMBER_F64);
  out.byte(0x1b);
  return out.length - from - 3 * use - (single ? COUNTED_F32 : COUNTED_F64);
};
