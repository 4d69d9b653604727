import { createHash, createHmac, hkdfSync } from "node:crypto";
import { bls12_381 } from "@noble/curves/bls12-381.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { generateMnemonic, mnemonicToSeedSync, validateMnemonic } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { bigintToBytes, bytesToBigint, concat, fromHex, type Hex, toHex, uint32, utf8 } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import type { ValidatorKeys } from "./folder.ts";

const BLS_ORDER = bls12_381.fields.Fr.ORDER;
const SECP_ORDER = secp256k1.Point.Fn.ORDER;
/** EIP-2333: the Lamport keys are 255 times 32 bytes, as far as HKDF stretches. */
const LAMPORT_KEYS = 255;
const MIN_SEED_BYTES = 32;
const MAX_SEED_BYTES = 1_024;
const MAX_DEPTH = 16;
const HARDENED = 0x8000_0000;

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const hkdf = (ikm: Uint8Array, salt: Uint8Array, info: Uint8Array, size: number): Uint8Array =>
  new Uint8Array(hkdfSync("sha256", ikm, salt, info, size));

/** EIP-2333 HKDF_mod_r, the KeyGen of the IETF's BLS signatures. */
const hkdfModR = (ikm: Uint8Array): Hex => {
  let salt = utf8("BLS-SIG-KEYGEN-SALT-");
  for (;;) {
    salt = sha256(salt);
    const okm = hkdf(concat(ikm, Uint8Array.of(0)), salt, Uint8Array.of(0, 48), 48);
    const secret = bytesToBigint(okm) % BLS_ORDER;
    if (secret !== 0n) return toHex(bigintToBytes(secret, 32));
  }
};

/** EIP-2333 parent_SK_to_lamport_PK: the hash of the hashes of 2 times 255 keys that the parent and its negation give. */
const lamportKey = (parent: Uint8Array, index: number): Uint8Array => {
  const hashes = [parent, parent.map((byte) => ~byte)].flatMap((ikm) => {
    const keys = hkdf(ikm, uint32(index), new Uint8Array(0), LAMPORT_KEYS * 32);
    return Array.from({ length: LAMPORT_KEYS }, (_, i) => sha256(keys.subarray(32 * i, 32 * (i + 1))));
  });
  return sha256(...hashes);
};

const checkSeed = (seed: Uint8Array): Uint8Array => {
  if (seed.length < MIN_SEED_BYTES || seed.length > MAX_SEED_BYTES)
    throw new Error(`a seed has ${MIN_SEED_BYTES} to ${MAX_SEED_BYTES} bytes, this one ${seed.length}`);
  return seed;
};

/** Derives the BLS key at the root of a seed's tree (EIP-2333). Throws where the seed has under 32 bytes. */
export const deriveBlsMaster = (seed: Uint8Array): Hex => hkdfModR(checkSeed(seed));

/** Derives a BLS key's child (EIP-2333), `index` below 2^32. About a millisecond. */
export const deriveBlsChild = (parent: Hex, index: number): Hex => hkdfModR(lamportKey(fromHex(parent), index));

/** Reads a path of EIP-2334, "m/12381/3600/0/0/0": at least four levels under 12381, none hardened. Throws. */
export const parseBlsPath = (path: string): readonly number[] => {
  const [root, ...levels] = path.split("/");
  const isNumber = (level: string): boolean => /^(0|[1-9][0-9]{0,9})$/.test(level) && Number(level) < 2 ** 32;
  if (root !== "m" || levels.length < 4 || levels.length > MAX_DEPTH || !levels.every(isNumber))
    throw new Error(`"${path}" is no path of EIP-2334: m/12381/coin/account/use, each below 2^32 and without '`);
  if (levels[0] !== "12381") throw new Error(`"${path}" has the purpose ${levels[0]}, EIP-2334 says 12381`);
  return levels.map(Number);
};

/** Derives the BLS key at a path of EIP-2334. Throws where seed or path are malformed. */
export const deriveBls = (seed: Uint8Array, path: string): Hex =>
  parseBlsPath(path).reduce(deriveBlsChild, deriveBlsMaster(seed));

/**
 * Derives the secp256k1 key at a path of BIP-32, "m/44'/60'/0'/0/0". Throws where the path is malformed, or where a step gives
 * no key, which BIP-32 expects once in 2^127.
 */
export const deriveSecp256k1 = (seed: Uint8Array, path: string): Hex => {
  const levels = path.split("/").slice(1);
  if (!/^m(\/(0|[1-9][0-9]{0,9})'?)*$/.test(path) || levels.some((level) => Number.parseInt(level, 10) >= HARDENED))
    throw new Error(`"${path}" is no path of BIP-32`);
  const hmac = (key: Uint8Array, ...data: readonly Uint8Array[]): readonly [bigint, Uint8Array] => {
    const both = createHmac("sha512", key)
      .update(concat(...data))
      .digest();
    const scalar = bytesToBigint(both.subarray(0, 32));
    if (scalar >= SECP_ORDER) throw new Error(`no key at ${path}: take the next`);
    return [scalar, both.subarray(32)];
  };
  let [key, chainCode] = hmac(utf8("Bitcoin seed"), checkSeed(seed));
  for (const level of levels) {
    const isHardened = level.endsWith("'");
    const index = Number.parseInt(level, 10) + (isHardened ? HARDENED : 0);
    const secret = bigintToBytes(key, 32);
    const data = isHardened ? concat(Uint8Array.of(0), secret) : secp256k1.getPublicKey(secret, true);
    const [scalar, next] = hmac(chainCode, data, uint32(index));
    key = (scalar + key) % SECP_ORDER;
    chainCode = next;
  }
  if (key === 0n) throw new Error(`no key at ${path}: take the next`);
  return toHex(bigintToBytes(key, 32));
};

/** The path of a validator's BLS key: EIP-2334's for signing keys, which other tools derive too. */
export const blsPathOf = (index: number): string => `m/12381/3600/${index}/0/0`;
/** The path of a validator's secp256k1 key: BIP-44's for Ethereum, so that wallets show its account. */
export const secpPathOf = (index: number): string => `m/44'/60'/0'/0/${index}`;

/** Derives both keys of a seed's validator number `index`. */
export const deriveValidator = (seed: Uint8Array, index: number): ValidatorKeys => {
  const secp = deriveSecp256k1(seed, secpPathOf(index));
  return { address: addressOf(secp), secp, bls: deriveBls(seed, blsPathOf(index)) };
};

/** Makes 24 words of BIP-39: 256 bits from the system's randomness. */
export const newMnemonic = (): string => generateMnemonic(wordlist, 256);

/** Reads a seed: 0x and hex of 32 bytes and more, or the English words of BIP-39 with its passphrase. Throws. */
export const readSeed = (text: string, passphrase = ""): Uint8Array => {
  const seed = text.trim();
  if (/^0x([0-9a-fA-F]{2})*$/.test(seed)) return checkSeed(fromHex(seed));
  const words = seed.normalize("NFKD").toLowerCase().split(/\s+/).join(" ");
  if (!validateMnemonic(words, wordlist))
    throw new Error("neither hex with 0x nor words of BIP-39: a word is wrong, missing or out of order");
  return mnemonicToSeedSync(words, passphrase);
};
