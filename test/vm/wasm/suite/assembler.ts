/** What turns the text of modules into bytes: wabt, which checks the text's form but not the module's validity. */
import type { ConstantText, ModuleText } from "./wast.ts";

const FEATURES = {
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  multi_value: true,
  bulk_memory: true,
  reference_types: true,
  threads: true,
  exceptions: false,
} as const;

/** A value by its bits, or what a NaN must be. */
export interface Value {
  readonly type: "i32" | "i64" | "f32" | "f64" | "v128" | "other";
  readonly bits: bigint;
  readonly nan?: Nan;
  /** What the lanes of a vector must be, where one must be a NaN of some kind. */
  readonly lanes?: readonly Value[];
}
type Nan = "canonical" | "arithmetic";
const nanOf = (text: string): Nan | undefined =>
  text === "nan:canonical" || text === "nan:arithmetic" ? (text.slice(4) as Nan) : undefined;

/** Joins the two 64-bit lanes of a vector. */
export const bitsOfHalves = ([low, high]: readonly [bigint, bigint]): bigint =>
  BigInt.asUintN(64, low) | (BigInt.asUintN(64, high) << 64n);

/** Splits a vector's bits into floats, of which some must be NaNs. */
const lanesOf = (text: string, bits: bigint): Value[] | undefined => {
  const [shape, ...words] = text.split(" ");
  const nans = words.map(nanOf);
  if (nans.every((nan) => nan === undefined)) return undefined;
  const type = shape === "f32x4" ? "f32" : "f64";
  const width = type === "f32" ? 32 : 64;
  return nans.map((nan, i) => ({ type, bits: BigInt.asUintN(width, bits >> BigInt(width * i)), ...(nan && { nan }) }));
};

/** Loads wabt. */
export const loadAssembler = async () => {
  const { default: load } = await import("wabt");
  const wabt = await load();
  const toBytes = (text: Uint8Array | string): Uint8Array => {
    const module = wabt.parseWat("suite.wat", typeof text === "string" ? text : Uint8Array.from(text), FEATURES);
    try {
      return module.toBinary({}).buffer.slice();
    } finally {
      module.destroy();
    }
  };
  return {
    /** Gives a module's bytes. Throws Error where the text is malformed. */
    assemble: (module: ModuleText): Uint8Array => (module.form === "binary" ? module.bytes : toBytes(module.bytes)),
    toBytes,
    /** Computes the bits of constants, all at once, so that wabt decides how numbers are read. */
    evaluate(constants: readonly ConstantText[]): Map<string, Value> {
      const values = new Map<string, Value>();
      const functions: string[] = [];
      for (const { op, value } of constants) {
        const key = `${op} ${value}`;
        if (values.has(key)) continue;
        const type = op.slice(0, 3);
        const nan = nanOf(value);
        if (op === "v128.const") {
          const known = `(v128.const ${value.replaceAll(/nan:(canonical|arithmetic)/g, "0")})`;
          values.set(key, { type: "v128", bits: 0n });
          functions.push(
            `(func (export ${JSON.stringify(key)}) (result i64 i64) (i64x2.extract_lane 0 ${known}) (i64x2.extract_lane 1 ${known}))`,
          );
        } else if (!/^[if](32|64)\.const$/.test(op)) values.set(key, { type: "other", bits: 0n });
        else if (nan !== undefined) values.set(key, { type: type as "f32", bits: 0n, nan });
        else {
          values.set(key, { type: type as "i32", bits: 0n });
          const read = type.startsWith("f")
            ? `i${type.slice(1)}.reinterpret_${type} (${op} ${value})`
            : `${op} ${value}`;
          functions.push(`(func (export ${JSON.stringify(key)}) (result i${type.slice(1)}) (${read}))`);
        }
      }
      const module = new WebAssembly.Module(toBytes(`(module ${functions.join("\n")})`) as Uint8Array<ArrayBuffer>);
      for (const [key, read] of Object.entries(new WebAssembly.Instance(module).exports)) {
        const { type } = values.get(key)!;
        const raw = (read as () => number | bigint | [bigint, bigint])();
        if (Array.isArray(raw)) {
          const bits = bitsOfHalves(raw);
          const lanes = lanesOf(key.slice("v128.const ".length), bits);
          values.set(key, { type, bits, ...(lanes && { lanes }) });
        } else values.set(key, { type, bits: BigInt.asUintN(type.endsWith("32") ? 32 : 64, BigInt(raw)) });
      }
      return values;
    },
  };
};
export type Assembler = Awaited<ReturnType<typeof loadAssembler>>;
