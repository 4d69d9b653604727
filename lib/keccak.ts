import { keccak_256, keccak_512 } from "@noble/hashes/sha3.js";
import { createKeccak } from "hash-wasm";
import { type Hash, toHex } from "./bytes.ts";

type Hasher = (parts: readonly Uint8Array[]) => Uint8Array;

const pure256: Hasher = (parts) => {
  const hash = keccak_256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
};

// WebAssembly hashes 5-10 times faster than JavaScript; where it does not load, noble answers the same.
const fast256: Hasher = await createKeccak(256).then(
  (hasher) => (parts) => {
    hasher.init();
    for (const part of parts) hasher.update(part);
    return hasher.digest("binary");
  },
  () => pure256,
);

/** Hashes the concatenation of `parts` with Keccak-256 (the original padding, as Ethereum uses). 32 bytes. */
export const keccak256Bytes = (...parts: readonly Uint8Array[]): Uint8Array => fast256(parts);
/** As keccak256Bytes, in hex. */
export const keccak256 = (...parts: readonly Uint8Array[]): Hash => toHex(fast256(parts));
/** Hashes with Keccak-512. 64 bytes. */
export const keccak512Bytes = (data: Uint8Array): Uint8Array => keccak_512(data);
/** The reference implementation, for tests. */
export const keccak256Reference = (...parts: readonly Uint8Array[]): Uint8Array => pure256(parts);
