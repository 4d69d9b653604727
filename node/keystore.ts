import { createCipheriv, createHash, pbkdf2, randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import { scrypt as hashWasmScrypt } from "hash-wasm";
import { blsPublicKey } from "../lib/bls.ts";
import { type Address, concat, fromHex, type Hex, toHex, utf8 } from "../lib/bytes.ts";
import { parseJson } from "../lib/json.ts";
import { keccak256Bytes } from "../lib/keccak.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { emptiness, readRegular } from "../lib/whole-file.ts";
import { REMEDIES } from "./remedies.ts";

const deriveScrypt = promisify<string | Uint8Array, Uint8Array, number, object, Buffer>(scrypt);
const derivePbkdf2 = promisify(pbkdf2);

/** A secret key out of its file: a secp256k1 key with its address, or a BLS key with its public key. */
export type UnlockedKey =
  | { readonly kind: "secp256k1"; readonly secret: Hex; readonly address: Address }
  | { readonly kind: "bls"; readonly secret: Hex; readonly publicKey: Hex };

/** How a password becomes a key: cost and salt. `n`, `r`, `p` are scrypt's, `c` the iterations of PBKDF2 with SHA-256. */
export type Kdf =
  | { readonly name: "scrypt"; readonly n: number; readonly r: number; readonly p: number; readonly salt: Uint8Array }
  | { readonly name: "pbkdf2"; readonly c: number; readonly salt: Uint8Array };

/** A key file was refused: malformed, not supported, or the password is wrong. */
export class KeystoreError extends Error {}

const KEY_BYTES = 32;
const CIPHER = "aes-128-ctr";
/** Most that a file may ask for: what a stranger's file costs to open stays in the order of ten seconds. */
const MAX_SCRYPT_BYTES = 512 * 1024 * 1024;
const MAX_SCRYPT_BLOCKS = 2 ** 22;
const MAX_PBKDF2_ROUNDS = 10_000_000;
const MAX_FILE_BYTES = 64 * 1024;

const fail = (reason: string): never => {
  throw new KeystoreError(`keystore: ${reason}`);
};

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown, name: string): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : fail(`${name} is not an object`);

const whole = (value: unknown, name: string, least: number, most: number): number =>
  Number.isInteger(value) && (value as number) >= least && (value as number) <= most
    ? (value as number)
    : fail(`${name} must be from ${least} to ${most}, got ${JSON.stringify(value)}`);

/** Reads hex, which these files write without 0x, and some with. */
const bytesOf = (value: unknown, name: string, least: number, most: number): Uint8Array => {
  const hex = typeof value === "string" ? value.replace(/^0x/, "") : "";
  if (!/^([0-9a-fA-F]{2})*$/.test(hex) || hex.length < 2 * least || hex.length > 2 * most)
    return fail(`${name} must be ${least === most ? least : `${least} to ${most}`} bytes in hex`);
  return Uint8Array.from(Buffer.from(hex, "hex"));
};

const bare = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

const readKdf = (name: unknown, params: Fields): Kdf => {
  const salt = bytesOf(params.salt, "salt", 0, 1_024);
  whole(params.dklen, "dklen", KEY_BYTES, KEY_BYTES);
  if (name === "pbkdf2") {
    if (params.prf !== "hmac-sha256") fail(`prf ${JSON.stringify(params.prf)} is not supported`);
    return { name, c: whole(params.c, "c", 1, MAX_PBKDF2_ROUNDS), salt };
  }
  if (name !== "scrypt") return fail(`key derivation ${JSON.stringify(name)} is not supported`);
  const [n, r, p] = [whole(params.n, "n", 2, 2 ** 24), whole(params.r, "r", 1, 64), whole(params.p, "p", 1, 64)];
  if ((n & (n - 1)) !== 0) fail("n must be a power of two");
  if (128 * n * r > MAX_SCRYPT_BYTES || n * r * p > MAX_SCRYPT_BLOCKS) fail("scrypt asks for too much memory or time");
  return { name, n, r, p, salt };
};

const kdfParams = (kdf: Kdf): Fields =>
  kdf.name === "scrypt"
    ? { dklen: KEY_BYTES, n: kdf.n, r: kdf.r, p: kdf.p, salt: bare(kdf.salt) }
    : { dklen: KEY_BYTES, c: kdf.c, prf: "hmac-sha256", salt: bare(kdf.salt) };

