/**
 * Bytes and hex. Throughout rolec a value of fixed size (address, hash, key, signature) is a lower-case
 * `0x…` string, so that `===` and `Map` work on it; a value of any size is a `Uint8Array`; an amount is a bigint.
 */
export type Hex = `0x${string}`;
/** 20 bytes. */
export type Address = Hex;
/** 32 bytes. */
export type Hash = Hex;

export const ZERO_ADDRESS: Address = `0x${"00".repeat(20)}`;
export const ZERO_HASH: Hash = `0x${"00".repeat(32)}`;
export const EMPTY = new Uint8Array(0);

const HEX = /^0x(?:[0-9a-f]{2})*$/;

/** Encodes bytes as lower-case hex with 0x. */
export const toHex = (bytes: Uint8Array): Hex =>
  `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")}`;

/** Decodes 0x-prefixed hex of even length, either case. Throws a TypeError on anything else. */
export const fromHex = (hex: string): Uint8Array => {
  if (!HEX.test(hex) && !HEX.test(hex.toLowerCase())) throw new TypeError(`not hex: ${hex.slice(0, 80)}`);
  const buffer = Buffer.from(hex.slice(2), "hex");
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
};

/** Tells whether `value` is a lower-case 0x string of exactly `size` bytes. */
export const isHex = (value: unknown, size: number): value is Hex =>
  typeof value === "string" && value.length === 2 + 2 * size && HEX.test(value);

/** Joins byte strings. */
export const concat = (...parts: readonly Uint8Array[]): Uint8Array => {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
};

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

/** Encodes a string as UTF-8. */
export const utf8 = (text: string): Uint8Array => {
  const buffer = Buffer.from(text, "utf8");
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
};

/** Reads a big-endian unsigned integer of any length; empty is 0. */
export const bytesToBigint = (bytes: Uint8Array): bigint => (bytes.length === 0 ? 0n : BigInt(toHex(bytes)));

/** Writes an unsigned integer big-endian in `size` bytes. Throws a RangeError if it does not fit. */
export const bigintToBytes = (value: bigint, size: number): Uint8Array => {
  if (value < 0n || value >> BigInt(8 * size) !== 0n) throw new RangeError(`${value} does not fit ${size} bytes`);
  return fromHex(`0x${value.toString(16).padStart(2 * size, "0")}`);
};

/** Writes an unsigned integer big-endian without leading zeros; 0 is empty (RLP's form). */
export const bigintToMinimal = (value: bigint): Uint8Array => {
  if (value < 0n) throw new RangeError(`${value} is negative`);
  if (value === 0n) return EMPTY;
  const digits = value.toString(16);
  return fromHex(`0x${digits.length % 2 === 0 ? digits : `0${digits}`}`);
};

/** Writes a safe unsigned integer big-endian in 4 bytes. */
export const uint32 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 4);
/** Writes a safe unsigned integer big-endian in 8 bytes. */
export const uint64 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 8);
/** Writes an unsigned integer as a 32-byte big-endian word in hex. */
export const word = (value: bigint | number): Hash => `0x${BigInt(value).toString(16).padStart(64, "0")}`;
