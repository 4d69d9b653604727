import { secp256k1 as noble } from "@noble/curves/secp256k1.js";
import native from "secp256k1";
import { type Address, bigintToBytes, bytesToBigint, concat, fromHex, type Hash, type Hex, toHex } from "./bytes.ts";
import { keccak256Bytes } from "./keccak.ts";

// The package runs libsecp256k1, and where its native part does not load, elliptic in JavaScript behind the same functions.

/** An ECDSA signature over secp256k1 with the parity of the nonce point. */
export interface Signature {
  readonly r: bigint;
  readonly s: bigint;
  readonly yParity: 0 | 1;
}

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const HALF = ORDER >> 1n;

/** Computes the address of an uncompressed public key (65 bytes, 0x04 first). */
const addressOfKey = (uncompressed: Uint8Array): Address =>
  toHex(keccak256Bytes(uncompressed.subarray(1)).subarray(12));

/** Computes the address of a private key. Throws on a key out of range. */
export const addressOf = (privateKey: Hex): Address => addressOfKey(native.publicKeyCreate(fromHex(privateKey), false));

/** Makes a private key from the system's randomness. */
export const randomPrivateKey = (): Hex => toHex(noble.utils.randomSecretKey());

/** Signs a 32-byte hash deterministically (RFC 6979), with low s. */
export const sign = (hash: Hash, privateKey: Hex): Signature => {
  const { signature, recid } = native.ecdsaSign(fromHex(hash), fromHex(privateKey));
  return {
    r: bytesToBigint(signature.subarray(0, 32)),
    s: bytesToBigint(signature.subarray(32)),
    yParity: (recid & 1) as 0 | 1,
  };
};

/** Recovers the signer's address; undefined where the signature is invalid or s is high (EIP-2). */
export const recover = (hash: Hash, { r, s, yParity }: Signature): Address | undefined => {
  if (r <= 0n || r >= ORDER || s <= 0n || s > HALF) return undefined;
  try {
    const compact = concat(bigintToBytes(r, 32), bigintToBytes(s, 32));
    return addressOfKey(native.ecdsaRecover(compact, yParity, fromHex(hash), false));
  } catch {
    return undefined; // the library throws where r is no x coordinate of the curve
  }
};

/** Signs a hash; 65 bytes r || s || v with v 0 or 1. */
export const signCompact = (hash: Hash, privateKey: Hex): Hex => {
  const { signature, recid } = native.ecdsaSign(fromHex(hash), fromHex(privateKey));
  return toHex(concat(signature, Uint8Array.of(recid & 1)));
};

/** Recovers the signer of a 65-byte signature with v 0 or 1, so that a message has one encoding; undefined where invalid. */
export const recoverCompact = (hash: Hash, signature: Hex): Address | undefined => {
  if (signature.length !== 132) return undefined;
  const bytes = fromHex(signature);
  const yParity = bytes[64] as number;
  if (yParity !== 0 && yParity !== 1) return undefined;
  return recover(hash, {
    r: bytesToBigint(bytes.subarray(0, 32)),
    s: bytesToBigint(bytes.subarray(32, 64)),
    yParity,
  });
};

/** Recovers likewise the signer of what a wallet signed, whose v may be 27 or 28. */
export const recoverOfWallet = (hash: Hash, signature: Uint8Array): Address | undefined => {
  const v = signature[64] ?? 0;
  return recoverCompact(hash, toHex(concat(signature.subarray(0, 64), Uint8Array.of(v >= 27 ? v - 27 : v))));
};

/** The reference recovery in JavaScript, for tests. Throws where invalid. */
export const recoverReference = (hash: Hash, { r, s, yParity }: Signature): Address => {
  const point = new noble.Signature(r, s, yParity).recoverPublicKey(fromHex(hash));
  return addressOfKey(point.toBytes(false));
};