const derive = async (password: Uint8Array, kdf: Kdf): Promise<Uint8Array> => {
  if (kdf.name === "pbkdf2") return derivePbkdf2(password, kdf.salt, kdf.c, KEY_BYTES, "sha256");
  const { n, r, p, salt } = kdf;
  // RFC 7914 asks for n below 2^(16 r), which OpenSSL enforces and some older wallets did not.
  if (n >= 2 ** (16 * r))
    return hashWasmScrypt({
      password,
      salt,
      costFactor: n,
      blockSize: r,
      parallelism: p,
      hashLength: KEY_BYTES,
      outputType: "binary",
    });
  return deriveScrypt(password, salt, KEY_BYTES, { N: n, r, p, maxmem: 128 * r * (n + p + 2) });
};

/** AES in counter mode: the same function both ways. */
const crypt = (derived: Uint8Array, iv: Uint8Array, data: Uint8Array): Uint8Array =>
  createCipheriv(CIPHER, derived.subarray(0, 16), iv).update(data);

/** EIP-2335: NFKD, without control characters. */
const blsPassword = (password: string): Uint8Array =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the standard takes out exactly these
  utf8(password.normalize("NFKD").replace(/[\u0000-\u001f\u007f-\u009f]/g, ""));

/** Some programs leave out the zeros that a key begins with, as numbers are written: the key is the number. */
const keyOf = (bytes: Uint8Array): Hex => toHex(concat(new Uint8Array(KEY_BYTES - bytes.length), bytes));

const check = (got: Uint8Array, expected: Uint8Array): void => {
  if (!timingSafeEqual(got, expected)) fail("wrong password, or the file is damaged");
};

const openWeb3 = async (file: Fields, password: string): Promise<UnlockedKey> => {
  const crypto = fieldsOf(file.crypto ?? file.Crypto, "crypto");
  if (crypto.cipher !== CIPHER) fail(`cipher ${JSON.stringify(crypto.cipher)} is not supported`);
  const kdf = readKdf(crypto.kdf, fieldsOf(crypto.kdfparams, "kdfparams"));
  const iv = bytesOf(fieldsOf(crypto.cipherparams, "cipherparams").iv, "iv", 16, 16);
  const ciphertext = bytesOf(crypto.ciphertext, "ciphertext", 1, KEY_BYTES);
  const mac = bytesOf(crypto.mac, "mac", 32, 32);
  const derived = await derive(utf8(password), kdf);
  check(keccak256Bytes(derived.subarray(16), ciphertext), mac);
  const secret = keyOf(crypt(derived, iv, ciphertext));
  const address = keyOrFail(() => addressOf(secret));
  if (file.address !== undefined && toHex(bytesOf(file.address, "address", 20, 20)) !== address)
    fail(`the key is that of ${address}, not of ${file.address}`);
  return { kind: "secp256k1", secret, address };
};

const openBls = async (file: Fields, password: string): Promise<UnlockedKey> => {
  const crypto = fieldsOf(file.crypto, "crypto");
  const [kdfModule, checksum, cipher] = ["kdf", "checksum", "cipher"].map((name) => fieldsOf(crypto[name], name)) as [
    Fields,
    Fields,
    Fields,
  ];
  if (checksum.function !== "sha256") fail(`checksum ${JSON.stringify(checksum.function)} is not supported`);
  if (cipher.function !== CIPHER) fail(`cipher ${JSON.stringify(cipher.function)} is not supported`);
  const kdf = readKdf(kdfModule.function, fieldsOf(kdfModule.params, "kdf.params"));
  const iv = bytesOf(fieldsOf(cipher.params, "cipher.params").iv, "iv", 16, 16);
  const message = bytesOf(cipher.message, "cipher.message", 1, KEY_BYTES);
  const expected = bytesOf(checksum.message, "checksum.message", 32, 32);
  const derived = await derive(blsPassword(password), kdf);
  check(createHash("sha256").update(derived.subarray(16)).update(message).digest(), expected);
  const secret = keyOf(crypt(derived, iv, message));
  const publicKey = keyOrFail(() => blsPublicKey(secret));
  if (file.pubkey !== undefined && toHex(bytesOf(file.pubkey, "pubkey", 48, 48)) !== publicKey)
    fail(`the key is that of ${publicKey}, not of ${file.pubkey}`);
  return { kind: "bls", secret, publicKey };
};

