/** Programs that are slow for what they pay, as text of WebAssembly. */
import { PAGE_BYTES, WASM_LIMITS } from "../../../vm/wasm/limits.ts";

export interface Program {
  readonly name: string;
  readonly text: string;
  /** How often the measured thing is done. */
  readonly units: number;
  readonly unit: string;
  /** Pages whose price at the start is part of what is measured. */
  readonly paidPages?: number;
  /** What the task is given: the command's arguments, its environment, one input file `in/a`. */
  readonly args?: readonly string[];
  readonly environment?: readonly string[];
  readonly input?: Uint8Array;
  /** Fills the memory before the run. */
  readonly setup?: (words: Uint32Array) => void;
}

export const PAGES = WASM_LIMITS.memoryPages;
export const UNROLLED = 64;

/** A module whose `_start` repeats `body` in a loop that costs little; locals $i, $a, $b (i32), $x, $y (f64), $l (i64), $v, $w (v128). */
export const looped = (times: number, body: string, more = "", pages = "1 1"): string => `(module ${more}
  (memory (export "memory") ${pages})
  (func (export "_start") (local $i i32) (local $a i32) (local $b i32) (local $x f64) (local $y f64) (local $l i64) (local $f f32) (local $v v128) (local $w v128)
    (local.set $i (i32.const ${times})) (local.set $x (f64.const 1.1)) (local.set $y (f64.const 1.7)) (local.set $f (f32.const 1.3))
    (local.set $l (i64.const 0x7fffffffffffff13)) (local.set $a (i32.const 0x7ffffff1))
    (local.set $v (v128.const f32x4 1.5 0.5 3 1.1)) (local.set $w (v128.const f32x4 1.7 0.7 1.3 1.9))
    (loop $next ${body}
      (br_if $next (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.store (i32.const 0) (i32.add (local.get $a) (local.get $b))) (f64.store (i32.const 8) (local.get $x))
    (i64.store (i32.const 16) (local.get $l)) (f32.store (i32.const 24) (local.get $f)) (v128.store (i32.const 32) (local.get $v))))`;

export const operation = (name: string, body: string, times = 200_000): Program => ({
  name,
  text: looped(times, body.repeat(UNROLLED)),
  units: times * UNROLLED,
  unit: "operation",
});

