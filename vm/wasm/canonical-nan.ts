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

/**
 * Follows values from operations through locals to observers, body after body. A body costs what it does, not what it declares: a
 * few bytes can declare thousands of locals.
 */
export const createTracker = () => {
  let marked = new Uint8Array(1024);
  let observed = new Uint8Array(256);
  /** Lists of what was written to each local: `heads[local]` into `next` and `sources`. */
  let heads = new Int32Array(256).fill(-1);
  const next: number[] = [];
  const sources: Origin[] = [];
  const work: Origin[] = [];
  /** Locals that are observed or were written to in this body. */
  const touched: number[] = [];
  let operations = 0;

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
      touched.push(local);
      for (let edge = heads[local]!; edge >= 0; edge = next[edge]!) work.push(sources[edge]!);
    }
  };

  return {
    observe,
    /** Begins with another body; the origins of the one before are no longer true. */
    begin(count: number, locals: number): void {
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
      if (observed[local] === 1) {
        observe(origin);
        return;
      }
      if (heads[local] === -1) touched.push(local);
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

/** Writes what makes the result of `op`, on top of the stack, canonical: `x == x ? x : NaN` with a local to hold x. */
export const writeCanonical = (out: Writer, op: number, f32Local: number, f64Local: number): void => {
  const single = resultType(op) === F32;
  const local = single ? f32Local : f64Local;
  out.local(0x22, local);
  out.bytes(single ? CANONICAL_F32 : CANONICAL_F64);
  out.local(0x20, local);
  out.local(0x20, local);
  out.byte(single ? 0x5b : 0x61);
  out.byte(0x1b);
};