const keyOrFail = <T>(make: () => T): T => {
  try {
    return make();
  } catch {
    return fail("what it holds is not a secret key");
  }
};

/**
 * Opens a key file's JSON: Web3 Secret Storage version 3 (secp256k1), or EIP-2335 version 4 (BLS). Takes as long as the
 * file's author chose: usually under a second. Throws KeystoreError.
 */
export const openKeystore = async (json: unknown, password: string): Promise<UnlockedKey> => {
  const file = fieldsOf(json, "the file");
  if (file.version === 3) return openWeb3(file, password);
  if (file.version === 4) return openBls(file, password);
  return fail(`version ${JSON.stringify(file.version)} is not supported`);
};

/** Makes what new files use: scrypt at the cost that both standards name (256 MiB, about a second). */
export const strongKdf = (salt: Uint8Array = randomBytes(32)): Kdf => ({
  name: "scrypt",
  n: 262_144,
  r: 8,
  p: 1,
  salt,
});

/** Makes what opens without much memory: PBKDF2 at the cost of EIP-2335's example (a tenth of a second, 1 MiB). */
export const lightKdf = (salt: Uint8Array = randomBytes(32)): Kdf => ({ name: "pbkdf2", c: 262_144, salt });

/** Seals a secp256k1 key as Web3 Secret Storage version 3. Throws KeystoreError where it is no secret key. */
export const sealSecp256k1 = async (secret: Hex, password: string, kdf: Kdf = strongKdf()): Promise<Fields> => {
  const address = keyOrFail(() => addressOf(secret));
  const iv = randomBytes(16);
  const derived = await derive(utf8(password), kdf);
  const ciphertext = crypt(derived, iv, fromHex(secret));
  return {
    version: 3,
    id: randomUUID(),
    address: address.slice(2),
    crypto: {
      cipher: CIPHER,
      cipherparams: { iv: bare(iv) },
      ciphertext: bare(ciphertext),
      kdf: kdf.name,
      kdfparams: kdfParams(kdf),
      mac: bare(keccak256Bytes(derived.subarray(16), ciphertext)),
    },
  };
};

/** Seals a BLS key as EIP-2335 version 4; `path` is its place in an EIP-2334 tree, "" if it has none. */
export const sealBls = async (secret: Hex, password: string, kdf: Kdf = strongKdf(), path = ""): Promise<Fields> => {
  const publicKey = keyOrFail(() => blsPublicKey(secret));
  const iv = randomBytes(16);
  const derived = await derive(blsPassword(password), kdf);
  const message = crypt(derived, iv, fromHex(secret));
  const checksum = createHash("sha256")
    .update(concat(derived.subarray(16), message))
    .digest();
  return {
    crypto: {
      kdf: { function: kdf.name, params: kdfParams(kdf), message: "" },
      checksum: { function: "sha256", params: {}, message: bare(checksum) },
      cipher: { function: CIPHER, params: { iv: bare(iv) }, message: bare(message) },
    },
    description: "",
    pubkey: publicKey.slice(2),
    path,
    uuid: randomUUID(),
    version: 4,
  };
};

const readKeyBytes = (path: string): Uint8Array => {
  try {
    return readRegular(path, MAX_FILE_BYTES);
  } catch (error) {
    throw new KeystoreError((error as Error).message);
  }
};

/** Reads a key file's JSON, its secret still sealed. Throws KeystoreError with the path where it is none. */
export const readKeystoreFile = (path: string): Fields => {
  const bytes = readKeyBytes(path);
  try {
    return fieldsOf(parseJson(bytes), "the file");
  } catch {
    throw new KeystoreError(`${path} ${emptiness(bytes) ?? "is no JSON object"}. ${REMEDIES.keystore}`);
  }
};

/** Opens a key file. Throws KeystoreError with the path where it does not open. */
export const openKeystoreFile = async (path: string, password: string): Promise<UnlockedKey> => {
  try {
    return await openKeystore(readKeystoreFile(path), password);
  } catch (error) {
    if (error instanceof KeystoreError && !error.message.startsWith(path))
      throw new KeystoreError(`${path}: ${error.message}`);
    throw error;
  }
};
