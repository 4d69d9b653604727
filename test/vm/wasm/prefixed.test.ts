import "../../helpers/plain-spawn.ts";
import t from "tap";
import { NAN } from "../../../vm/wasm/nan-kinds.ts";
import { prefixedOf } from "../../../vm/wasm/prefixed.ts";
import { WasmRefused } from "../../../vm/wasm/refusal.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { build, f32, f64, i32, i64, leb, op, v128 } from "../../helpers/wasm-builder.ts";

const drop: number[] = [...op.drop];
const SIGNATURES = [
  ...[[i32], [i64], [f32], [f64], [v128]].flatMap((params) => [
    [...params, v128],
    [...params, i32],
  ]),
  ...[[i32], [i64], [f32], [f64]].map((params) => [v128, ...params, v128]),
  [v128],
  [],
  [v128, i64],
  [v128, f32],
  [v128, f64],
  [v128, v128, v128],
  [v128, v128, v128, v128],
  [i32, v128, v128],
  [i32, v128, 0],
  [i32, i32, i32],
  [i32, i32, 0],
  [i32, i64, 0],
  [i32, i64],
  [i32, i64, i64],
  [i32, i32, i32, i32],
  [i32, i64, i64, i64],
  [i32, i32, i64, i32],
  [i32, i64, i64, i32],
];
const IMMEDIATES = [
  [],
  [0],
  ...[0, 1, 2, 3, 4].flatMap((alignment) => [
    [alignment, 0],
    [alignment, 0, 1],
    [alignment, 0, 15],
  ]),
  ...[1, 2, 4, 8, 15].map((lane) => [lane]),
  new Array<number>(16).fill(31),
  new Array<number>(16).fill(32),
];

const isAccepted = (module: Uint8Array): boolean => {
  try {
    prepareModule(module, NEWEST_RULES);
    return true;
  } catch (error) {
    if (error instanceof WasmRefused) return false;
    throw error;
  }
};
/** A function that does one operation on its parameters; the last of `types` is its result, 0 for none. */
const single = (prefix: number, number: number, types: readonly number[], immediate: readonly number[]): Uint8Array => {
  const result = types.at(-1);
  const params = types.slice(0, -1);
  return build({
    functions: [
      { code: [] },
      {
        params,
        results: result ? [result] : [],
        code: [...params.map((_, i) => op.get(i)), [prefix, ...leb(number), ...immediate]],
      },
    ],
  });
};

t.test("each vector and atomic operation has the form, the types and the lanes that the engine gives it", async (t) => {
  const known = new Set<number>();
  for (const [prefix, first] of [
    [0xfd, 0x200],
    [0xfe, 0x300],
  ] as const)
    for (let number = 0; number < 0x100; number++) {
      const form = prefixedOf(first + number);
      const agree = (types: readonly number[], immediate: readonly number[]): boolean => {
        const module = single(prefix, number, types, immediate);
        const expected = WebAssembly.validate(module as Uint8Array<ArrayBuffer>);
        if (isAccepted(module) !== expected)
          t.fail(`0x${prefix.toString(16)} ${number} of ${types} with ${immediate}: the engine says ${expected}`);
        return expected;
      };
      const own = form ? [...form.params, form.result ?? 0] : [v128, v128];
      const valid = IMMEDIATES.filter((immediate) => agree(own, immediate));
      if (form && valid.length === 0) t.fail(`0x${prefix.toString(16)} ${number} is valid in no form`);
      if (valid.length > 0) known.add(first + number);
      for (const types of SIGNATURES) agree(types, valid[0] ?? []);
    }
  t.equal(known.size, 236 + 67);
});

const vector = (number: number, ...more: number[]): number[] => [0xfd, ...leb(number), ...more];
/** How often a body's results are made canonical: comparisons of vectors with themselves, in code that has no other. */
const canonical = (...code: number[][]): number => {
  const { bytes } = prepareModule(build({ functions: [{ locals: [v128, v128, f32, f64], code }] }), NEWEST_RULES);
  const text = Buffer.from(bytes).toString("latin1");
  return text.split("\xfd\x41\xfd\x52").length + text.split("\xfd\x47\xfd\x52").length - 2;
};

t.test("a vector's NaN is made canonical only where its bits are read", async (t) => {
  const [add32, add64] = [vector(0xe4), vector(0xf0)];
  const store = vector(0x0b, 4, 0);
  const sum = [...op.get(0), ...op.get(1), ...add32];
  const cases: [string, number, number[][]][] = [
    ["dropped", 0, [sum, drop]],
    ["stored", 1, [op.i32(0), sum, store]],
    ["added again and stored", 1, [op.i32(0), sum, op.get(0), add32, store]],
    ["through a local", 1, [sum, op.set(0), op.i32(0), op.get(0), store]],
    ["as lanes of another width", 1, [sum, op.get(0), add64, drop]],
    ["the same through a local", 1, [sum, op.set(0), op.get(0), op.get(0), add64, drop]],
    ["as integers", 1, [sum, op.get(0), vector(0xae), drop]],
    ["in a shuffle", 1, [sum, op.get(0), vector(0x0d, ...new Array<number>(16).fill(1)), drop]],
    ["by pmin, which may give it on", 1, [sum, op.get(0), vector(0xea), drop]],
    ["compared", 0, [sum, op.get(0), vector(0x43), drop]],
    ["made integers", 0, [sum, vector(0xf8), drop]],
    ["a lane that is added", 0, [sum, vector(0x1f, 1), op.f32(1), [0x92], drop]],
    ["a lane that is stored", 1, [op.i32(0), sum, vector(0x1f, 1), op.storeF32()]],
    ["a lane of another width", 1, [sum, vector(0x21, 1), drop]],
    ["the bits of a lane", 1, [sum, vector(0x1b, 1), drop]],
    ["demoted, which is stored", 1, [op.i32(0), op.get(0), op.get(1), add64, vector(0x5e), store]],
  ];
  for (const [name, expected, code] of cases) t.equal(canonical(...code), expected, name);
  // A scalar that is put everywhere is followed, too.
  const splat = [op.get(2), op.get(2), [0x92], vector(0x13)];
  const scalars = (...code: number[][]): number =>
    Buffer.from(prepareModule(build({ functions: [{ locals: [v128, v128, f32], code }] }), NEWEST_RULES).bytes)
      .toString("latin1")
      .split("\x00\x00\xc0\x7f").length - 1;
  t.equal(scalars(...splat, op.get(0), add32, drop), 0);
  t.equal(scalars(...splat, op.get(0), add64, drop), 1);
  t.equal(scalars(op.i32(0), ...splat, store), 1);
  t.equal(NAN.f32 | NAN.f64, NAN.any);
});
