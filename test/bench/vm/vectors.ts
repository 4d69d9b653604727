/** Programs of vectors and atomics that are slow for what they pay, to run and to compile. */
import { leb } from "../../helpers/wasm-builder.ts";
import { BODY, join, moduleOf, repeat } from "./compiled.ts";
import { CHASE, looped, MIX, operation, PAGES, type Program, UNROLLED } from "./programs.ts";

/** `$v` and `$w` in an expression are the locals. */
const chain = (name: string, expression: string): Program =>
  operation(
    `${name} in a chain`,
    `(local.set $v ${expression.replaceAll(/\$[vw]/g, (local) => `(local.get ${local})`)})`,
  );
const arithmeticOnSubnormals = (shape: string, tiny: string, less: string): Program =>
  chain(
    `${shape} arithmetic on subnormals`,
    `(${shape}.mul (${shape}.add $v (v128.const ${shape} ${tiny})) (v128.const ${shape} ${less}))`,
  );
const divisionOfSubnormals = (shape: string, tiny: string, more: string): Program =>
  chain(
    `${shape}.div of subnormals`,
    `(${shape}.div (v128.const ${shape} ${tiny}) (${shape}.add $v (v128.const ${shape} ${more})))`,
  );
const TINY = "1e-40 2e-40 3e-40 1e-41";
const atomic = (name: string, body: string, times: number): Program => ({
  name,
  text: looped(times, body.repeat(UNROLLED), "", `${PAGES} ${PAGES}`),
  units: times * UNROLLED,
  unit: "access",
});
const ANYWHERE = `(i32.and (local.get $a) (i32.const ${PAGES * 65_536 - 64}))`;

