import { F32, F64, I32, I64 } from "./opcodes.ts";
import type { Reader } from "./reader.ts";

/** Reads a value type: one of the four numbers. Throws WasmRefused with the feature that another one belongs to. */
export const readValueType = (reader: Reader): number => {
  const type = reader.byte();
  if (type !== I32 && type !== I64 && type !== F32 && type !== F64)
    reader.refuse(
      type === 0x7b
        ? "SIMD is not allowed"
        : type === 0x70 || type === 0x6f
          ? "reference values are not allowed"
          : `unknown value type 0x${type.toString(16)}`,
      reader.at - 1,
    );
  return type;
};

/** Reads a vector of value types. */
export const readValueTypes = (reader: Reader, max: number, what: string): Uint8Array => {
  const out = new Uint8Array(reader.count(max, what));
  for (let i = 0; i < out.length; i++) out[i] = readValueType(reader);
  return out;
};
