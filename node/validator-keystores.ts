import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { blsPublicKey } from "../lib/bls.ts";
import { type Address, type Hex, isHex } from "../lib/bytes.ts";
import { mustBePrivate } from "../lib/private-file.ts";
import { DamagedFileError, emptiness, readRegular } from "../lib/whole-file.ts";
import { makeFolder, type ValidatorKeys, writeSecret } from "./folder.ts";
import { type Kdf, openKeystoreFile, readKeystoreFile, sealBls, sealSecp256k1, strongKdf } from "./keystore.ts";
import { REMEDIES } from "./remedies.ts";
import type { NamedValidator } from "./slashing-interchange.ts";

/** Most validators that one program guards. */
export const MAX_VALIDATORS = 256;
const MAX_PASSWORD_BYTES = 1_024;

/** A validator's two key files stand side by side under its address: Web3 Secret Storage 3 and EIP-2335. */
const secpFile = (folder: string, address: Address): string => join(folder, `${address}-secp256k1.json`);
const blsFile = (folder: string, address: Address): string => join(folder, `${address}-bls.json`);
const NAME = /^(0x[0-9a-f]{40})-(secp256k1|bls)\.json$/;

/** Lists the validators of a folder by what its files say of themselves, without a password. Throws. */
export const listKeystores = (folder: string): NamedValidator[] => {
  if (!existsSync(folder)) throw new Error(`${folder} does not exist`);
  const addresses = new Set<Address>();
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".json")) continue;
    const [, address] = NAME.exec(name) ?? [];
    if (!address)
      throw new Error(`${join(folder, name)} is not named as a validator's; bring it in with "keys import"`);
    addresses.add(address as Address);
  }
  if (addresses.size > MAX_VALIDATORS)
    throw new Error(`${folder} holds ${addresses.size} validators, at most ${MAX_VALIDATORS}`);
  return [...addresses].map((address) => {
    for (const path of [secpFile(folder, address), blsFile(folder, address)])
      if (!existsSync(path)) throw new Error(`${path} is missing: a validator has two keys`);
    const { pubkey } = readKeystoreFile(blsFile(folder, address));
    const key = `0x${pubkey}`;
    if (!isHex(key, 48)) throw new Error(`${blsFile(folder, address)} does not say its public key`);
    return { address, blsPublicKey: key };
  });
};

/**
 * Opens the key files of a folder with one password, one after another, since each may need 256 MiB: about two seconds a
 * validator, less with PBKDF2. Throws with the file's name at the first that does not open, or is not what its name says.
 */
export const openKeystores = async (folder: string, password: string): Promise<ValidatorKeys[]> => {
  const validators: ValidatorKeys[] = [];
  for (const { address } of listKeystores(folder)) {
    const secp = await openKeystoreFile(secpFile(folder, address), password);
    const bls = await openKeystoreFile(blsFile(folder, address), password);
    if (secp.kind !== "secp256k1" || secp.address !== address)
      throw new Error(`${secpFile(folder, address)} does not hold the key of ${address}`);
    if (bls.kind !== "bls") throw new Error(`${blsFile(folder, address)} holds no BLS key`);
    if (validators.some((other) => other.bls === bls.secret))
      throw new Error(`${blsFile(folder, address)} holds the BLS key of another validator`);
    validators.push({ address, secp: secp.secret, bls: bls.secret });
  }
  return validators;
};

/** Seals a validator's keys into two files of a folder; `path` is the BLS key's in an EIP-2334 tree. Throws where it has them. */
export const sealValidator = async (
  folder: string,
  keys: ValidatorKeys,
  password: string,
  { kdf = () => strongKdf(), path = "" }: { kdf?: () => Kdf; path?: string } = {},
): Promise<void> => {
  const files = [secpFile(folder, keys.address), blsFile(folder, keys.address)] as const;
  for (const file of files) if (existsSync(file)) throw new Error(`${file} exists already`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  if (listKeystores(folder).some((other) => other.blsPublicKey === blsPublicKey(keys.bls)))
    throw new Error(`the folder holds the BLS key of ${keys.address} already, under another address`);
  const sealed = [
    await sealSecp256k1(keys.secp, password, kdf()),
    await sealBls(keys.bls, password, kdf(), path),
  ] as const;
  for (const [i, file] of files.entries()) writeSecret(file, `${JSON.stringify(sealed[i], null, 2)}\n`);
};

/**
 * Reads a password or token out of its file, without the line's end. Throws where it is missing, open to others, empty or too
 * long: `remedy` says what to do with an empty one, and what is lost by it.
 */
export const readSecretFile = (path: string, remedy: string = REMEDIES.secret): string => {
  const bytes = readRegular(path, MAX_PASSWORD_BYTES);
  mustBePrivate(path);
  const secret = bytes.toString("utf8").replace(/[\r\n]+$/, "");
  const empty = secret === "" ? "is empty" : emptiness(bytes);
  if (empty !== undefined) throw new DamagedFileError(path, empty, remedy);
  return secret;
};

/** Reads a secret out of its file; where there is none, makes it of `fresh` and writes it for its owner alone. */
export const readOrMakeSecret = (
  path: string,
  fresh: () => string,
  remedy?: string,
): { secret: string; isNew: boolean } => {
  if (existsSync(path)) return { secret: readSecretFile(path, remedy), isNew: false };
  const secret = fresh();
  makeFolder(dirname(path));
  writeSecret(path, `${secret}\n`);
  return { secret, isNew: true };
};

/** Names a validator whose keys are at hand. */
export const named = ({ address, bls }: { address: Address; bls: Hex }): NamedValidator => ({
  address,
  blsPublicKey: blsPublicKey(bls),
});
