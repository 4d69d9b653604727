/** Value types as the binary format writes them. */
export const I32 = 0x7f;
export const I64 = 0x7e;
export const F32 = 0x7d;
export const F64 = 0x7c;
export const V128 = 0x7b;

/** Operations by number; those behind the prefix 0xfc are 0x100 + their number, 0xfd 0x200, 0xfe 0x300 (prefixed.ts). */
export const OP = {
  unreachable: 0x00,
  nop: 0x01,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
  select: 0x1b,
  selectTyped: 0x1c,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  firstLoad: 0x28,
  firstStore: 0x36,
  lastStore: 0x3e,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  firstNumeric: 0x45,
  lastNumeric: 0xc4,
  truncSatFirst: 0x100,
  truncSatLast: 0x107,
  memoryInit: 0x108,
  dataDrop: 0x109,
  memoryCopy: 0x10a,
  memoryFill: 0x10b,
} as const;

/** The number of v128.const behind 0xfd: the one vector operation that a constant expression may have. */
export const V128_CONST = 0x0c;

const CODES: Record<string, number> = { i: I32, I: I64, f: F32, d: F64 };

/** A numeric operation: what it takes (one or two of a type) and gives. */
export interface Numeric {
  readonly operand: number;
  readonly operands: 1 | 2;
  readonly result: number;
}

const NUMERIC: (Numeric | undefined)[] = [];
const define = (first: number, count: number, signature: string): void => {
  const [operands, result] = signature.split(">") as [string, string];
  for (let op = first; op < first + count; op++)
    NUMERIC[op] = {
      operand: CODES[operands[0]!]!,
      operands: operands.length as 1 | 2,
      result: CODES[result]!,
    };
};
define(0x45, 1, "i>i"); // i32.eqz
define(0x46, 10, "ii>i"); // comparisons
define(0x50, 1, "I>i");
define(0x51, 10, "II>i");
define(0x5b, 6, "ff>i");
define(0x61, 6, "dd>i");
define(0x67, 3, "i>i"); // clz ctz popcnt
define(0x6a, 15, "ii>i"); // add sub mul div rem and or xor shl shr rotl rotr
define(0x79, 3, "I>I");
define(0x7c, 15, "II>I");
define(0x8b, 7, "f>f"); // abs neg ceil floor trunc nearest sqrt
define(0x92, 7, "ff>f"); // add sub mul div min max copysign
define(0x99, 7, "d>d");
define(0xa0, 7, "dd>d");
define(0xa7, 1, "I>i"); // wrap
define(0xa8, 2, "f>i"); // trunc
define(0xaa, 2, "d>i");
define(0xac, 2, "i>I"); // extend
define(0xae, 2, "f>I");
define(0xb0, 2, "d>I");
define(0xb2, 2, "i>f"); // convert
define(0xb4, 2, "I>f");
define(0xb6, 1, "d>f"); // demote
define(0xb7, 2, "i>d");
define(0xb9, 2, "I>d");
define(0xbb, 1, "f>d"); // promote
define(0xbc, 1, "f>i"); // reinterpret
define(0xbd, 1, "d>I");
define(0xbe, 1, "i>f");
define(0xbf, 1, "I>d");
define(0xc0, 2, "i>i"); // sign extension
define(0xc2, 3, "I>I");
define(0x100, 2, "f>i"); // saturating conversions
define(0x102, 2, "d>i");
define(0x104, 2, "f>I");
define(0x106, 2, "d>I");

/** Finds a numeric operation; undefined where `op` is none. */
export const numericOf = (op: number): Numeric | undefined => NUMERIC[op];

/** Type and natural alignment (as a power of two) of loads 0x28… and stores 0x36…. */
const ACCESS: readonly (readonly [number, number])[] = [
  [I32, 2],
  [I64, 3],
  [F32, 2],
  [F64, 3],
  [I32, 0],
  [I32, 0],
  [I32, 1],
  [I32, 1],
  [I64, 0],
  [I64, 0],
  [I64, 1],
  [I64, 1],
  [I64, 2],
  [I64, 2],
  [I32, 2],
  [I64, 3],
  [F32, 2],
  [F64, 3],
  [I32, 0],
  [I32, 1],
  [I64, 0],
  [I64, 1],
  [I64, 2],
];
export const accessType = (op: number): number => ACCESS[op - OP.firstLoad]![0];
export const accessAlignment = (op: number): number => ACCESS[op - OP.firstLoad]![1];

/** Names what an operation that is refused belongs to, for the reason given to the user. */
export const refusedFeature = (op: number, sub?: number): string => {
  if (op === 0xfd && sub === undefined) return "SIMD is not allowed";
  if (op === 0xfd && sub! >= 0x100 && sub! <= 0x12f) return "relaxed SIMD is not allowed";
  if (op === 0xfe && sub === undefined) return "threads are not allowed";
  if (op === 0xfb) return "garbage collection is not allowed";
  if (op === 0x12 || op === 0x13 || op === 0x15) return "tail calls are not allowed";
  if ((op >= 0x06 && op <= 0x0a) || op === 0x18 || op === 0x19 || op === 0x1f) return "exceptions are not allowed";
  if (op === 0x25 || op === 0x26) return "table.get and table.set are not allowed";
  if (op >= 0xd0 && op <= 0xd6) return "reference values are not allowed";
  if (op === 0xfc && sub !== undefined && sub >= 0x0c && sub <= 0x11) return "table operations are not allowed";
  return `unknown operation 0x${op.toString(16)}${sub === undefined ? "" : ` ${sub}`}`;
};
