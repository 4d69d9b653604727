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
  threads: false,
  exceptions: false,
} as const;

/** A value by its bits, or what a NaN must be. */
export interface Value {
  readonly type: "i32" | "i64" | "f32" | "f64" | "other";
  readonly bits: bigint;
  readonly nan?: "canonical" | "arithmetic";
}

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
        if (!/^[if](32|64)\.const$/.test(op)) values.set(key, { type: "other", bits: 0n });
        else if (value === "nan:canonical" || value === "nan:arithmetic")
          values.set(key, { type: type as "f32", bits: 0n, nan: value.slice(4) as "canonical" });
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
        const bits = BigInt.asUintN(type.endsWith("32") ? 32 : 64, BigInt((read as () => number | bigint)()));
        values.set(key, { type, bits });
      }
      return values;
    },
  };
};
export type Assembler = Awaited<ReturnType<typeof loadAssembler>>;
