import "../../helpers/plain-spawn.ts";
import fc from "fast-check";
import t from "tap";
import { WasmRefused } from "../../../vm/wasm/refusal.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES, rulesOf } from "../../../vm/wasm/versions.ts";
import {
  build,
  f32,
  f64,
  HEADER,
  i32,
  i64,
  leb,
  type ModuleSource,
  op,
  section,
  v128,
  writeText,
} from "../../helpers/wasm-builder.ts";

const plain = (source: readonly number[] | ModuleSource): Uint8Array =>
  "functions" in source ? build(source) : Uint8Array.from(source);

const refused = (source: readonly number[] | ModuleSource, rules = NEWEST_RULES): string => {
  try {
    prepareModule(plain(source), rules);
  } catch (error) {
    if (error instanceof WasmRefused) return error.message;
    throw error;
  }
  return "accepted";
};
const code = (...bytes: number[][]): ModuleSource => ({ functions: [{ code: bytes }] });

/** Globals of i32: one that stays 1, one that may change, and one that begins as global 0 does. */
const FIXED = [0x7f, 0, 0x41, 1, 0x0b];
const MUTABLE = [0x7f, 1, 0x41, 1, 0x0b];
const AT_0 = [0x23, 0, 0x0b];
const FROM_0 = [0x7f, 0, ...AT_0];

t.test("features outside the profile are refused by name, with section, function and offset", async (t) => {
  const cases: [string, ModuleSource | number[], RegExp][] = [
    ["relaxed SIMD", code([0xfd, 0x80, 0x02]), /^section code, function 0, offset \d+: relaxed SIMD is not allowed/],
    ["a vector operation that there is not", code([0xfd, 0x9a, 0x01]), /unknown operation 0xfd 154/],
    ["an atomic operation that there is not", code([0xfe, 0x4f]), /unknown operation 0xfe 79/],
    ["shared memory", [...HEADER, ...section(5, [1, 3, 1, 1])], /section memory.*shared/],
    ["64-bit memory", [...HEADER, ...section(5, [1, 4, 1])], /64-bit/],
    ["two memories", [...HEADER, ...section(5, [2, 0, 1, 0, 1])], /several memories/],
    ["try", code([0x06, 0x40, 0x0b]), /exceptions/],
    ["try_table", code([0x1f, 0x40, 0, 0x0b]), /exceptions/],
    ["tags", [...HEADER, ...section(13, [1, 0, 0])], /exceptions/],
    ["a tail call", code([0x12, 0]), /tail calls/],
    ["ref.null", code([0xd0, 0x70], [0x1a]), /reference values/],
    ["an externref local", { functions: [{ locals: [0x6f], code: [] }] }, /reference values/],
    ["table.get", { table: [0], functions: [{ code: [op.i32(0), [0x25, 0]] }] }, /table.get/],
    ["table.grow", { table: [0], functions: [{ code: [[0xfc, 15, 0]] }] }, /table operations/],
    ["struct.new", code([0xfb, 0, 0]), /garbage collection/],
    ["a struct type", [...HEADER, ...section(1, [1, 0x5f, 0])], /only function types/],
    ["an imported memory", [...HEADER, ...section(2, [1, 1, 97, 1, 98, 2, 0, 1])], /imported memory/],
    ["an imported global", [...HEADER, ...section(2, [1, 1, 97, 1, 98, 3, 0x7f, 0])], /imported global/],
    ["an imported table", [...HEADER, ...section(2, [1, 1, 97, 1, 98, 1, 0x70, 0, 1])], /imported table/],
    [
      "an unknown import",
      [...HEADER, ...section(1, [1, 0x60, 0, 0]), ...section(2, [1, 1, 97, 1, 98, 0, 0])],
      /unknown import a\.b/,
    ],
    [
      "an extended constant",
      [...HEADER, ...section(6, [1, 0x7f, 0, 0x41, 1, 0x41, 1, 0x6a, 0x0b])],
      /extended constant/,
    ],
    ["a constant from itself", [...HEADER, ...section(6, [1, 0x7f, 0, 0x23, 0, 0x0b])], /the unknown global 0/],
    ["a constant from a mutable global", [...HEADER, ...section(6, [2, ...MUTABLE, ...FROM_0])], /mutable global 0/],
    [
      "a constant from a global of the module",
      [...HEADER, ...section(6, [2, ...FIXED, ...FROM_0])],
      /extended constant/,
    ],
    [
      "elements at a global of the module",
      [...HEADER, ...section(4, [1, 0x70, 0, 1]), ...section(6, [1, ...FIXED]), ...section(9, [1, 0, ...AT_0, 0])],
      /extended constant.* global 0 is of this module/,
    ],
    [
      "data at a global of the module",
      [...HEADER, ...section(5, [1, 0, 1]), ...section(6, [1, ...FIXED]), ...section(11, [1, 0, ...AT_0, 0])],
      /extended constant.* global 0 is of this module/,
    ],
    ["no _start", [...HEADER], /no _start/],
    ["a passive element segment", [...HEADER, ...section(4, [1, 0x70, 0, 1]), ...section(9, [1, 1, 0, 0])], /kind 1/],
    ["not WebAssembly", [1, 2, 3], /not a WebAssembly module/],
    ["a component", [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], /version 1/],
  ];
  for (const [name, source, reason] of cases) t.match(refused(source), reason, name);
});

