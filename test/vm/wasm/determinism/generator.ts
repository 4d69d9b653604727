/** Makes valid programs from a tape of numbers, as text: floats with NaNs, traps, memory, calls of every kind. */
type Type = "i32" | "i64" | "f32" | "f64";
const TYPES: readonly Type[] = ["i32", "i64", "f32", "f64"];
const FUNCTIONS = 4;

const BINARY: Readonly<Record<Type, readonly string[]>> = {
  i32: "add sub mul div_s div_u rem_s rem_u and or xor shl shr_s rotl lt_s gt_u".split(" "),
  i64: "add sub mul div_s div_u rem_s rem_u and or xor shl shr_u rotr".split(" "),
  f32: "add sub mul div min max copysign".split(" "),
  f64: "add sub mul div min max copysign".split(" "),
};
const UNARY: Readonly<Record<Type, readonly string[]>> = {
  i32: "clz ctz popcnt eqz extend8_s".split(" "),
  i64: "clz ctz popcnt extend32_s".split(" "),
  f32: "abs neg ceil floor trunc nearest sqrt".split(" "),
  f64: "abs neg ceil floor trunc nearest sqrt".split(" "),
};
/** Operations from another type, and that type. */
const FROM: Readonly<Record<Type, readonly (readonly [string, Type])[]>> = {
  i32: [
    ["wrap_i64", "i64"],
    ["trunc_sat_f64_s", "f64"],
    ["trunc_f32_u", "f32"],
    ["reinterpret_f32", "f32"],
  ],
  i64: [
    ["extend_i32_s", "i32"],
    ["trunc_sat_f32_u", "f32"],
    ["trunc_f64_s", "f64"],
    ["reinterpret_f64", "f64"],
  ],
  f32: [
    ["convert_i32_s", "i32"],
    ["convert_i64_u", "i64"],
    ["demote_f64", "f64"],
    ["reinterpret_i32", "i32"],
  ],
  f64: [
    ["convert_i32_u", "i32"],
    ["convert_i64_s", "i64"],
    ["promote_f32", "f32"],
    ["reinterpret_i64", "i64"],
  ],
};
const CONSTANTS: Readonly<Record<Type, readonly string[]>> = {
  i32: ["0", "1", "-1", "2147483647", "-2147483648", "65535", "12345"],
  i64: ["0", "1", "-1", "9223372036854775807", "-9223372036854775808", "0x7ff8000000000001"],
  f32: ["0", "-0", "1.5", "nan", "-nan", "nan:0x200001", "inf", "-inf", "1e-40", "3e38"],
  f64: ["0", "-0", "1.5", "nan", "-nan", "nan:0x4000000000001", "inf", "-inf", "5e-324", "1e308"],
};

/** Makes a program's text. The same tape gives the same program. */
export const generateProgram = (tape: readonly number[]): string => {
  let at = 0;
  let state = tape.length;
  // A tape that is used up goes on as a generator seeded by it, so that shrinking keeps programs whole.
  const pick = (below: number): number => {
    state = (Math.imul(state ^ (tape[at++ % tape.length] ?? 0), 0x9e3779b1) + 0x7f4a7c15) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) % below;
  };
  const one = <T>(list: readonly T[]): T => list[pick(list.length)]!;

  const expression = (type: Type, depth: number): string => {
    if (depth <= 0) return pick(2) === 0 ? `(${type}.const ${one(CONSTANTS[type])})` : `(local.get $${type}${pick(2)})`;
    switch (pick(10)) {
      case 0:
        return `(local.get $${type}${pick(2)})`;
      case 1:
        return `(${type}.const ${one(CONSTANTS[type])})`;
      case 2:
        return `(global.get $${type})`;
      case 3:
        return `(${type}.load (i32.and ${expression("i32", depth - 1)} (i32.const 0x${pick(300) === 0 ? "1fff8" : "fff8"})))`;
      case 4:
        return `(${type}.${one(UNARY[type])} ${expression(type, depth - 1)})`;
      case 5: {
        const [name, from] = one(FROM[type]);
        if (name.startsWith("trunc_f") && pick(20) > 0) return expression(type, 0);
        return `(${type}.${name} ${expression(from, depth - 1)})`;
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
        return `(${type}.${name} ${expression(type, depth - 1)} ${divisor})`;
      }
    }
  };
  /** Calls any function, itself too, mostly to a limited depth; both results go to locals. */
  const call = (): string => {
    const args = `${expression("i32", 1)} ${expression("f64", 2)}`;
    const callee =
      pick(2) === 0
        ? `(call $f${pick(FUNCTIONS)} ${args})`
        : `(call_indirect (type $pair) ${args} (i32.and ${expression("i32", 1)} (i32.const ${pick(80) === 0 ? 15 : 3})))`;
    const whole = `${callee} (local.set $f64${pick(2)}) (local.set $i32${pick(2)})`;
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
        return `(${type}.store (i32.and ${expression("i32", 2)} (i32.const 0xfff8)) ${expression(type, 3)})`;
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
          ? `(if ${expression("i32", 1)} (then ${one(["(unreachable)", "(call $exit (i32.const 3))", `(return ${expression("i32", 1)} ${expression("f64", 1)})`])}))`
          : call();
      default:
        return call();
    }
  };
  const block = (depth: number): string => Array.from({ length: 1 + pick(3) }, () => statement(depth)).join("\n");

  const locals = TYPES.flatMap((type) => [0, 1].map((i) => `(local $${type}${i} ${type})`)).join(" ");
  const functions = Array.from(
    { length: FUNCTIONS },
    (_, i) => `(func $f${i} (type $pair) (param $p i32) (param $q f64) (result i32 f64) ${locals} (local $n i32)
      (local.set $i320 (local.get $p)) (local.set $f640 (local.get $q))
      ${block(3)} ${expression("i32", 3)} ${expression("f64", 3)})`,
  );
  return `(module (type $pair (func (param i32 f64) (result i32 f64)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1 ${2 + pick(6)}) (table 8 funcref)
    (elem (i32.const 0) $f0 $f1 $f2 $f3 $main) (data (i32.const 8) "\\01\\00\\00\\00\\00\\00\\f4\\7f\\02\\00\\a0\\ff")
    ${TYPES.map((type) => `(global $${type} (mut ${type}) (${type}.const 1))`).join(" ")}
    (global $depth (mut i32) (i32.const 0))
    ${functions.join("\n")}
    (func $main (export "_start") ${locals} (local $n i32)
      ${Array.from({ length: 6 }, call).join("\n")}
      ${TYPES.map((type, i) => `(${type}.store (i32.const ${64 + i * 8}) (local.get $${type}0)) (${type}.store (i32.const ${96 + i * 8}) (global.get $${type}))`).join("\n")}))`;
};
