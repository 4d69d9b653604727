/** Makes valid programs from a tape of numbers, as text: floats with NaNs, traps, memory, calls of every kind. */
type Type = "i32" | "i64" | "f32" | "f64" | "v128";
const TYPES: readonly Type[] = ["i32", "i64", "f32", "f64", "v128"];
const FUNCTIONS = 4;
/** What the assembler must know to read a program. */
export const FEATURES = {
  bulk_memory: true,
  multi_value: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
} as const;

const BINARY: Readonly<Record<Type, readonly string[]>> = {
  i32: "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s rotl lt_s gt_u".split(" "),
  i64: "add sub mul div_s div_u rem_s rem_u and or xor shl shr_u rotr".split(" "),
  f32: "add sub mul div min max copysign".split(" "),
  f64: "add sub mul div min max copysign".split(" "),
  v128: [
    ...["add", "sub", "mul", "div", "min", "max", "pmin", "pmax", "lt", "eq"].flatMap((op) => [
      `f32x4.${op}`,
      `f64x2.${op}`,
    ]),
    ..."i8x16.add i8x16.sub_sat_u i8x16.avgr_u i8x16.swizzle i8x16.narrow_i16x8_s i8x16.lt_s".split(" "),
    ..."i16x8.mul i16x8.q15mulr_sat_s i16x8.extmul_high_i8x16_u i16x8.max_u i16x8.narrow_i32x4_u".split(" "),
    ..."i32x4.add i32x4.mul i32x4.dot_i16x8_s i32x4.min_s i32x4.ge_u i64x2.mul i64x2.sub i64x2.gt_s".split(" "),
    ..."v128.and v128.andnot v128.xor i64x2.extmul_low_i32x4_s".split(" "),
    "i8x16.shuffle 0 17 2 3 4 21 6 7 8 25 10 27 12 13 30 31",
    "i8x16.shuffle 4 5 6 7 0 1 2 3 28 29 30 31 24 25 26 27",
  ],
};
const UNARY: Readonly<Record<Type, readonly string[]>> = {
  i32: "clz ctz popcnt eqz extend8_s".split(" "),
  i64: "clz ctz popcnt extend32_s".split(" "),
  f32: "abs neg ceil floor trunc nearest sqrt".split(" "),
  f64: "abs neg ceil floor trunc nearest sqrt".split(" "),
  v128: [
    ...["abs", "neg", "ceil", "floor", "trunc", "nearest", "sqrt"].flatMap((op) => [`f32x4.${op}`, `f64x2.${op}`]),
    ..."f32x4.demote_f64x2_zero f64x2.promote_low_f32x4 i32x4.trunc_sat_f32x4_s i32x4.trunc_sat_f64x2_u_zero".split(
      " ",
    ),
    ..."f32x4.convert_i32x4_u f64x2.convert_low_i32x4_s v128.not i8x16.popcnt i16x8.neg i64x2.abs".split(" "),
    ..."i32x4.extend_high_i16x8_s i16x8.extadd_pairwise_i8x16_u".split(" "),
  ],
};
/** Operations from another type, and that type. */
const FROM: Readonly<Record<Type, readonly (readonly [string, Type])[]>> = {
  i32: [
    ["wrap_i64", "i64"],
    ["trunc_sat_f64_s", "f64"],
    ["trunc_f32_u", "f32"],
    ["reinterpret_f32", "f32"],
    ["i8x16.extract_lane_s 3", "v128"],
    ["i32x4.extract_lane 2", "v128"],
    ["i16x8.bitmask", "v128"],
    ["v128.any_true", "v128"],
  ],
  i64: [
    ["extend_i32_s", "i32"],
    ["trunc_sat_f32_u", "f32"],
    ["trunc_f64_s", "f64"],
    ["reinterpret_f64", "f64"],
    ["i64x2.extract_lane 1", "v128"],
  ],
  f32: [
    ["convert_i32_s", "i32"],
    ["convert_i64_u", "i64"],
    ["demote_f64", "f64"],
    ["reinterpret_i32", "i32"],
    ["f32x4.extract_lane 1", "v128"],
    ["f32x4.extract_lane 3", "v128"],
  ],
  f64: [
    ["convert_i32_u", "i32"],
    ["convert_i64_s", "i64"],
    ["promote_f32", "f32"],
    ["reinterpret_i64", "i64"],
    ["f64x2.extract_lane 0", "v128"],
  ],
  v128: [
    ["i8x16.splat", "i32"],
    ["i64x2.splat", "i64"],
    ["f32x4.splat", "f32"],
    ["f64x2.splat", "f64"],
  ],
};
/** Operations on a vector and something else. */
const MIXED: readonly (readonly [string, Type])[] = [
  ["f32x4.replace_lane 2", "f32"],
  ["f64x2.replace_lane 1", "f64"],
  ["i16x8.replace_lane 7", "i32"],
  ["i32x4.shl", "i32"],
  ["i64x2.shr_s", "i32"],
];
const LOADS = "v128.load v128.load16x4_u v128.load32_splat v128.load64_splat v128.load32_zero v128.load64_zero".split(
  " ",
);
const CONSTANTS: Readonly<Record<Type, readonly string[]>> = {
  i32: ["0", "1", "-1", "2147483647", "-2147483648", "65535", "12345"],
  i64: ["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "0x7ff8000000000001"],
  f32: ["0", "-0", "1.5", "nan", "-nan", "nan:0x200001", "inf", "-inf", "1e-40", "3e38"],
  f64: ["0", "-0", "1.5", "nan", "-nan", "nan:0x4000000000001", "inf", "-inf", "5e-324", "1e308"],
  v128: [
    "i64x2 0 -1",
    "i32x4 0x7fc00001 0xffc00000 0x7ff80000 1",
    "f32x4 nan:0x200001 -nan 1.5 inf",
    "f32x4 -0 3e38 1e-40 -inf",
    "f64x2 nan:0x4000000000001 -0",
    "f64x2 -nan 1e308",
    "f64x2 inf -2.5",
    "i8x16 0 1 2 3 4 5 6 7 128 255 254 253 16 31 15 14",
  ],
};
/** Operations whose NaN has bits that are not defined, by the type or shape that they make. */
const MAKES_NAN =
  /^(f32|f64|f32x4|f64x2)\.(add|sub|mul|div|min|max|ceil|floor|trunc|nearest|sqrt|demote_\w+|promote_\w+)$/;
const CANONICAL = `
  (func $f32 (param f32) (result f32) (select (local.get 0) (f32.const nan) (f32.eq (local.get 0) (local.get 0))))
  (func $f64 (param f64) (result f64) (select (local.get 0) (f64.const nan) (f64.eq (local.get 0) (local.get 0))))
  (func $f32x4 (param v128) (result v128)
    (v128.bitselect (local.get 0) (v128.const f32x4 nan nan nan nan) (f32x4.eq (local.get 0) (local.get 0))))
  (func $f64x2 (param v128) (result v128)
    (v128.bitselect (local.get 0) (v128.const f64x2 nan nan) (f64x2.eq (local.get 0) (local.get 0))))`;

/**
 * Makes a program's text. The same tape gives the same program. `isCanonical`: the program makes the result of each of its float
 * operations canonical itself, wherever it goes.
 */
export const generateProgram = (tape: readonly number[], isCanonical = false): string => {
  let at = 0;
  let state = tape.length;
  // A tape that is used up goes on as a generator seeded by it, so that shrinking keeps programs whole.
  const pick = (below: number): number => {
    state = (Math.imul(state ^ (tape[at++ % tape.length] ?? 0), 0x9e3779b1) + 0x7f4a7c15) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) % below;
  };
  const one = <T>(list: readonly T[]): T => list[pick(list.length)]!;

  const apply = (type: Type, op: string, operands: string): string => {
    const name = op.includes(".") ? op : `${type}.${op}`;
    const shape = isCanonical ? MAKES_NAN.exec(name)?.[1] : undefined;
    return shape === undefined ? `(${name} ${operands})` : `(call $${shape} (${name} ${operands}))`;
  };
  const address = (depth: number): string =>
    `(i32.and ${expression("i32", depth)} (i32.const 0x${pick(300) === 0 ? "1fff8" : "fff8"}))`;

  const expression = (type: Type, depth: number): string => {
    if (depth <= 0) return pick(2) === 0 ? `(${type}.const ${one(CONSTANTS[type])})` : `(local.get $${type}${pick(2)})`;
    switch (pick(type === "v128" ? 12 : 10)) {
      case 10: {
        const [name, second] = one(MIXED);
        return `(${name} ${expression("v128", depth - 1)} ${expression(second, depth - 1)})`;
      }
      case 11:
        return `(v128.bitselect ${expression(type, depth - 1)} ${expression(type, depth - 1)} ${expression(type, depth - 1)})`;
      case 0:
        return `(local.get $${type}${pick(2)})`;
      case 1:
        return `(${type}.const ${one(CONSTANTS[type])})`;
      case 2:
        return `(global.get $${type})`;
      case 3:
        return `(${type === "v128" ? one(LOADS) : `${type}.load`} ${address(depth - 1)})`;
      case 4:
        return apply(type, one(UNARY[type]), expression(type, depth - 1));
      case 5: {
        const [name, from] = one(FROM[type]);
        if (name.startsWith("trunc_f") && pick(20) > 0) return expression(type, 0);
        return apply(type, name, expression(from, depth - 1));
      }
      case 6:
        return `(select ${expression(type, depth - 1)} ${expression(type, depth - 1)} ${expression("i32", depth - 1)})`;
      case 7:
        return `(if (result ${type}) ${expression("i32", depth - 1)} (then ${expression(type, depth - 1)}) (else ${expression(type, depth - 1)}))`;
      default: {
        const name = one(BINARY[type]);
        const second = expression(type, depth - 1);
        const mayTrap = /^(div|rem)_/.test(name) && pick(40) > 0;
        const divisor = mayTrap ? `(${type}.or (${type}.shr_u ${second} (${type}.const 1)) (${type}.const 1))` : second;
        return apply(type, name, `${expression(type, depth - 1)} ${divisor}`);
      }
    }
  };
  /** Calls any function, itself too, mostly to a limited depth; both results go to locals. */
  const call = (): string => {
    const args = `${expression("i32", 1)} ${expression("f64", 2)} ${expression("v128", 2)}`;
    const callee =
      pick(2) === 0
        ? `(call $f${pick(FUNCTIONS)} ${args})`
        : `(call_indirect (type $pair) ${args} (i32.and ${expression("i32", 1)} (i32.const ${pick(80) === 0 ? 15 : 3})))`;
    const whole = `${callee} (local.set $v128${pick(2)}) (local.set $f64${pick(2)}) (local.set $i32${pick(2)})`;
    if (pick(40) === 0) return whole;
    return `(if (i32.lt_u (global.get $depth) (i32.const ${2 + pick(12)})) (then
      (global.set $depth (i32.add (global.get $depth) (i32.const 1))) ${whole}
      (global.set $depth (i32.sub (global.get $depth) (i32.const 1)))))`;
  };
  const statement = (depth: number): string => {
    const type = one(TYPES);
    switch (pick(depth > 0 ? 14 : 7)) {
      case 0:
        return `(global.set $${type} ${expression(type, 3)})`;
      case 1:
      case 2:
        return `(${type === "v128" ? one(["v128.store", "v128.store64_lane 1", "v128.store32_lane 3"]) : `${type}.store`} (i32.and ${expression("i32", 2)} (i32.const 0xffe8)) ${expression(type, 3)})`;
      case 3:
        return `(memory.${one(["copy", "fill"])} ${"(i32.and (i32.const 0x1ff) $) ".repeat(3).replaceAll("$", () => expression("i32", 1))})`;
      case 4:
      case 5:
      case 6:
        return `(local.set $${type}${pick(2)} ${expression(type, 4)})`;
      case 7:
        return pick(4) === 0 ? `(drop (memory.grow (i32.and ${expression("i32", 1)} (i32.const 3))))` : call();
      case 8:
        return `(if ${expression("i32", 2)} (then ${block(depth - 1)}) (else ${block(depth - 1)}))`;
      case 9:
        return `(block $b${depth} ${block(depth - 1)} (br_if $b${depth} ${expression("i32", 2)}) ${block(depth - 1)})`;
      case 10:
        return `(local.set $n (i32.const ${pick(40)})) (loop $l${depth} ${block(depth - 1)}
          (br_if $l${depth} (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))`;
      case 11:
        return `(block $x${depth} (block $y${depth} (br_table $x${depth} $y${depth} ${expression("i32", 2)})) ${block(depth - 1)})`;
      case 12:
        return pick(10) === 0
          ? `(if ${expression("i32", 1)} (then ${one(["(unreachable)", "(call $exit (i32.const 3))", `(return ${expression("i32", 1)} ${expression("f64", 1)} ${expression("v128", 1)})`])}))`
          : call();
      default:
        return call();
    }
  };
  const block = (depth: number): string => Array.from({ length: 1 + pick(3) }, () => statement(depth)).join("\n");

  const locals = TYPES.flatMap((type) => [0, 1].map((i) => `(local $${type}${i} ${type})`)).join(" ");
  const functions = Array.from(
    { length: FUNCTIONS },
    (
      _,
      i,
    ) => `(func $f${i} (type $pair) (param $p i32) (param $q f64) (param $r v128) (result i32 f64 v128) ${locals} (local $n i32)
      (local.set $i320 (local.get $p)) (local.set $f640 (local.get $q)) (local.set $v1280 (local.get $r))
      ${block(3)} ${expression("i32", 3)} ${expression("f64", 3)} ${expression("v128", 3)})`,
  );
  return `(module (type $pair (func (param i32 f64 v128) (result i32 f64 v128)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1 ${2 + pick(6)}) (table 8 funcref)
    (elem (i32.const 0) $f0 $f1 $f2 $f3 $main) (data (i32.const 8) "\\01\\00\\00\\00\\00\\00\\f4\\7f\\02\\00\\a0\\ff")
    ${TYPES.map((type) => `(global $${type} (mut ${type}) (${type}.const ${type === "v128" ? "i64x2 1 1" : 1}))`).join(" ")}
    (global $depth (mut i32) (i32.const 0))
    ${functions.join("\n")} ${isCanonical ? CANONICAL : ""}
    (func $main (export "_start") ${locals} (local $n i32)
      ${Array.from({ length: 6 }, call).join("\n")}
      ${TYPES.map((type, i) => `(${type}.store (i32.const ${64 + i * 16}) (local.get $${type}0)) (${type}.store (i32.const ${160 + i * 16}) (global.get $${type}))`).join("\n")}))`;
};