t.test("vectors and atomics are refused by the rules that did not have them", async (t) => {
  const zero = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
  const cases: [string, ModuleSource | number[], RegExp][] = [
    ["SIMD", code(zero, [0x1a]), /^section code, function 0, offset \d+: SIMD is not allowed/],
    ["a v128 local", { functions: [{ locals: [v128], code: [] }] }, /SIMD is not allowed/],
    ["a v128 parameter", { functions: [{ code: [] }, { params: [v128], code: [] }] }, /SIMD is not allowed/],
    ["a v128 global", [...HEADER, ...section(6, [1, v128, 0, ...zero, 0x0b])], /SIMD is not allowed/],
    ["a v128 block", code([0x02, v128, 0x0b]), /unknown block type/],
    ["an atomic fence", code([0xfe, 0x03, 0]), /threads are not allowed/],
  ];
  for (const [name, source, reason] of cases) {
    t.match(refused(source, rulesOf(1)), reason, name);
    t.notMatch(refused(source), /not allowed/, `${name}, newest rules`);
  }
});

t.test("code that breaks the type rules is refused", async (t) => {
  const add = [0x6a];
  const cases: [string, ModuleSource, RegExp][] = [
    ["an empty stack", code(add), /empty/],
    ["mixed types", code(op.i32(1), op.i64(1n), add, [0x1a]), /expected i32, got i64/],
    ["a value left over", code(op.i32(1)), /left at the end/],
    ["an unknown local", code(op.get(0), [0x1a]), /unknown local/],
    ["an unknown label", code(op.br(1)), /unknown label/],
    ["an unknown function", code(op.call(9)), /unknown function/],
    ["an unknown function beyond 2^31", code(op.call(0xffff_ffff)), /unknown index/],
    ["an unknown global", code([0x23, 5], [0x1a]), /unknown global/],
    ["a call_indirect without a table", code(op.i32(0), op.callIndirect(0)), /no table/],
    [
      "memory without a memory",
      { memory: "none", functions: [{ code: [op.i32(0), op.load32(), [0x1a]] }] },
      /no memory/,
    ],
    ["an if that leaves a value without else", code(op.i32(1), [0x04, i32, 0x41, 1, 0x0b], [0x1a]), /without else/],
    ["else without if", code([0x05]), /else without if/],
    ["alignment above natural", code(op.i32(0), [0x28, 3, 0], [0x1a]), /alignment/],
    ["memory.init without a data count", code(op.i32(0), op.i32(0), op.i32(0), [0xfc, 8, 0, 0]), /no data count/],
    ["select of two types", code(op.i32(0), op.i64(0n), op.i32(0), [0x1b], [0x1a]), /one type/],
    ["operations after the end", code([0x0b], [0x01]), /after the end/],
    ["a lane that there is not", code(op.i32(1), [0xfd, 0x0f], [0xfd, 0x15, 16], [0x1a]), /invalid lane index, of 16/],
    ["a shuffle of lane 32", code([0xfd, 0x0d, ...new Array<number>(15).fill(0), 32]), /invalid lane index, of 32/],
    ["a vector where an integer belongs", code(op.i32(1), [0xfd, 0x0f], [0x45], [0x1a]), /expected i32, got v128/],
    ["a vector in parts", code([0xfd, 0x0c, 0]), /unexpected end/],
    ["a vector load beyond its alignment", code(op.i32(0), [0xfd, 0, 5, 0], [0x1a]), /alignment is larger/],
    ["an atomic load below its alignment", code(op.i32(0), [0xfe, 0x10, 1, 0], [0x1a]), /atomic access is not natural/],
    ["an atomic load above its alignment", code(op.i32(0), [0xfe, 0x10, 3, 0], [0x1a]), /alignment is larger/],
    ["a fence of more than one memory", code([0xfe, 3, 1]), /malformed atomic.fence/],
    [
      "atomics without a memory",
      { memory: "none", functions: [{ code: [op.i32(0), [0xfe, 0x10, 2, 0], [0x1a]] }] },
      /no memory/,
    ],
    [
      "a vector load without a memory",
      { memory: "none", functions: [{ code: [op.i32(0), [0xfd, 0, 4, 0], [0x1a]] }] },
      /no memory/,
    ],
    ["a body that does not end", { functions: [{ code: [[0x02, 0x40]] }] }, /unexpected end/],
    [
      "a data segment outside the memory",
      { functions: [{ code: [] }], data: [{ at: 65_535, bytes: [1, 2] }] },
      /does not fit/,
    ],
    ["memory over the undeclared limit", { memory: [4_097], functions: [{ code: [] }] }, /at most 4096/],
    [
      "deep nesting",
      code(...new Array<number[]>(4_100).fill([0x02, 0x40]), new Array<number>(4_100).fill(0x0b)),
      /nesting/,
    ],
    [
      "too many branches to one label",
      code(op.block(...new Array<number[]>(20_001).fill([...op.i32(0), ...op.brIf(0)]))),
      /20000 branches/,
    ],
    ["too many operands", code(...new Array<number[]>(16_385).fill(op.i32(0))), /16384 operands/],
    ["a function that takes V8 too long", code(...new Array<number[]>(9_000).fill(op.loop())), /too complex/],
    ["too many locals", { functions: [{ locals: new Array<number>(8_193).fill(i32), code: [] }] }, /8192 locals/],
  ];
  for (const [name, source, reason] of cases) t.match(refused(source), reason, name);
  t.match(refused([...HEADER, ...section(5, [1, 0, 1]), ...section(1, [0])]), /out of order/);
  t.match(refused([...HEADER, ...section(0, [5, 97])]), /unexpected end/);
  t.match(refused([...HEADER, ...section(0, [1, 0xff])]), /UTF-8/);
  t.match(refused([...HEADER, 1, ...leb(100), 0]), /unexpected end/);
});