/** A cycle through all pages of 4 KiB in random order: each begins with the address of the next. */
const scatterPages = (words: Uint32Array): void => {
  const WORDS = 1_024;
  const order = Array.from({ length: words.length / WORDS - 1 }, (_, i) => i + 1);
  let seed = 1;
  for (let i = order.length - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const j = Math.floor((seed / 2 ** 32) * i);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  for (const [i, page] of order.entries()) words[page * WORDS] = order[(i + 1) % order.length]! * WORDS * 4;
};

export const VECTOR_OPERATIONS: readonly Program[] = [
  {
    name: "vector loads over two pages that wait",
    text: looped(
      CHASE,
      `(local.set $b (select (local.get $b) (i32.const 4096) (local.get $b)))
       ${"(local.set $b (i32x4.extract_lane 3 (v128.load (i32.sub (local.get $b) (i32.const 12)))))".repeat(UNROLLED)}`,
      "",
      `${PAGES} ${PAGES}`,
    ),
    units: CHASE * UNROLLED,
    unit: "load",
    setup: scatterPages,
  },
  chain("i8x16.add", "(i8x16.add $v $w)"),
  chain("i64x2.mul", "(i64x2.mul $v $w)"),
  chain("i64x2.abs and i64x2.gt_s", "(i64x2.abs (i64x2.gt_s $v $w))"),
  chain("i8x16.shl by a variable", "(i8x16.shl $v (local.get $b))"),
  chain("i64x2.shr_s by a variable", "(i64x2.shr_s $v (local.get $b))"),
  chain("i8x16.popcnt", "(i8x16.popcnt $v)"),
  chain("i8x16.swizzle", "(i8x16.swizzle $v $w)"),
  chain("i8x16.shuffle", "(i8x16.shuffle 3 17 2 9 31 5 6 20 8 0 10 11 12 29 14 15 $v $w)"),
  chain("i16x8.q15mulr_sat_s", "(i16x8.q15mulr_sat_s $v $w)"),
  chain("i32x4.dot_i16x8_s", "(i32x4.dot_i16x8_s $v $w)"),
  chain("i64x2.all_true and splat", "(i8x16.splat (i64x2.all_true $v))"),
  chain("i16x8.bitmask and splat", "(i8x16.splat (i16x8.bitmask $v))"),
  chain("f32x4.add", "(f32x4.add $v $w)"),
  chain("f32x4.div", "(f32x4.div $v $w)"),
  chain("f64x2.div", "(f64x2.div $v $w)"),
  chain("f64x2.sqrt", "(f64x2.sqrt $v)"),
  chain("f32x4.min", "(f32x4.min $v $w)"),
  chain("f64x2.max", "(f64x2.max $v $w)"),
  chain("f64x2.nearest", "(f64x2.nearest $v)"),
  chain("f64x2.promote and demote", "(f32x4.demote_f64x2_zero (f64x2.promote_low_f32x4 $v))"),
  chain("i32x4.trunc_sat_f32x4_u", "(i32x4.trunc_sat_f32x4_u $v)"),
  chain("i32x4.trunc_sat_f64x2_s_zero", "(i32x4.trunc_sat_f64x2_s_zero $v)"),
  chain("f32x4.convert_i32x4_u", "(f32x4.convert_i32x4_u $v)"),
  arithmeticOnSubnormals("f32x4", TINY, "0.3 0.4 0.5 0.6"),
  arithmeticOnSubnormals("f64x2", "3e-310 1e-310", "0.3 0.4"),
  divisionOfSubnormals("f32x4", TINY, "1.5 1.6 1.7 1.8"),
  divisionOfSubnormals("f64x2", "3e-310 1e-310", "1.5 1.6"),
  chain("f32x4.sqrt of subnormals", `(f32x4.sqrt (v128.and $v (v128.const f32x4 ${TINY})))`),
  operation(
    "f64x2.promote of subnormals",
    "(local.set $v (f64x2.promote_low_f32x4 (v128.or (local.get $v) (v128.const f32x4 1e-40 2e-40 1e-40 1e-40))))",
  ),
  operation(
    "f32x4.demote to subnormals",
    "(local.set $v (f32x4.demote_f64x2_zero (v128.or (local.get $v) (v128.const f64x2 1e-40 1e-41))))",
  ),
  atomic("atomic stores all over the memory", `${MIX}(i32.atomic.store ${ANYWHERE} (local.get $a))`, CHASE),
  atomic("atomic additions all over the memory", `${MIX}(drop (i32.atomic.rmw.add ${ANYWHERE} (local.get $a)))`, CHASE),
  atomic(
    "i64.atomic.rmw8.cmpxchg_u in a chain",
    "(local.set $l (i64.atomic.rmw8.cmpxchg_u (i32.const 64) (local.get $l) (local.get $l)))",
    CHASE,
  ),
  atomic("atomic.fence", "(atomic.fence)", CHASE),
  atomic("memory.atomic.notify", "(drop (memory.atomic.notify (i32.const 64) (i32.const 1)))", CHASE),
];

const V128 = 0x7b;
const get = (local: number): number[] => [0x20, ...leb(local)];
const set = (local: number): number[] => [0x21, ...leb(local)];
const vector = (number: number): number[] => [0xfd, ...leb(number)];
/** A body of one unary operation again and again. */
const straight = (name: string, number: number, more: readonly number[] = []) => ({
  name: `compile: ${name}`,
  build: () => {
    const op = [...more, ...vector(number)];
    return moduleOf(
      [
        join(
          get(0),
          repeat(Math.floor(BODY / op.length) - 8, () => op),
          set(0),
        ),
      ],
      2,
      V128,
    );
  },
});

/** A body of one atomic operation again and again, each at what the last gave; it returns before them, since a wait traps. */
const chainedAtomics = (name: string, number: number, ...operands: readonly (readonly number[])[]) => ({
  name: `compile: 16,000 atomic ${name} in a chain`,
  build: () => {
    const op = join(get(0), ...operands, [0xfe, number, 2, 0], set(0));
    return moduleOf(
      [
        join(
          [0x23, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b],
          repeat(16_000, () => op),
        ),
      ],
      1,
    );
  },
});

export const VECTOR_COMPILED: readonly { readonly name: string; readonly build: () => Uint8Array }[] = [
  straight("1 MiB of i32x4.neg", 0xa1),
  straight("1 MiB of i8x16.popcnt", 0x62),
  straight("1 MiB of f32x4.ceil", 0x67),
  straight("1 MiB of i64x2.mul", 0xd5, get(1)),
  straight("1 MiB of i8x16.shl", 0x6b, [0x23, 0]),
  straight("1 MiB of trunc_sat", 0xf9),
  {
    name: "compile: 512 KiB of stored vector sums",
    build: () =>
      moduleOf(
        [
          repeat(Math.floor(BODY / 2 / 16), (i) =>
            join([0x41, 0], get(0), get(1), vector(0xe4), [0x22, 0], vector(0x0b), [4], leb((i % 7) * 16)),
          ),
        ],
        2,
        V128,
      ),
  },
  chainedAtomics("loads", 0x10),
  chainedAtomics("additions", 0x1e, get(0)),
  chainedAtomics("exchanges if equal", 0x48, get(0), get(0)),
  chainedAtomics("notifications", 0x00, get(0)),
  chainedAtomics("waits", 0x01, get(0), [0x42, 0]),
  {
    name: "compile: 16,000 vectors that meet at the end",
    build: () =>
      moduleOf(
        [
          join(
            repeat(16_000, (i) => [0x41, 0, ...vector(0x00), 4, ...leb((i % 60) * 4)]),
            repeat(15_999, () => vector(0xae)),
            set(0),
          ),
        ],
        1,
        V128,
      ),
  },
];
