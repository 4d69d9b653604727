import { type Address, bytesToBigint, fromHex, toHex, utf8 } from "../lib/bytes.ts";

/**
 * The contract ABI (Solidity 0.8, docs.soliditylang.org/en/latest/abi-spec.html), strict: padding must be zero, integers
 * must fit, text must be UTF-8, and offsets may not make more out of the data than the data holds.
 */
export type AbiValue = bigint | boolean | string | Uint8Array | readonly AbiValue[];

/** Data is not what its type says. */
export class AbiError extends TypeError {
  override readonly name = "AbiError";
}

/** One ABI type. */
export interface AbiType {
  /** Canonical name, as selectors hash it. */
  readonly name: string;
  readonly dynamic: boolean;
  /** Words in the head where the type is static. */
  readonly words: number;
  decode(reader: Reader, at: number): AbiValue;
  encode(value: AbiValue): Uint8Array;
}

/** What is being decoded, with a budget of values so that shared offsets cannot multiply work. */
export interface Reader {
  readonly data: Uint8Array;
  budget: number;
}

/** Makes a reader of ABI data; every value costs a word of budget, and honest data has a word for each. */
export const readerOf = (data: Uint8Array): Reader => ({ data, budget: (data.length >> 5) + 1 });

const fail = (reason: string): never => {
  throw new AbiError(reason);
};

const wordAt = (reader: Reader, at: number): Uint8Array => {
  if (--reader.budget < 0) fail("more values than words");
  if (at + 32 > reader.data.length) fail("data too short");
  return reader.data.subarray(at, at + 32);
};

/** Reads a length or an offset: never more than the data's own size. */
const sizeAt = (reader: Reader, at: number): number => {
  const bytes = wordAt(reader, at);
  for (let i = 0; i < 28; i++) if (bytes[i] !== 0) fail("length or offset out of range");
  const size = Number(bytesToBigint(bytes.subarray(28)));
  return size > reader.data.length ? fail("length or offset out of range") : size;
};

const leftPadded = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(32);
  out.set(bytes, 32 - bytes.length);
  return out;
};

const rightPadded = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(Math.ceil(bytes.length / 32) * 32);
  out.set(bytes);
  return out;
};

/** Encodes an unsigned integer as a word. Throws a RangeError beyond 256 bits. */
export const wordOf = (value: bigint | number): Uint8Array => {
  const big = BigInt(value);
  if (big < 0n || big >> 256n !== 0n) throw new RangeError(`${big} is no uint256`);
  return fromHex(`0x${big.toString(16).padStart(64, "0")}`);
};

const integer = (name: string, bits: number, signed: boolean): AbiType => {
  const low = signed ? -(1n << BigInt(bits - 1)) : 0n;
  const high = signed ? 1n << BigInt(bits - 1) : 1n << BigInt(bits);
  return {
    name,
    dynamic: false,
    words: 1,
    decode: (reader, at) => {
      const raw = bytesToBigint(wordAt(reader, at));
      const value = signed ? BigInt.asIntN(256, raw) : raw;
      return value < low || value >= high ? fail(`${value} is no ${name}`) : value;
    },
    encode: (value) => {
      const big = BigInt(value as bigint);
      if (big < low || big >= high) throw new RangeError(`${big} is no ${name}`);
      return wordOf(BigInt.asUintN(256, big));
    },
  };
};

const bool: AbiType = {
  name: "bool",
  dynamic: false,
  words: 1,
  decode: (reader, at) => {
    const value = bytesToBigint(wordAt(reader, at));
    return value > 1n ? fail(`${value} is no bool`) : value === 1n;
  },
  encode: (value) => wordOf(value ? 1 : 0),
};

const address: AbiType = {
  name: "address",
  dynamic: false,
  words: 1,
  decode: (reader, at) => {
    const bytes = wordAt(reader, at);
    for (let i = 0; i < 12; i++) if (bytes[i] !== 0) fail("dirty address");
    return toHex(bytes.subarray(12));
  },
  encode: (value) => {
    const bytes = fromHex(value as Address);
    if (bytes.length !== 20) throw new RangeError(`${value} is no address`);
    return leftPadded(bytes);
  },
};

