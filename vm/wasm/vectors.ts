import { NAN } from "./nan-kinds.ts";
import { F32, F64, I32, I64, V128 } from "./opcodes.ts";
import type { Prefixed } from "./prefixed.ts";

/** Operations behind the prefix 0xfd are this and their number. */
export const FIRST_VECTOR = 0x200;

const CODES: Readonly<Record<string, number>> = { i: I32, I: I64, f: F32, d: F64, v: V128 };
const VECTORS: (Prefixed | undefined)[] = [];

/** Defines operations in a row: operands and result as letters; what `more` leaves out, they do not have. */
const define = (first: number, count: number, signature: string, more: Partial<Prefixed> = {}): void => {
  const [params, result] = signature.split(">") as [string, string];
  for (let number = first; number < first + count; number++)
    VECTORS[number] = {
      params: [...params].map((letter) => CODES[letter]!),
      result: CODES[result],
      immediate: "none",
      alignment: 0,
      isExact: false,
      lanes: 0,
      observes: NAN.any,
      makes: NAN.none,
      passes: false,
      ...more,
    };
};
const load = (number: number, alignment: number): void => define(number, 1, "i>v", { immediate: "access", alignment });
/** A lane's bits are shown but where a float of its own kind is taken out or put in everywhere. */
const lane = (number: number, lanes: number, signature: string, more: Partial<Prefixed> = {}): void =>
  define(number, 1, signature, { immediate: "lane", lanes, ...more });
/** Of vectors of 32-bit floats an operation shows only what a 64-bit one left there, and the other way round. */
const singles = (first: number, count: number, signature: string, makes: number = NAN.none): void =>
  define(first, count, signature, { observes: NAN.f64, makes });
const doubles = (first: number, count: number, signature: string, makes: number = NAN.none): void =>
  define(first, count, signature, { observes: NAN.f32, makes });

load(0x00, 4);
for (let number = 0x01; number <= 0x06; number++) load(number, 3); // loads that extend
for (const alignment of [0, 1, 2, 3]) load(0x07 + alignment, alignment); // splats
define(0x0b, 1, "iv>", { immediate: "access", alignment: 4 });
define(0x0c, 1, ">v", { immediate: "constant" });
define(0x0d, 1, "vv>v", { immediate: "shuffle" });
define(0x0e, 1, "vv>v"); // swizzle
define(0x0f, 3, "i>v"); // splats
define(0x12, 1, "I>v");
define(0x13, 1, "f>v", { observes: NAN.none, passes: true });
define(0x14, 1, "d>v", { observes: NAN.none, passes: true });
lane(0x15, 16, "v>i");
lane(0x16, 16, "v>i");
lane(0x17, 16, "vi>v");
lane(0x18, 8, "v>i");
lane(0x19, 8, "v>i");
lane(0x1a, 8, "vi>v");
lane(0x1b, 4, "v>i");
lane(0x1c, 4, "vi>v");
lane(0x1d, 2, "v>I");
lane(0x1e, 2, "vI>v");
lane(0x1f, 4, "v>f", { observes: NAN.f64, passes: true });
lane(0x20, 4, "vf>v");
lane(0x21, 2, "v>d", { observes: NAN.f32, passes: true });
lane(0x22, 2, "vd>v");
define(0x23, 30, "vv>v"); // comparisons of integers
singles(0x41, 6, "vv>v");
doubles(0x47, 6, "vv>v");
define(0x4d, 1, "v>v"); // not
define(0x4e, 4, "vv>v"); // and andnot or xor
define(0x52, 1, "vvv>v"); // bitselect
define(0x53, 1, "v>i"); // any_true
for (const alignment of [0, 1, 2, 3]) {
  const access = { immediate: "access and lane", alignment, lanes: 16 >> alignment } as const;
  define(0x54 + alignment, 1, "iv>v", access); // loads of a lane
  define(0x58 + alignment, 1, "iv>", access); // stores of a lane
}
load(0x5c, 2); // load32_zero
load(0x5d, 3); // load64_zero
doubles(0x5e, 1, "v>v", NAN.f32); // demote
singles(0x5f, 1, "v>v", NAN.f64); // promote
/** abs, neg, popcnt, all_true and bitmask, narrowing, extension, shifts, arithmetic of each shape of integers. */
define(0x60, 3, "v>v");
define(0x63, 2, "v>i");
define(0x65, 2, "vv>v");
singles(0x67, 4, "v>v", NAN.f32); // rounding
define(0x6b, 3, "vi>v");
define(0x6e, 6, "vv>v");
doubles(0x74, 2, "v>v", NAN.f64); // ceil floor
define(0x76, 4, "vv>v");
doubles(0x7a, 1, "v>v", NAN.f64); // trunc
define(0x7b, 1, "vv>v");
define(0x7c, 4, "v>v"); // extadd_pairwise
define(0x80, 2, "v>v");
define(0x82, 1, "vv>v"); // q15mulr_sat_s
define(0x83, 2, "v>i");
define(0x85, 2, "vv>v");
define(0x87, 4, "v>v");
define(0x8b, 3, "vi>v");
define(0x8e, 6, "vv>v");
doubles(0x94, 1, "v>v", NAN.f64); // nearest
define(0x95, 5, "vv>v");
define(0x9b, 5, "vv>v");
define(0xa0, 2, "v>v");
define(0xa3, 2, "v>i");
define(0xa7, 4, "v>v");
define(0xab, 3, "vi>v");
define(0xae, 1, "vv>v");
define(0xb1, 1, "vv>v");
define(0xb5, 6, "vv>v");
define(0xbc, 4, "vv>v");
define(0xc0, 2, "v>v");
define(0xc3, 2, "v>i");
define(0xc7, 4, "v>v");
define(0xcb, 3, "vi>v");
define(0xce, 1, "vv>v");
define(0xd1, 1, "vv>v");
define(0xd5, 11, "vv>v");
define(0xe0, 2, "v>v"); // abs and neg show bits, as those of scalars do
singles(0xe3, 1, "v>v", NAN.f32); // sqrt
singles(0xe4, 6, "vv>v", NAN.f32); // add sub mul div min max
define(0xea, 2, "vv>v"); // pmin pmax choose by a comparison
define(0xec, 2, "v>v");
doubles(0xef, 1, "v>v", NAN.f64);
doubles(0xf0, 6, "vv>v", NAN.f64);
define(0xf6, 2, "vv>v");
singles(0xf8, 2, "v>v"); // trunc_sat
define(0xfa, 2, "v>v"); // convert
doubles(0xfc, 2, "v>v");
define(0xfe, 2, "v>v");

/** Finds a vector operation; undefined where `op` is none. */
export const vectorOf = (op: number): Prefixed | undefined => VECTORS[op - FIRST_VECTOR];
