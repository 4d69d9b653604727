import { F32, F64, I32, I64, V128 } from "./opcodes.ts";
import type { Reader } from "./reader.ts";
import type { Features } from "./versions.ts";

/** Reads a value type: a number or a vector. Throws WasmRefused with the feature that another one belongs to. */
export const readValueType = (reader: Reader, features: Features): number => {
  const type = reader.byte();
  if (type === V128 && features.simd) return type;
  if (type !== I32 && type !== I64 && type !== F32 && type !== F64)
    reader.refuse(
      type === V128
        ? "SIMD is not allowed"
        : type === 0x70 || type === 0x6f
          ? "reference values are not allowed"
          : `unknown value type 0x${type.toString(16)}`,
      reader.at - 1,
    );
  return type;
};

/** Reads a vector of value types. */
export const readValueTypes = (reader: Reader, features: Features, max: number, what: string): Uint8Array => {
  const out = new Uint8Array(reader.count(max, what));
  for (let i = 0; i < out.length; i++) out[i] = readValueType(reader, features);
  return out;
};