const fixedBytes = (size: number): AbiType => ({
  name: `bytes${size}`,
  dynamic: false,
  words: 1,
  decode: (reader, at) => {
    const bytes = wordAt(reader, at);
    for (let i = size; i < 32; i++) if (bytes[i] !== 0) fail(`dirty bytes${size}`);
    return toHex(bytes.subarray(0, size));
  },
  encode: (value) => {
    const bytes = typeof value === "string" ? fromHex(value) : (value as Uint8Array);
    if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes are no bytes${size}`);
    return rightPadded(bytes);
  },
});

const readBytes = (reader: Reader, at: number): Uint8Array => {
  const length = sizeAt(reader, at);
  if (at + 32 + length > reader.data.length) fail("bytes too short");
  return reader.data.subarray(at + 32, at + 32 + length);
};

const writeBytes = (bytes: Uint8Array): Uint8Array => {
  const padded = rightPadded(bytes);
  const out = new Uint8Array(32 + padded.length);
  out.set(wordOf(bytes.length));
  out.set(padded, 32);
  return out;
};

const dynamicBytes: AbiType = {
  name: "bytes",
  dynamic: true,
  words: 1,
  decode: readBytes,
  encode: (value) => writeBytes(typeof value === "string" ? fromHex(value) : (value as Uint8Array)),
};

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const text: AbiType = {
  name: "string",
  dynamic: true,
  words: 1,
  decode: (reader, at) => {
    const bytes = readBytes(reader, at);
    try {
      return strictUtf8.decode(bytes);
    } catch {
      return fail("text is not UTF-8");
    }
  },
  encode: (value) => writeBytes(utf8(value as string)),
};

/** Decodes values of `types` laid out as a tuple that starts at `base`. */
export const decodeTuple = (types: readonly AbiType[], reader: Reader, base: number): AbiValue[] => {
  const values: AbiValue[] = [];
  let at = base;
  for (const type of types) {
    values.push(type.decode(reader, type.dynamic ? base + sizeAt(reader, at) : at));
    at += 32 * type.words;
  }
  return values;
};

/** Encodes values as a tuple: heads, then tails. Throws a RangeError where a value does not fit its type. */
export const encodeTuple = (types: readonly AbiType[], values: readonly AbiValue[]): Uint8Array => {
  if (types.length !== values.length) throw new RangeError(`${values.length} values for ${types.length} types`);
  const parts = types.map((type, i) => type.encode(values[i] as AbiValue));
  let headSize = 0;
  for (const type of types) headSize += 32 * type.words;
  let size = headSize;
  for (const [i, part] of parts.entries()) if (types[i]!.dynamic) size += part.length;
  const out = new Uint8Array(size);
  let head = 0;
  let tail = headSize;
  for (const [i, part] of parts.entries()) {
    if (types[i]!.dynamic) {
      out.set(wordOf(tail), head);
      out.set(part, tail);
      tail += part.length;
      head += 32;
    } else {
      out.set(part, head);
      head += part.length;
    }
  }
  return out;
};

/** Makes a tuple type. */
export const tupleOf = (types: readonly AbiType[]): AbiType => {
  const dynamic = types.some((type) => type.dynamic);
  return {
    name: `(${types.map((type) => type.name).join(",")})`,
    dynamic,
    words: dynamic ? 1 : types.reduce((sum, type) => sum + type.words, 0),
    decode: (reader, at) => decodeTuple(types, reader, at),
    encode: (value) => encodeTuple(types, value as AbiValue[]),
  };
};

/** Makes an array type; `length` undefined is one of any length. */
export const arrayOf = (item: AbiType, length: number | undefined): AbiType => {
  const dynamic = length === undefined || item.dynamic;
  return {
    name: `${item.name}[${length ?? ""}]`,
    dynamic,
    words: dynamic ? 1 : item.words * (length as number),
    decode: (reader, at) => {
      const count = length ?? sizeAt(reader, at);
      if (count > reader.budget) fail("more values than words");
      return decodeTuple(new Array(count).fill(item), reader, length === undefined ? at + 32 : at);
    },
    encode: (value) => {
      const values = value as AbiValue[];
      if (length !== undefined && values.length !== length)
        throw new RangeError(`${values.length} values, not ${length}`);
      const body = encodeTuple(new Array(values.length).fill(item), values);
      if (length !== undefined) return body;
      const out = new Uint8Array(32 + body.length);
      out.set(wordOf(values.length));
      out.set(body, 32);
      return out;
    },
  };
};

/** Makes an elementary type by its name. Throws on a name that is none. */
export const elementary = (name: string): AbiType => {
  if (name === "address") return address;
  if (name === "bool") return bool;
  if (name === "string") return text;
  if (name === "bytes") return dynamicBytes;
  const match = /^(u?int|bytes)(\d{0,3})$/.exec(name);
  const size = match?.[2] === "" ? 256 : Number(match?.[2]);
  if (match?.[1] === "bytes" && size >= 1 && size <= 32) return fixedBytes(size);
  if (match && match[1] !== "bytes" && size >= 8 && size <= 256 && size % 8 === 0)
    return integer(`${match[1]}${size}`, size, match[1] === "int");
  throw new SyntaxError(`no ABI type: ${name}`);
};
