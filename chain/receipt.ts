import { type Address, concat, fromHex, type Hash } from "../lib/bytes.ts";
import { address, bytes, decodeWith, hash, list, record, uint } from "../lib/codec.ts";
import { keccak256Bytes } from "../lib/keccak.ts";
import { encodeRlp } from "../lib/rlp.ts";

export interface Log {
  readonly address: Address;
  readonly topics: readonly Hash[];
  readonly data: Uint8Array;
}

/** What a transaction did. `gasUsed` is not part of the encoding: it is the difference of two cumulative figures. */
export interface Receipt {
  readonly type: 0 | 1 | 2;
  readonly status: 0 | 1;
  readonly cumulativeGasUsed: number;
  readonly gasUsed: number;
  readonly logsBloom: Uint8Array;
  readonly logs: readonly Log[];
}

const MAX_LOG_DATA = 16 * 1024 * 1024;
const coder = record({
  status: uint,
  cumulativeGasUsed: uint,
  logsBloom: bytes(256),
  logs: list(record({ address, topics: list(hash, 4), data: bytes(MAX_LOG_DATA) }), 1_000_000),
});

/** Encodes a receipt as Ethereum does: RLP, behind the type byte for types 1 and 2 (EIP-2718). */
export const encodeReceipt = (receipt: Receipt): Uint8Array => {
  const body = encodeRlp(
    coder.encode({ ...receipt, logs: receipt.logs.map((log) => ({ ...log, topics: [...log.topics] })) }),
  );
  return receipt.type === 0 ? body : concat(Uint8Array.of(receipt.type), body);
};

/** Decodes a receipt of our own storage; `before` is the cumulative gas of the receipt before. */
export const decodeReceipt = (input: Uint8Array, before = 0): Receipt => {
  const type = (input[0]! < 0xc0 ? input[0]! : 0) as 0 | 1 | 2;
  const value = decodeWith(coder, type === 0 ? input : input.subarray(1), { maxBytes: 64 * 1024 * 1024 });
  return { ...value, type, status: value.status as 0 | 1, gasUsed: value.cumulativeGasUsed - before };
};

/** Gives the three bits, 0 to 2,047, that an address or a topic sets in a bloom filter. */
export const bloomBits = (value: Uint8Array): readonly number[] => {
  const hash = keccak256Bytes(value);
  return [0, 2, 4].map((i) => ((hash[i]! << 8) | hash[i + 1]!) & 2047);
};

const addToBloom = (bloom: Uint8Array, value: Uint8Array): void => {
  for (const bit of bloomBits(value)) bloom[255 - (bit >> 3)]! |= 1 << (bit & 7);
};

/** Computes the 2,048-bit bloom filter of logs (yellow paper, section 4.3.1). */
export const bloomOf = (logs: readonly Log[]): Uint8Array => {
  const bloom = new Uint8Array(256);
  for (const log of logs) {
    addToBloom(bloom, fromHex(log.address));
    for (const topic of log.topics) addToBloom(bloom, fromHex(topic));
  }
  return bloom;
};

/** Joins bloom filters. */
export const joinBlooms = (blooms: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(256);
  for (const bloom of blooms) for (let i = 0; i < 256; i++) joined[i]! |= bloom[i]!;
  return joined;
};

/** Tells whether a bloom filter has all of some bits, so that the log with their value may be there. */
export const bloomHas = (bloom: Uint8Array, bits: readonly number[]): boolean => {
  for (const bit of bits) if ((bloom[255 - (bit >> 3)]! & (1 << (bit & 7))) === 0) return false;
  return true;
};
