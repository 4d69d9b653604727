import { NAN } from "./nan-kinds.ts";
import { I32, I64 } from "./opcodes.ts";
import type { Prefixed } from "./prefixed.ts";

/** Operations behind the prefix 0xfe are this and their number. */
export const FIRST_ATOMIC = 0x300;

const ATOMICS: (Prefixed | undefined)[] = [];
const define = (number: number, params: readonly number[], result: number | undefined, alignment: number): void => {
  ATOMICS[number] = {
    params,
    result,
    immediate: "access",
    alignment,
    isExact: true,
    lanes: 0,
    observes: NAN.none,
    makes: NAN.none,
    passes: false,
  };
};

/** Type and alignment of each width, in the order in which every group of accesses has them. */
const WIDTHS: readonly (readonly [number, number])[] = [
  [I32, 2],
  [I64, 3],
  [I32, 0],
  [I32, 1],
  [I64, 0],
  [I64, 1],
  [I64, 2],
];
define(0x00, [I32, I32], I32, 2); // notify
define(0x01, [I32, I32, I64], I32, 2); // wait
define(0x02, [I32, I64, I64], I32, 3);
define(0x03, [], undefined, 0); // fence
ATOMICS[0x03] = { ...ATOMICS[0x03]!, immediate: "zero" };
for (const [i, [type, alignment]] of WIDTHS.entries()) {
  define(0x10 + i, [I32], type, alignment);
  define(0x17 + i, [I32, type], undefined, alignment);
  for (const change of [0x1e, 0x25, 0x2c, 0x33, 0x3a, 0x41]) define(change + i, [I32, type], type, alignment);
  define(0x48 + i, [I32, type, type], type, alignment); // cmpxchg
}

/** Finds an atomic operation; undefined where `op` is none. */
export const atomicOf = (op: number): Prefixed | undefined => ATOMICS[op - FIRST_ATOMIC];
