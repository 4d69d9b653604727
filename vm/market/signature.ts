import { type Address, bytesToBigint, concat, fromHex, type Hash, utf8, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256, keccak256Bytes } from "../../lib/keccak.ts";
import { recover } from "../../lib/secp256k1.ts";
import { MARKET } from "../addresses.ts";
import { revert } from "../revert.ts";
import type { Env } from "./env.ts";
import { presignedBy } from "./order-state.ts";
import { isStandingOrder } from "./standing-order.ts";

const PARITY = 1n << 255n;

/**
 * Recovers the signer of a hash: 65 bytes r || s || v with v 27 or 28, or 64 bytes of EIP-2098, s low in both. Gives the
 * zero address for what no key has signed. Reverts on any other length.
 */
export const recoverSigner = (hash: Hash, signature: Uint8Array): Address => {
  if (signature.length !== 65 && signature.length !== 64) return revert("invalid-signature-format");
  const r = bytesToBigint(signature.subarray(0, 32));
  const second = bytesToBigint(signature.subarray(32, 64));
  const isCompact = signature.length === 64;
  const v = isCompact ? (second >= PARITY ? 28 : 27) : signature[64]!;
  if (v !== 27 && v !== 28) return ZERO_ADDRESS;
  const s = isCompact ? second % PARITY : second;
  return recover(hash, { r, s, yParity: v === 28 ? 1 : 0 }) ?? ZERO_ADDRESS;
};

/** Answers ERC-1271 for an account with code: the market's does for the orders of genesis pools, no other answers. */
const isValidSignature = (env: Env, account: Address, hash: Hash, signature: Uint8Array): boolean =>
  account === MARKET && isStandingOrder(env, hash, signature);

/** Tells whether an account has signed a hash. Reverts where the signature of an account without code has no form. */
export const verifySignature = (env: Env, account: Address, hash: Hash, signature: Uint8Array): boolean =>
  env.state.code(account).length > 0
    ? isValidSignature(env, account, hash, signature)
    : recoverSigner(hash, signature) === account;

/** Tells whether an account has signed a hash on chain. */
export const verifyPresignature = ({ state }: Env, account: Address, hash: Hash): boolean =>
  account !== ZERO_ADDRESS && presignedBy(state, hash) === account;

/** Tells whether an account has signed a hash, on chain or off it. */
export const verifyPresignatureOrSignature = (env: Env, account: Address, hash: Hash, signature: Uint8Array): boolean =>
  verifyPresignature(env, account, hash) || verifySignature(env, account, hash, signature);

const PREFIX = utf8("\x19Ethereum Signed Message:\n32");
/** Computes the EIP-191 hash of the keccak256 of bytes, given in parts. */
export const signedMessageHash = (...parts: readonly Hash[]): Hash =>
  keccak256(concat(PREFIX, keccak256Bytes(concat(...parts.map(fromHex)))));
