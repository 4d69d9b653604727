import { join, resolve } from "node:path";
import { localSigner, type Signer } from "../consensus/producer.ts";
import { isHex } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { readJson, type ValidatorKeys } from "./folder.ts";
import type { NamedValidator } from "./slashing-interchange.ts";
import { listKeystores, named, openKeystores, readSecretFile } from "./validator-keystores.ts";

/** Where a node has the keys of its validators: in plain (for development), in key files, or behind a signer. */
export type ValidatorSource =
  | { readonly kind: "plain"; readonly keys: ValidatorKeys }
  | { readonly kind: "keystores"; readonly folder: string; readonly passwordFile: string };

/** Reads the plain keys of one validator. Throws where they are malformed. */
export const readPlainKeys = (json: unknown, path: string): ValidatorKeys => {
  const { address, secp, bls } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (!isHex(secp, 32) || !isHex(bls, 32)) throw new Error(`${path} does not hold the keys secp and bls in hex`);
  if (addressOf(secp) !== address) throw new Error(`${path}: the key secp is that of ${addressOf(secp)}`);
  return { address, secp, bls };
};

/**
 * Reads a node folder's validator.json: plain keys, or `{ "keystores": folder, "passwordFile": file }` by paths from there.
 * undefined where there is none: a node without duties. Throws where it is malformed.
 */
export const readValidatorSource = (datadir: string): ValidatorSource | undefined => {
  const path = join(datadir, "validator.json");
  const json = readJson<Partial<Record<string, unknown>>>(path);
  if (json === undefined) return undefined;
  const { keystores, passwordFile } = json;
  if (typeof keystores === "string" && typeof passwordFile === "string")
    return { kind: "keystores", folder: resolve(datadir, keystores), passwordFile: resolve(datadir, passwordFile) };
  return { kind: "plain", keys: readPlainKeys(json, path) };
};

/** Opens the signers of a source. Takes about two seconds for each pair of key files. */
export const openSigners = async (source: ValidatorSource): Promise<Signer[]> => {
  if (source.kind === "plain") return [localSigner(source.keys)];
  const keys = await openKeystores(source.folder, readSecretFile(source.passwordFile));
  if (keys.length === 0) throw new Error(`${source.folder} holds no keys`);
  return keys.map(localSigner);
};

/** Names the validators of a source without opening their keys. */
export const namesOf = async (source: ValidatorSource): Promise<NamedValidator[]> =>
  source.kind === "plain" ? [named(source.keys)] : listKeystores(source.folder);
