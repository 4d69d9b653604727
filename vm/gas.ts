/**
 * Gas of native calls, beyond the transaction's own 21,000 and calldata (spec section 14, docs/rpc.md). It depends on
 * calldata only. One unit is about 10 ns of one core, as for Ethereum's own precompiles.
 */
export const NATIVE_GAS = {
  /** Any native call: finding it, decoding its arguments. */
  base: 1_000,
  /** Each word of calldata decoded. */
  perWord: 50,
  /** A record that nobody has read lately, in a trie on disk: 60 to 200 us (test/bench/views.ts). */
  read: 10_000,
  /** A function that reads up to five records. */
  view: 50_000,
  /** A function that writes one record. */
  write: 25_000,
  /** A function that writes several records and logs. */
  writeMany: 80_000,
  /** A recovery of an ECDSA signature. */
  recover: 6_000,
  /** A BLS proof of possession: two pairings and a hash to the curve, with the reference implementation. */
  proof: 1_500_000,
} as const;

/** Computes the gas of a native call from its method's own gas, that for each word, and its calldata. */
export const nativeGas = (own: number, data: Uint8Array, perWord = 0): number =>
  NATIVE_GAS.base + own + (NATIVE_GAS.perWord + perWord) * Math.ceil(data.length / 32);
