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

// A Buffer's own method works on any Uint8Array: half the time of making a Buffer first, and hex is on every path.
const { hexSlice } = Buffer.prototype as unknown as { hexSlice(this: Uint8Array, start: number, end: number): string };

/** Encodes bytes as lower-case hex with 0x. */
export const toHex = (bytes: Uint8Array): Hex => `0x${hexSlice.call(bytes, 0, bytes.length)}`;

/** The value of a digit by its character code; 255 is none. */
const DIGITS = new Uint8Array(128).fill(255);
for (const [value, digit] of [..."0123456789abcdef"].entries()) {
  DIGITS[digit.charCodeAt(0)] = value;
  DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}
/** Up to here a loop is faster than a Buffer. */
const SHORT_BYTES = 48;
const notHex = (hex: string): never => {
  throw new TypeError(`not hex: ${hex.slice(0, 80)}`);
};

/** Decodes 0x-prefixed hex of even length, either case. Throws a TypeError on anything else. */
export const fromHex = (hex: string): Uint8Array => {
  if (hex.length % 2 !== 0 || hex.charCodeAt(0) !== 48 || hex.charCodeAt(1) !== 120) return notHex(hex);
  const size = hex.length / 2 - 1;
  if (size > SHORT_BYTES) {
    const buffer = Buffer.from(hex.slice(2), "hex");
    // It stops before the first pair that is none.
    return buffer.length === size ? new Uint8Array(buffer.buffer, buffer.byteOffset, size) : notHex(hex);
  }
  const out = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const high = DIGITS[hex.charCodeAt(2 * i + 2)] ?? 255;
    const low = DIGITS[hex.charCodeAt(2 * i + 3)] ?? 255;
    if ((high | low) > 15) return notHex(hex);
    out[i] = (high << 4) | low;
  }
  return out;
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

/** Encodes a string as UTF-8. */
export const utf8 = (text: string): Uint8Array => {
  const buffer = Buffer.from(text, "utf8");
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length);
};

/** Bytes whose value is a safe JavaScript number. */
const SAFE_BYTES = 6;
const SAFE = 1n << BigInt(8 * SAFE_BYTES);

/** Reads a big-endian unsigned integer of any length; empty is 0. */
export const bytesToBigint = (bytes: Uint8Array): bigint => {
  if (bytes.length > SAFE_BYTES) return BigInt(toHex(bytes));
  let value = 0;
  for (const byte of bytes) value = value * 256 + byte;
  return BigInt(value);
};

/** Writes an unsigned integer big-endian in `size` bytes. Throws a RangeError if it does not fit. */
export const bigintToBytes = (value: bigint, size: number): Uint8Array => {
  if (value < 0n || value >> BigInt(8 * size) !== 0n) throw new RangeError(`${value} does not fit ${size} bytes`);
  return fromHex(`0x${value.toString(16).padStart(2 * size, "0")}`);
};

/** Writes an unsigned integer big-endian without leading zeros; 0 is empty (RLP's form). */
export const bigintToMinimal = (value: bigint): Uint8Array => {
  if (value < 0n) throw new RangeError(`${value} is negative`);
  if (value < SAFE) return numberToMinimal(Number(value));
  const digits = value.toString(16);
  return fromHex(`0x${digits.length % 2 === 0 ? digits : `0${digits}`}`);
};

const numberToMinimal = (value: number): Uint8Array => {
  let size = 0;
  for (let left = value; left > 0; left = Math.floor(left / 256)) size += 1;
  if (size === 0) return EMPTY;
  const out = new Uint8Array(size);
  for (let i = size - 1, left = value; i >= 0; i--, left = Math.floor(left / 256)) out[i] = left % 256;
  return out;
};

/** Writes a safe unsigned integer big-endian in 4 bytes. */
export const uint32 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 4);
/** Writes a safe unsigned integer big-endian in 8 bytes. */
export const uint64 = (value: number): Uint8Array => bigintToBytes(BigInt(value), 8);
/** Writes an unsigned integer as a 32-byte big-endian word in hex. */
export const word = (value: bigint | number): Hash => `0x${value.toString(16).padStart(64, "0")}`;
/** An address as a 32-byte word, as it stands in the topics of a log and in calldata. */
export const addressWord = (address: Address): Hash => `0x${address.slice(2).padStart(64, "0")}`;
/** The address in a word. */
export const wordAddress = (word: Hash): Address => `0x${word.slice(26)}`;
