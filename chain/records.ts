import { type Address, addressWord, concat, fromHex, type Hash, type Hex, word, ZERO_HASH } from "../lib/bytes.ts";
import { bytes, type Coder, decodeWith, encodeWith, text } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { asBytes, asList } from "../lib/rlp.ts";
import type { State } from "./state.ts";

/** What a record is found by in its table: a hash, an address, or a number. */
export type Id = Hash | Address | number | bigint;
/** The id of a record that there is one of. */
export const ONLY: Hash = ZERO_HASH;
/** The id of a record that belongs to two things: addresses, or words. */
export const pairId = (a: Hex, b: Hex): Hash => keccak256(concat(fromHex(a), fromHex(b)));

const idOf = (id: Id): Hash => {
  if (typeof id !== "string") return word(id);
  return id.length === ZERO_HASH.length ? id : addressWord(id);
};

/** Records of one kind: leaves of an account's storage (docs/state.md). Who reads a record must not change it. */
export interface Table<T> {
  get(state: State, id: Id): T | undefined;
  set(state: State, id: Id, value: T | undefined): void;
  /** The record's bytes, which tell whether there is one, and whether two are the same. */
  raw(state: State, id: Id): Uint8Array | undefined;
}

/** Where a table lies, and what its records are made of. */
export interface Place {
  readonly account: Address;
  readonly number: number;
  readonly version: number;
  /** The names of the record's fields; none where it is one value. */
  readonly fields: readonly string[];
}
const made = new Map<string, Place>();
/** Lists the places of all tables made so far. */
export const madeTables = (): Place[] => [...made.values()];

/** Puts a version before a record's fields. */
const versioned = <T>(place: string, version: number, coder: Coder<T>): Coder<T> => ({
  encode: (value) => [Uint8Array.of(version), ...asList(coder.encode(value))],
  decode: (item) => {
    const [first, ...fields] = asList(item);
    const [found] = asBytes(first!);
    if (found !== version) throw new Error(`${place}: a record of version ${found}, not ${version}`);
    return coder.decode(fields);
  },
});

/** What a decoded record takes of the heap, about, for each byte that it has, and besides. */
const [HEAP_A_BYTE, HEAP_A_RECORD] = [7, 128];
const MAX_DECODED_BYTES = 64 * 1024 * 1024;
/** By the bytes of a record, which the trie's cache hands out again; the older half goes at once. */
let [young, old, youngBytes] = [new WeakMap<Uint8Array, Decoded>(), new WeakMap<Uint8Array, Decoded>(), 0];
interface Decoded {
  readonly coder: unknown;
  readonly value: unknown;
}
const decodeOnce = <T>(coder: Coder<T>, bytes: Uint8Array): T => {
  let known = young.get(bytes);
  if (known?.coder === coder) return known.value as T;
  known = old.get(bytes);
  // Alike leaves of two accounts may have the same bytes.
  if (known?.coder !== coder) known = { coder, value: decodeWith(coder, bytes) };
  if (youngBytes > MAX_DECODED_BYTES) [young, old, youngBytes] = [new WeakMap(), young, 0];
  young.set(bytes, known);
  youngBytes += HEAP_A_BYTE * bytes.length + HEAP_A_RECORD;
  return known.value as T;
};

/**
 * Makes a table of an account. Its number is for ever, and so is the format of its records: one that may change has a version,
 * from 1 on, as its first field; at version 0 records are what the coder makes, and what comes after them takes another number.
 * Throws an Error where the place is taken.
 */
export const table = <T>(account: Address, number: number, version: number, coder: Coder<T>): Table<T> => {
  const place = `table ${number} of ${account}`;
  if (made.has(place)) throw new Error(`${place} was made before`);
  made.set(place, { account, number, version, fields: coder.fields ?? [] });
  const whole = version === 0 ? coder : versioned(place, version, coder);
  const raw = (state: State, id: Id) => state.record(account, number, idOf(id));
  return {
    raw,
    get: (state, id) => {
      const bytes = raw(state, id);
      return bytes && decodeOnce(whole, bytes);
    },
    set: (state, id, value) =>
      state.setRecord(account, number, idOf(id), value === undefined ? undefined : encodeWith(whole, value)),
  };
};

/** The coder of a record of one field. */
export const single = <T>(coder: Coder<T>): Coder<T> => ({
  encode: (value) => [coder.encode(value)],
  decode: (item) => coder.decode(asList(item)[0]!),
});

/** No record field can be longer than the transaction that brought it. */
const MAX_FIELD = 1 << 18;
/** Bytes of any length that a transaction can bring. */
export const anyBytes = bytes(MAX_FIELD);
/** Text of any length that a transaction can bring. */
export const anyText = text(MAX_FIELD);
