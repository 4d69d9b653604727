import t from "tap";
import { parseModule } from "../../../vm/wasm/parse.ts";
import { IMPORTS, prepareModule, rewriteModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { build, f32, f64, i32, i64, op } from "../../helpers/wasm-builder.ts";

/** Gives the function of bits that a rewritten module makes of an operation on its argument, as a float, and a constant. */
const onBits = <Bits>(type: number, code: number[]): ((bits: Bits) => Bits) => {
  const bytes = build({ functions: [{ params: [type], results: [type], code: [code] }] });
  const module = parseModule(bytes, NEWEST_RULES);
  const { bytes: rewritten } = rewriteModule(module, { exports: module.exports, maxPages: 1, gas: 1_000_000 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(rewritten as Uint8Array<ArrayBuffer>), {
    [IMPORTS.own]: { [IMPORTS.fault]: () => undefined },
  });
  return exports._start as unknown as (bits: Bits) => Bits;
};

// Neither changes what is no NaN. After a division the value's bits are tested, elsewhere the value.
const NEUTRAL = [
  { name: "x - 0", constant: 0, f64: 0xa1, f32: 0x93 },
  { name: "x / 1", constant: 1, f64: 0xa3, f32: 0x95 },
];

for (const { name, constant, f64, f32 } of NEUTRAL)
  t.test(`${name}: every NaN becomes the one that is canonical, and nothing else changes`, async (t) => {
    const double = onBits<bigint>(i64, [...op.get(0), 0xbf, ...op.f64(constant), f64, 0xbd]);
    const single = onBits<number>(i32, [...op.get(0), 0xbe, ...op.f32(constant), f32, 0xbc]);
    for (const sign of [0n, 1n]) {
      // The ends of zero, subnormals, normals and infinity.
      for (const bits of [0n, 1n, 0xfffffffffffffn, 1n << 52n, 0x7fefffffffffffffn, 0x7ff0000000000000n])
        t.equal(BigInt.asUintN(64, double(bits | (sign << 63n))), bits | (sign << 63n), bits.toString(16));
      for (const payload of [1n, 0x7ffffffffffffn, 0x8000000000000n, 0x8000000000001n, 0xfffffffffffffn])
        t.equal(double((0x7ffn << 52n) | payload | (sign << 63n)), 0x7ff8000000000000n, payload.toString(16));
    }
    for (const sign of [0, 0x80000000]) {
      for (const bits of [0, 1, 0x7fffff, 0x800000, 0x7f7fffff, 0x7f800000])
        t.equal(single(bits | sign) >>> 0, (bits | sign) >>> 0, bits.toString(16));
      for (const payload of [1, 0x3fffff, 0x400000, 0x400001, 0x7fffff])
        t.equal(single(0x7f800000 | payload | sign), 0x7fc00000, payload.toString(16));
    }
  });

t.test("what a body counts in limits does not follow how canonical NaNs are written", async (t) => {
  const counted = (locals: number): string => {
    const code: number[][] = [];
    for (let i = 0; i < 20; i++) {
      code.push(op.block());
      for (const f64 of [0xa0, 0xa3]) code.push(op.i32(0), op.f64(1), op.f64(2), [f64], op.storeF64());
      for (const f32 of [0x92, 0x95]) code.push(op.i32(0), op.f32(1), op.f32(2), [f32], op.storeF32());
    }
    const rules = { ...NEWEST_RULES, limits: { ...NEWEST_RULES.limits, rewrittenBodyBytes: 100 } };
    const types = Array.from({ length: locals }, (_, i) => (i % 2 ? f32 : f64));
    try {
      prepareModule(build({ functions: [{ locals: types, code }] }), rules);
      return "accepted";
    } catch (error) {
      return (error as Error).message;
    }
  };
  t.equal(counted(0), "section code, function 0: rewritten body of 3011 bytes, at most 100");
  t.equal(counted(130), "section code, function 0: rewritten body of 3512 bytes, at most 100");
});
