import { existsSync } from "node:fs";
import { join } from "node:path";
import { memoryDb } from "../chain/db.ts";
import { readGenesis } from "../chain/genesis.ts";
import type { Genesis } from "../chain/params.ts";
import { openState } from "../chain/state.ts";
import { buildGenesis } from "../consensus/genesis-state.ts";
import type { Hash } from "../lib/bytes.ts";
import { readJson, writeNodeFolder } from "./folder.ts";

/** A network by its genesis document, and by the hash of its block 0. */
export interface Network {
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
}

/** Reads a genesis document and computes the hash of its block 0. Throws where it is missing or impossible. */
export const readGenesisFile = (path: string): Network => {
  const document = readJson(path);
  if (document === undefined) throw new Error(`${path} does not exist`);
  const genesis = readGenesis(document);
  return { genesis, genesisHash: buildGenesis(genesis, openState(memoryDb())).block.hash };
};

/** Reads the genesis document of a program's folder. */
export const openGenesis = (datadir: string): Network => readGenesisFile(join(datadir, "genesis.json"));

/** Puts a genesis document into a new folder once it is known to be possible. Throws where the folder is of another network. */
export const adoptGenesis = (datadir: string, file: string): void => {
  const given = readGenesisFile(file);
  if (!existsSync(join(datadir, "genesis.json"))) writeNodeFolder(datadir, readJson(file));
  else if (openGenesis(datadir).genesisHash !== given.genesisHash)
    throw new Error(`${datadir} is of another network than ${file}: give another folder, or no genesis document`);
};
