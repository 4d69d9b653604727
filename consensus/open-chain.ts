import type { Database } from "../chain/db.ts";
import { EMPTY_MMR } from "../chain/mmr.ts";
import type { Genesis } from "../chain/params.ts";
import { openState } from "../chain/state.ts";
import { openStore, type Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Chain } from "./chain.ts";
import { buildGenesis } from "./genesis-state.ts";

/**
 * Opens the chain that a database holds; a new database begins with block 0. Throws where it holds another chain, or where it
 * stopped for conflicting finality that the operator has not settled.
 */
export const openChain = async (
  db: Database,
  genesis: Genesis,
  settled: readonly Hash[],
): Promise<{ readonly store: Store; readonly chain: Chain }> => {
  const store = openStore(db);
  const { block, ops } = buildGenesis(genesis, openState(db));
  const kept = store.canonical(0);
  if (kept && kept !== block.hash)
    throw new Error(`the database holds another chain: block 0 is ${kept}, not ${block.hash}`);
  if (!kept) {
    const pointers = [store.putPointer("head", block.hash), store.putFinal(0, block.hash)];
    await db.batch([...ops, ...store.putBlock(block, [], EMPTY_MMR), ...store.putCanonical(block), ...pointers], true);
  }
  const conflict = store.pointer("conflict");
  if (conflict && !settled.includes(conflict))
    throw new Error(`another chain became final that excludes this one, and nobody has settled it: branch ${conflict}`);
  return { store, chain: { genesis, genesisHash: block.hash, genesisMix: block.header.mixHash } };
};
