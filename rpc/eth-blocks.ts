import type { BlockHead } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import type { ChainView } from "./chain-view.ts";
import { type Call, type Method, type Methods, method } from "./dispatch.ts";
import { blockJson, receiptJson, transactionJson } from "./format.ts";
import {
  type BlockId,
  blockId,
  blockNumber,
  boolean,
  hash,
  hexNumber,
  optional,
  type Parser,
  smallQuantity,
} from "./values.ts";

/** Transactions that are written in one turn. */
const PER_TURN = 64;

const byHash: Parser<BlockId> = (value, name) => ({ hash: hash(value, name), requireCanonical: false });

/** Methods about blocks, and transactions that are in one or wait for one. None decodes a block for a part of it. */
export const blockMethods = (view: ChainView): Methods => {
  const { store, pool } = view.engine;
  /** The same question of a block by hash and by number; null where there is no such block. */
  const both = (name: [string, string], make: (id: Parser<BlockId>) => Method): [string, Method][] => [
    [name[0], make(byHash)],
    [name[1], make(blockNumber)],
  ];
  const known = <T>(id: BlockId, read: (block: BlockHead) => T): T | null => {
    const block = view.header(id);
    return block ? read(block) : null;
  };
  const transactionAt = (block: BlockHead, index: number) => {
    const tx = store.transactionAt(block.hash, index);
    return tx ? transactionJson(tx, { block, index }) : null;
  };
  const placeOf = (of: Hash): { block: BlockHead; index: number } | undefined => {
    const place = store.transaction(of);
    const block = place && store.head(place.block);
    return block && { block, index: place.index };
  };
  const whole = async (block: BlockHead, isFull: boolean, turn: Call["turn"]) => {
    const size = store.encoded(block.hash)?.length ?? 0;
    const workShares = store.workShares(block.hash) ?? [];
    if (!isFull) return blockJson(block, size, store.transactionHashes(block.hash) ?? [], workShares);
    const written: unknown[] = [];
    for (const tx of store.eachTransaction(block.hash)) {
      if (written.length % PER_TURN === 0) await turn();
      written.push(transactionJson(tx, { block, index: written.length }));
    }
    return blockJson(block, size, written, workShares);
  };

  return {
    ...Object.fromEntries([
      ...both(["eth_getBlockByHash", "eth_getBlockByNumber"], (id) =>
        method([id, optional(boolean, false)], ([which, isFull], { turn }) =>
          known(which, (block) => whole(block, isFull, turn)),
        ),
      ),
      ...both(["eth_getBlockTransactionCountByHash", "eth_getBlockTransactionCountByNumber"], (id) =>
        method([id], ([which]) => known(which, ({ hash: of }) => hexNumber(store.rawTransactions(of)?.length ?? 0))),
      ),
      ...both(["eth_getTransactionByBlockHashAndIndex", "eth_getTransactionByBlockNumberAndIndex"], (id) =>
        method([id, smallQuantity], ([which, index]) => known(which, (block) => transactionAt(block, index))),
      ),
      ...both(["eth_getUncleCountByBlockHash", "eth_getUncleCountByBlockNumber"], (id) =>
        method([id], ([which]) => known(which, () => "0x0")),
      ),
    ]),
    eth_getTransactionByHash: method([hash], ([of]) => {
      const place = placeOf(of);
      if (place) return transactionAt(place.block, place.index);
      const waiting = pool.get(of);
      return waiting ? transactionJson(waiting, undefined) : null;
    }),
    eth_getTransactionReceipt: method([hash], ([of]) => {
      const place = placeOf(of);
      const tx = place && store.transactionAt(place.block.hash, place.index);
      if (!place || !tx) return null;
      const receipts = view.receipts(place.block.hash);
      const firstLog = receipts.slice(0, place.index).reduce((sum, { logs }) => sum + logs.length, 0);
      return receiptJson(tx, receipts[place.index]!, place, firstLog);
    }),
    eth_getBlockReceipts: method([blockId], async ([id], { turn }) => {
      const block = view.header(id);
      if (!block) return null;
      const receipts = view.receipts(block.hash);
      const written: ReturnType<typeof receiptJson>[] = [];
      let firstLog = 0;
      for (const tx of store.eachTransaction(block.hash)) {
        const index = written.length;
        if (index % PER_TURN === 0) await turn();
        const receipt = receipts[index]!;
        written.push(receiptJson(tx, receipt, { block, index }, firstLog));
        firstLog += receipt.logs.length;
      }
      return written;
    }),
  };
};