/** Code with every allowed kind of operation in it, as a base of mutations. */
const RICH: ModuleSource = {
  imports: ["fd_write", "proc_exit"],
  table: [0, 3, 4],
  memory: [1, 3],
  data: [{ at: 64, bytes: [104, 105, 10] }],
  functions: [
    { locals: [i32, i64, f32, f64], code: [...writeText(0, 1, 64, 3), op.i32(1), op.call(3), [0x1a], op.call(5)] },
    {
      params: [i32],
      results: [i32],
      locals: [i32],
      code: [
        op.loop(op.get(0), op.i32(1), [0x6b], op.tee(0), op.brIf(0)),
        op.block(op.block(op.get(1), [0x0e, 1, 0, 1], op.i32(4), op.set(1))),
        op.get(0),
        op.get(1),
        op.i32(7),
        [0x1b],
      ],
    },
    {
      params: [f64, f64],
      results: [f64],
      code: [op.get(0), op.get(1), [0xa2], [0x9f], [0xb6], [0xbb], op.get(0), [0xa4]],
    },
    {
      code: [
        op.i32(0),
        op.f64(2),
        op.f64(3),
        op.call(4),
        op.storeF64(),
        [0x02, i32, ...op.i32(1), 0x0b],
        [0x04, i64, ...op.i64(5n), 0x05, ...op.i64(-6n), 0x0b],
        [0xc4, 0xa7, 0xc0],
        op.i32(3),
        [0x70],
        op.i32(0),
        op.i32(0),
        op.fill as unknown as number[],
        op.i32(1),
        op.grow as unknown as number[],
        [0x1a],
        op.f32(1.5),
        [0xfc, 0x00],
        [0x1a],
        op.i32(8),
        op.i32(1),
        op.callIndirect(3),
        [0x1a],
      ],
    },
  ],
};

