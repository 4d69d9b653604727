import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { localSigner, type Signer } from "../consensus/signer.ts";
import { type Hash, isHex } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { mustBePrivate } from "../lib/private-file.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { createTroubles, type Subject } from "../lib/trouble.ts";
import { readJson, type ValidatorKeys } from "./folder.ts";
import { REMEDIES } from "./remedies.ts";
import { askValidators, connectSigner, SignerAway, type SignerClientOptions } from "./signer/client.ts";
import type { NamedValidator } from "./slashing-interchange.ts";
import { listKeystores, named, openKeystores, readSecretFile } from "./validator-keystores.ts";

/** Where a node has the keys of its validators: in plain (for development), in key files, or behind a signer. */
export type ValidatorSource =
  | { readonly kind: "plain"; readonly keys: ValidatorKeys }
  | { readonly kind: "keystores"; readonly folder: string; readonly passwordFile: string }
  | { readonly kind: "remote"; readonly url: string; readonly tokenFile: string };

/** Reads the plain keys of one validator out of a file's JSON. Throws where they are malformed, or the file is open to others. */
export const readPlainKeys = (json: unknown, path: string): ValidatorKeys => {
  const { address, secp, bls } = (json ?? {}) as Partial<Record<string, unknown>>;
  if (!isHex(secp, 32) || !isHex(bls, 32))
    throw new Error(`${path} holds no keys of a validator ("rolec validator new --out <file>" makes them)`);
  mustBePrivate(path);
  if (addressOf(secp) !== address) throw new Error(`${path}: the key secp is that of ${addressOf(secp)}`);
  return { address, secp, bls };
};

/**
 * Reads a node folder's validator.json: plain keys, `{ "keystores": folder, "passwordFile": file }` or
 * `{ "remoteSigner": url, "tokenFile": file }`, by paths from there. undefined where there is none: a node without duties. Throws where it is malformed.
 */
export const readValidatorSource = (datadir: string): ValidatorSource | undefined => {
  const path = join(datadir, "validator.json");
  const json = readJson<Partial<Record<string, unknown>>>(path, REMEDIES.validator);
  if (json === undefined) return undefined;
  const { keystores, passwordFile, remoteSigner, tokenFile } = json;
  if (typeof keystores === "string" && typeof passwordFile === "string")
    return { kind: "keystores", folder: resolve(datadir, keystores), passwordFile: resolve(datadir, passwordFile) };
  if (typeof remoteSigner === "string" && typeof tokenFile === "string" && URL.canParse(remoteSigner))
    return { kind: "remote", url: remoteSigner, tokenFile: resolve(datadir, tokenFile) };
  return { kind: "plain", keys: readPlainKeys(json, path) };
};

const clientOf = ({ url, tokenFile }: Extract<ValidatorSource, { kind: "remote" }>): SignerClientOptions => {
  // The signer makes it at its first start.
  if (!existsSync(tokenFile)) throw new SignerAway(`signer ${url}: its token ${tokenFile} does not exist`);
  return { url, token: readSecretFile(tokenFile, REMEDIES.token) };
};

/** Opens the keys of a source that holds any. Takes about two seconds a validator. Throws where there are none. */
export const openKeys = async (source: ValidatorSource): Promise<ValidatorKeys[]> => {
  if (source.kind === "remote") throw new Error("a remote signer gives no keys away");
  if (source.kind === "plain") return [source.keys];
  const keys = await openKeystores(source.folder, readSecretFile(source.passwordFile));
  if (keys.length === 0) throw new Error(`${source.folder} holds no keys`);
  return keys;
};

/** Opens the signers of a source: its keys, or the program that guards them. */
export const openSigners = async (source: ValidatorSource, genesisHash: Hash): Promise<Signer[]> =>
  source.kind === "remote"
    ? connectSigner(clientOf(source), genesisHash)
    : (await openKeys(source)).map((keys) => localSigner(keys));

const AWAY: Subject = {
  fails: "this node waits for its signer before it starts",
  works: "the signer answers: this node starts",
};
const RETRY_MS = 1_000;

/** As `openSigners`; waits for a signer that is not reached, or has not made its token, and says so: both may be started at once, in any order. */
export const awaitSigners = async (source: ValidatorSource, genesisHash: Hash, log: Log): Promise<Signer[]> => {
  const troubles = createTroubles({ log });
  for (;;) {
    try {
      const signers = await openSigners(source, genesisHash);
      troubles.works(AWAY);
      return signers;
    } catch (error) {
      if (!(error instanceof SignerAway)) throw error;
      troubles.fails(AWAY, error);
      await sleep(RETRY_MS);
    }
  }
};

/** Names the validators of a source without opening their keys. */
export const namesOf = async (source: ValidatorSource): Promise<readonly NamedValidator[]> => {
  if (source.kind === "plain") return [named(source.keys)];
  if (source.kind === "remote") return (await askValidators(clientOf(source))).validators;
  return listKeystores(source.folder);
};