/** A cycle through all cache lines of the memory in random order (Sattolo's algorithm). */
const scatter = (words: Uint32Array): void => {
  const LINE = 16;
  const lines = words.length / LINE;
  const order = Uint32Array.from({ length: lines }, (_, i) => i);
  let seed = 1;
  for (let i = lines - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((seed / 2 ** 32) * i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (let i = 0; i < lines; i++) words[order[i]! * LINE] = order[(i + 1) % lines]! * LINE * 4;
};

export const CHASE = 40_000;
export const MIX = "(local.set $a (i32.add (i32.mul (local.get $a) (i32.const 1664525)) (i32.const 1013904223)))";
const CASES = 64;

export const OPERATIONS: readonly Program[] = [
  {
    name: "loads that wait for memory, 256 MiB",
    text: looped(
      CHASE,
      `(local.set $b ${"(i32.load ".repeat(UNROLLED)}(local.get $b)${")".repeat(UNROLLED)})`,
      "",
      `${PAGES} ${PAGES}`,
    ),
    units: CHASE * UNROLLED,
    unit: "load",
    setup: scatter,
  },
  {
    name: "stores all over the memory, 256 MiB",
    text: looped(
      CHASE,
      `${MIX}(i32.store (i32.and (local.get $a) (i32.const ${PAGES * PAGE_BYTES - 4})) (local.get $a))`.repeat(
        UNROLLED,
      ),
      "",
      `${PAGES} ${PAGES}`,
    ),
    units: CHASE * UNROLLED,
    unit: "store",
    setup: (words) => words.fill(1),
  },
  {
    name: "first touch of fresh memory, 256 MiB",
    text: looped(
      PAGES * 16,
      "(i32.store (local.get $b) (i32.const 1)) (local.set $b (i32.add (local.get $b) (i32.const 4096)))",
      "",
      `${PAGES} ${PAGES}`,
    ),
    units: PAGES * 16,
    unit: "4 KiB",
    paidPages: PAGES,
  },
  operation("f64.sqrt and f64.div in a chain", "(local.set $x (f64.div (f64.sqrt (local.get $x)) (local.get $y)))"),
  operation("f64.div in a chain", "(local.set $x (f64.div (local.get $x) (local.get $y)))"),
  operation("f32.sqrt in a chain", "(local.set $f (f32.sqrt (local.get $f)))"),
  operation(
    "f64 arithmetic on subnormals",
    "(local.set $x (f64.mul (f64.add (local.get $x) (f64.const 3e-310)) (f64.const 0.3)))",
  ),
  operation(
    "f64.div of subnormals",
    "(local.set $x (f64.div (f64.const 3e-310) (f64.add (local.get $x) (f64.const 1.5))))",
  ),
  operation(
    "f64.min and f64.max in a chain",
    "(local.set $x (f64.max (f64.min (local.get $x) (local.get $y)) (f64.const 0.5)))",
  ),
  operation("f64.min of NaN", "(local.set $x (f64.min (f64.const nan) (local.get $x)))"),
  operation("f64.nearest in a chain", "(local.set $x (f64.nearest (local.get $x)))"),
  operation(
    "i64.div_s in a chain",
    "(local.set $l (i64.div_s (i64.or (local.get $l) (i64.const 0x7ffffffffff00001)) (i64.const 3)))",
  ),
  operation(
    "i64.rem_u of variables",
    "(local.set $l (i64.sub (i64.const -7) (i64.rem_u (i64.const -3) (i64.or (local.get $l) (i64.const 1)))))",
  ),
  operation("i32.div_u in a chain", "(local.set $a (i32.div_u (i32.const -9) (i32.or (local.get $a) (i32.const 1))))"),
  operation("i64.popcnt, clz and ctz in a chain", "(local.set $l (i64.popcnt (i64.ctz (i64.clz (local.get $l)))))"),
  operation(
    "i64.trunc_f64_s and convert in a chain",
    "(local.set $x (f64.add (f64.convert_i64_s (i64.trunc_f64_s (local.get $x))) (f64.const 1)))",
  ),
  operation(
    "i64.trunc_sat_f64_u of NaN",
    "(local.set $l (i64.trunc_sat_f64_u (f64.reinterpret_i64 (i64.or (local.get $l) (i64.const 0x7ff8000000000000)))))",
  ),
  operation("f64.convert_i64_u in a chain", "(local.set $x (f64.convert_i64_u (i64.reinterpret_f64 (local.get $x))))"),
  operation("f64.promote and demote in a chain", "(local.set $x (f64.promote_f32 (f32.demote_f64 (local.get $x))))"),
  {
    name: "br_if that cannot be predicted",
    text: looped(
      200_000,
      `${MIX}(if (i32.and (local.get $a) (i32.const 0x10000000)) (then (local.set $b (i32.xor (local.get $b) (local.get $a)))))`.repeat(
        16,
      ),
    ),
    units: 200_000 * 16,
    unit: "branch",
  },
  {
    name: "br_table that cannot be predicted",
    text: looped(
      2_000_000,
      `${MIX}${"(block ".repeat(CASES)}(br_table ${[...Array(CASES).keys()].join(" ")} (i32.shr_u (local.get $a) (i32.const 26)))${Array.from({ length: CASES }, (_, i) => `) (local.set $b (i32.add (local.get $b) (i32.const ${i + 1})))`).join("")}`,
    ),
    units: 2_000_000,
    unit: "branch",
  },
  {
    name: "call_indirect that cannot be predicted",
    text: looped(
      2_000_000,
      `${MIX}(local.set $b (call_indirect (type $t) (local.get $b) (i32.shr_u (local.get $a) (i32.const 22))))`,
      `(type $t (func (param i32) (result i32))) (table 1024 funcref) (elem (i32.const 0) ${[...Array(1024).keys()].map((i) => `$f${i}`).join(" ")})
       ${[...Array(1024).keys()].map((i) => `(func $f${i} (param i32) (result i32) (i32.add (local.get 0) (i32.const ${i})))`).join("\n")}`,
    ),
    units: 2_000_000,
    unit: "call",
  },
  {
    name: "recursion to the limit of the stack",
    text: looped(
      200,
      "(local.set $b (call $deep (i32.const 60000)))",
      "(func $deep (param i32) (result i32) (if (result i32) (local.get 0) (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1))) (else (i32.const 0))))",
    ),
    units: 200 * 60_000,
    unit: "call",
  },
  {
    name: "memory.grow by 1, up to 4,096 pages",
    text: looped(4_000, "(drop (memory.grow (i32.const 1)))", "", `1 ${PAGES}`),
    units: 4_000,
    unit: "growth",
  },
  {
    name: "memory.grow by 0",
    text: looped(1_000_000, "(drop (memory.grow (i32.const 0)))", "", `${PAGES} ${PAGES}`),
    units: 1_000_000,
    unit: "growth",
  },
  {
    name: "memory.grow beyond the limit",
    text: looped(1_000_000, "(drop (memory.grow (i32.const 70000)))", "", `${PAGES} ${PAGES}`),
    units: 1_000_000,
    unit: "growth",
  },
  {
    name: "memory.copy of 1 byte",
    text: looped(100_000, "(memory.copy (i32.const 100) (i32.const 200) (i32.const 1))".repeat(UNROLLED)),
    units: 100_000 * UNROLLED,
    unit: "copy",
  },
  {
    name: "memory.fill of nothing",
    text: looped(100_000, "(memory.fill (i32.const 100) (i32.const 200) (i32.const 0))".repeat(UNROLLED)),
    units: 100_000 * UNROLLED,
    unit: "fill",
  },
  {
    name: "memory.init of 1 byte",
    text: looped(
      100_000,
      "(memory.init $d (i32.const 100) (i32.const 0) (i32.const 1))".repeat(UNROLLED),
      '(data $d "abc")',
    ),
    units: 100_000 * UNROLLED,
    unit: "init",
  },
  {
    name: "memory.copy of 128 MiB",
    text: looped(4, "(memory.copy (i32.const 0) (i32.const 134217728) (i32.const 134217728))", "", `${PAGES} ${PAGES}`),
    units: 4 * 134_217_728,
    unit: "byte",
    setup: (words) => words.fill(1),
  },
  {
    name: "memory.copy of 64 bytes, scattered",
    text: looped(
      CHASE * 16,
      `${MIX}(memory.copy (i32.and (local.get $a) (i32.const ${PAGES * PAGE_BYTES - 128})) (i32.and (i32.mul (local.get $a) (i32.const 77)) (i32.const ${PAGES * PAGE_BYTES - 128})) (i32.const 64))`,
      "",
      `${PAGES} ${PAGES}`,
    ),
    units: CHASE * 16,
    unit: "copy",
    setup: (words) => words.fill(1),
  },
  {
    name: "memory.size",
    text: looped(100_000, "(local.set $b (i32.add (local.get $b) (memory.size)))".repeat(UNROLLED)),
    units: 100_000 * UNROLLED,
    unit: "operation",
  },
];