t.test("what is accepted is valid for the engine too, before and after rewriting", async (t) => {
  const base = build(RICH);
  let accepted = 0;
  const check = (bytes: Uint8Array): void => {
    let prepared: Uint8Array;
    try {
      prepared = prepareModule(bytes, NEWEST_RULES).bytes;
    } catch (error) {
      if (!(error instanceof WasmRefused)) throw error;
      return;
    }
    accepted++;
    if (!WebAssembly.validate(bytes as Uint8Array<ArrayBuffer>)) throw new Error("accepted, but the engine refuses it");
    if (!WebAssembly.validate(prepared as Uint8Array<ArrayBuffer>)) throw new Error("rewritten to something invalid");
  };
  check(base);
  t.equal(accepted, 1);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }), (changes) => {
      const bytes = base.slice();
      for (const [at, value] of changes) bytes[at] = value;
      check(bytes);
    }),
    { numRuns: 20_000 },
  );
  t.ok(accepted > 500, `${accepted} mutants were accepted`);
});

t.test(
  "what the engine refuses for its types is refused here, and what it accepts of MVP code is accepted",
  async (t) => {
    // Random straight-line code over few operations: both must agree on it.
    const atoms: number[][] = [
      op.i32(1),
      op.i64(1n),
      op.f32(1),
      op.f64(1),
      [0x1a],
      [0x6a],
      [0x7c],
      [0x92],
      [0xa0],
      [0xa7],
      [0xad],
      [0xb7],
      [0x1b],
      op.get(0),
      op.set(1),
      op.tee(2),
      [0x02, 0x40],
      [0x03, 0x40],
      [0x04, 0x40],
      [0x05],
      [0x0b],
      op.br(0),
      op.brIf(1),
      [0x0f],
      [0x00],
      [0x02, i32],
      [0x04, f64],
      op.call(0),
      op.load32(),
      op.store32(),
      op.storeF64(),
      [0x0e, 1, 0, 1],
      [0x03, 1],
      [0xfc, 0x02],
    ];
    let agreed = 0;
    fc.assert(
      fc.property(fc.array(fc.nat(atoms.length - 1), { maxLength: 12 }), (picks) => {
        const module = build({
          functions: [
            { locals: [i32, i64, f64], code: picks.map((i) => atoms[i]!) },
            { params: [i32], results: [i32, i32], code: [op.get(0), op.get(0)] },
          ],
        });
        const expected = WebAssembly.validate(module as Uint8Array<ArrayBuffer>);
        const got = refused([...module]) === "accepted";
        if (expected) agreed++;
        if (got !== expected) throw new Error(`engine ${expected}, own validator: ${refused([...module])}`);
      }),
      { numRuns: 30_000 },
    );
    t.ok(agreed > 100, `${agreed} were valid`);
  },
);

t.test("rewriting is deterministic and strips custom sections", async (t) => {
  const bare = build(RICH);
  const custom = Uint8Array.from([...bare, ...section(0, [4, 110, 97, 109, 101, 1, 2, 3])]);
  t.same(prepareModule(bare, NEWEST_RULES).bytes, prepareModule(bare, NEWEST_RULES).bytes);
  t.same(prepareModule(custom, NEWEST_RULES).bytes, prepareModule(bare, NEWEST_RULES).bytes);
});
