import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { blsKeygen, blsProve, blsPublicKey } from "../lib/bls.ts";
import { type Address, type Hex, utf8 } from "../lib/bytes.ts";
import { checkJson, JSON_OF_ANY_LENGTH } from "../lib/json.ts";
import { keccak256 } from "../lib/keccak.ts";
import { addressOf, randomPrivateKey } from "../lib/secp256k1.ts";
import { DamagedFileError, emptiness, readRegular, writeWhole } from "../lib/whole-file.ts";

/** The secrets of one validator: its secp256k1 key signs blocks, its BLS key votes and reveals. */
export interface ValidatorKeys {
  readonly address: Address;
  readonly secp: Hex;
  readonly bls: Hex;
}

/** Makes the keys of a validator from a private key; the BLS key is derived from it. */
export const validatorKeys = (secp: Hex = randomPrivateKey()): ValidatorKeys => ({
  address: addressOf(secp),
  secp,
  bls: blsKeygen(utf8(`rolec/validator/${secp}`)),
});

/** Describes a validator for a genesis document. `bond` in wei. */
export const genesisValidator = (keys: ValidatorKeys, bond: bigint) => ({
  address: keys.address,
  owner: keys.address,
  blsPublicKey: blsPublicKey(keys.bls),
  proofOfPossession: blsProve(keys.bls),
  bond: bond.toString(),
});

/** Derives the n-th well-known account of a development network. Anyone can: it is worth nothing elsewhere. */
export const devKey = (role: string, index: number): Hex => keccak256(utf8(`rolec dev ${role} ${index}`));

/** Has the disk know which files a folder holds: a file's own flush does not say that its name is there. */
export const syncFolder = (folder: string): void => {
  // Windows opens no folders, and keeps names in its journal.
  if (process.platform === "win32") return;
  const at = openSync(folder, "r");
  try {
    fsyncSync(at);
  } finally {
    closeSync(at);
  }
};

/** Writes a file whole or not at all, readable by its owner only. The disk has it, and its name, when this returns. */
export const writeSecret = (path: string, text: string): void => {
  writeWhole(path, text, { flush: true });
  syncFolder(dirname(path));
};

/** As `writeSecret`, for what is only looked at: it may be lost with the power. */
export const writeNote = (path: string, text: string): void => writeWhole(path, text);

/**
 * Writes a secret that a slip must not lose: a file that exists with other contents is replaced by force alone. Throws where it
 * exists; `isForced` left out: the command has no --force.
 */
export const writeNewSecret = (path: string, text: string, isForced?: boolean): void => {
  if (!isForced && existsSync(path) && readFileSync(path, "utf8") !== text)
    throw new Error(`${path} exists${isForced === undefined ? " and is not replaced" : "; --force replaces it"}`);
  writeSecret(path, text);
};

const readDocument = <T>(path: string, fault: (reason: string) => Error): T | undefined => {
  if (!existsSync(path)) return undefined;
  const bytes = readRegular(path);
  const empty = emptiness(bytes);
  if (empty !== undefined) throw fault(empty);
  try {
    checkJson(bytes, JSON_OF_ANY_LENGTH);
    return JSON.parse(bytes.toString("utf8")) as T;
  } catch (error) {
    throw fault(`is not JSON: ${(error as Error).message}`);
  }
};

/** Reads a JSON file of a person's; undefined where there is none. Throws with the path where it is not JSON. */
export const readGivenJson = <T>(path: string): T | undefined =>
  readDocument(path, (reason) => new Error(`${path} ${reason}`));

/**
 * Reads a JSON file that belongs to a program's folder; undefined where there is none. Throws DamagedFileError where it is not
 * JSON: `remedy` says what to do then, and what is lost by it.
 */
export const readJson = <T>(path: string, remedy: string): T | undefined =>
  readDocument(path, (reason) => new DamagedFileError(path, reason, remedy));

/** Makes a folder and those above it. Node's own recursive mkdir never returns below /proc. */
export const makeFolder = (path: string): void => {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing) {
    try {
      mkdirSync(each);
    } catch (error) {
      // Somebody else made it meanwhile.
      if (existsSync(each)) continue;
      throw new Error(`folder ${path} is not made: ${(error as Error).message}`);
    }
  }
};

/**
 * Lays out the folder of a node: genesis.json, and validator.json where it validates. Throws where that one exists with other
 * keys, and was not to be replaced.
 */
export const writeNodeFolder = (datadir: string, genesis: unknown, keys?: ValidatorKeys, isForced?: boolean): void => {
  makeFolder(datadir);
  if (keys) writeNewSecret(join(datadir, "validator.json"), `${JSON.stringify(keys, null, 2)}\n`, isForced);
  writeWhole(join(datadir, "genesis.json"), `${JSON.stringify(genesis, null, 2)}\n`, { flush: true, mode: 0o644 });
};
