import { bigintToMinimal, bytesToBigint, fromHex, type Hex, toHex, utf8 } from "./bytes.ts";
import { asBytes, asList, decodeRlp, encodeRlp, type Item, type RlpLimits } from "./rlp.ts";
import { RuleError } from "./rule-error.ts";

/** Turns a value into an RLP item and back; decoding is strict and throws RuleError "codec". */
export interface Coder<T> {
  encode(value: T): Item;
  decode(item: Item): T;
  /** The names of a field list, in order. */
  readonly fields?: readonly string[];
}

const fail = (detail: string): never => {
  throw new RuleError("codec", { verdict: "reject", section: "5" }, detail);
};

const integer = (item: Item, maxBytes: number): bigint => {
  const bytes = asBytes(item, "integer");
  if (bytes.length > maxBytes) fail(`integer of ${bytes.length} bytes, at most ${maxBytes}`);
  if (bytes[0] === 0) fail("integer with a leading zero");
  return bytesToBigint(bytes);
};

/** An unsigned integer that is a safe JavaScript number. */
export const uint: Coder<number> = {
  encode: (value) => bigintToMinimal(BigInt(value)),
  decode: (item) => {
    const value = integer(item, 8);
    return value > BigInt(Number.MAX_SAFE_INTEGER) ? fail(`${value} is over 2^53-1`) : Number(value);
  },
};

/** An unsigned integer of at most 256 bits. */
export const big: Coder<bigint> = { encode: bigintToMinimal, decode: (item) => integer(item, 32) };

/** A value of exactly `size` bytes, in hex. */
export const hexOf = (size: number): Coder<Hex> => ({
  encode: fromHex,
  decode: (item) => {
    const bytes = asBytes(item);
    return bytes.length === size ? toHex(bytes) : fail(`${bytes.length} bytes, not ${size}`);
  },
});
export const hash = hexOf(32);
export const address = hexOf(20);

/** A value of exactly `size` bytes or empty (undefined). */
export const optionalHexOf = (size: number): Coder<Hex | undefined> => ({
  encode: (value) => (value === undefined ? new Uint8Array(0) : fromHex(value)),
  decode: (item) => (asBytes(item).length === 0 ? undefined : hexOf(size).decode(item)),
});

/** Bytes of any length up to `max`. */
export const bytes = (max: number): Coder<Uint8Array> => ({
  encode: (value) => value,
  decode: (item) => {
    const value = asBytes(item);
    return value.length <= max ? value : fail(`${value.length} bytes, at most ${max}`);
  },
});

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
/** UTF-8 text of at most `max` bytes, a byte order mark kept. */
export const text = (max: number): Coder<string> => {
  const limited = bytes(max);
  return { encode: utf8, decode: (item) => decoder.decode(limited.decode(item)) };
};

/** An integer 0 or 1. */
export const bool: Coder<boolean> = {
  encode: (value) => uint.encode(value ? 1 : 0),
  decode: (item) => {
    const value = uint.decode(item);
    return value > 1 ? fail(`${value} is no boolean`) : value === 1;
  },
};

/** A list of at most `max` items of one kind. */
export const list = <T>(coder: Coder<T>, max: number): Coder<readonly T[]> => ({
  encode: (values) => values.map((value) => coder.encode(value)),
  decode: (item) => {
    const items = asList(item);
    if (items.length > max) fail(`${items.length} items, at most ${max}`);
    return items.map((entry) => coder.decode(entry));
  },
});

/** Any RLP item, as it stands. */
export const raw: Coder<Item> = { encode: (value) => value, decode: (item) => item };

type Fields = Record<string, Coder<unknown>>;
// biome-ignore lint/suspicious/noExplicitAny: the field's own type is inferred from its coder
type FieldMap = Record<string, Coder<any>>;
/** The value that a field list describes. */
export type ValueOf<F extends FieldMap> = { readonly [K in keyof F]: F[K] extends Coder<infer T> ? T : never };

/** Makes the coder of a field list: an RLP list with exactly these fields in this order. */
export const record = <F extends FieldMap>(fields: F): Coder<ValueOf<F>> => {
  const entries = Object.entries(fields as Fields);
  return {
    fields: Object.keys(fields),
    encode: (value) => entries.map(([name, coder]) => coder.encode((value as Record<string, unknown>)[name])),
    decode: (item) => {
      const items = asList(item);
      if (items.length !== entries.length) fail(`${items.length} fields, not ${entries.length}`);
      const value: Record<string, unknown> = {};
      for (const [i, [name, coder]] of entries.entries()) value[name] = coder.decode(items[i] as Item);
      return value as ValueOf<F>;
    },
  };
};

/** Encodes a value as RLP bytes. */
export const encodeWith = <T>(coder: Coder<T>, value: T): Uint8Array => encodeRlp(coder.encode(value));
/** Decodes RLP bytes strictly. Throws RuleError "rlp" or "codec". */
export const decodeWith = <T>(coder: Coder<T>, input: Uint8Array, limits?: Partial<RlpLimits>): T =>
  coder.decode(decodeRlp(input, limits));
