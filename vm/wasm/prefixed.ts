import { atomicOf, FIRST_ATOMIC } from "./atomics.ts";
import { FIRST_VECTOR, vectorOf } from "./vectors.ts";

/** An operation behind the prefix 0xfd or 0xfe: it takes operands and gives at most one result, and branches nowhere. */
export interface Prefixed {
  readonly params: readonly number[];
  /** Type of its result; undefined without one. */
  readonly result: number | undefined;
  /** What stands behind its number. */
  readonly immediate: "none" | "access" | "lane" | "access and lane" | "constant" | "shuffle" | "zero";
  /** Natural alignment of an access, as a power of two; `isExact` where no smaller one is allowed. */
  readonly alignment: number;
  readonly isExact: boolean;
  /** Lanes that its last byte may name. */
  readonly lanes: number;
  /** Kinds of NaN (canonical-nan.ts) whose bits it shows, of its operands; those it may make. */
  readonly observes: number;
  readonly makes: number;
  /** Its result has the bits of its first operand, where only floats of the right kind read them. */
  readonly passes: boolean;
}

/** Finds an operation behind a prefix by its number (opcodes.ts); undefined where `op` is none. */
export const prefixedOf = (op: number): Prefixed | undefined =>
  op < FIRST_VECTOR ? undefined : op < FIRST_ATOMIC ? vectorOf(op) : atomicOf(op);
