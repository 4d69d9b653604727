import { existsSync } from "node:fs";
import { join } from "node:path";
import { memoryDb } from "../chain/db.ts";
import { readGenesis } from "../chain/genesis.ts";
import type { Genesis } from "../chain/params.ts";
import { openState } from "../chain/state.ts";
import { buildGenesis } from "../consensus/genesis-state.ts";
import type { Hash } from "../lib/bytes.ts";
import { readGivenJson, readJson, writeNodeFolder } from "./folder.ts";
import { REMEDIES } from "./remedies.ts";

/** A network by its genesis document, and by the hash of its block 0. */
export interface Network {
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
}

const hashOf = (genesis: Genesis): Hash => buildGenesis(genesis, openState(memoryDb())).block.hash;

/** Reads what a genesis document says. Throws, with its path, where there is none, or it is impossible. */
export const genesisOf = (document: unknown, path: string): Genesis => {
  if (document === undefined) throw new Error(`${path} does not exist`);
  try {
    return readGenesis(document);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
};

/** Reads a genesis document and computes the hash of its block 0. Throws where it is missing or impossible. */
export const readGenesisFile = (path: string): Network => {
  const genesis = genesisOf(readGivenJson(path), path);
  return { genesis, genesisHash: hashOf(genesis) };
};

/** Reads the genesis document of a program's folder. */
export const openGenesis = (datadir: string): Network => {
  const path = join(datadir, "genesis.json");
  const genesis = genesisOf(readJson(path, REMEDIES.genesis), path);
  return { genesis, genesisHash: hashOf(genesis) };
};

/** Puts a genesis document into a new folder once it is known to be possible. Throws where the folder is of another network. */
export const adoptGenesis = (datadir: string, file: string): void => {
  const given = readGenesisFile(file);
  if (!existsSync(join(datadir, "genesis.json"))) writeNodeFolder(datadir, readGivenJson(file));
  else if (openGenesis(datadir).genesisHash !== given.genesisHash)
    throw new Error(`${datadir} is of another network than ${file}: give another folder, or no genesis document`);
};
