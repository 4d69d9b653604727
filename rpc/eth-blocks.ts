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
import { lazy } from "./write-json.ts";

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
  const whole = (block: BlockHead, isFull: boolean, hold: Call["hold"]) => {
    const size = store.size(block.hash) ?? 0;
    // Its body is kept meanwhile, and not even read where there is no room for it.
    if (isFull) hold(size);
    const workShares = store.workShares(block.hash) ?? [];
    if (!isFull) return blockJson(block, size, store.transactionHashes(block.hash) ?? [], workShares);
    return blockJson(block, size, lazy(transactionsOf(block)), workShares);
  };
  const transactionsOf = function* (block: BlockHead) {
    let index = 0;
    for (const tx of store.eachTransaction(block.hash)) yield transactionJson(tx, { block, index: index++ });
  };
  const receiptsOf = function* (block: BlockHead) {
    const receipts = view.receipts(block.hash);
    let [index, firstLog] = [0, 0];
    for (const tx of store.eachTransaction(block.hash)) {
      const receipt = receipts[index]!;
      yield receiptJson(tx, receipt, { block, index }, firstLog);
      firstLog += receipt.logs.length;
      index += 1;
    }
  };

  return {
    ...Object.fromEntries([
      ...both(["eth_getBlockByHash", "eth_getBlockByNumber"], (id) =>
        method([id, optional(boolean, false)], ([which, isFull], { hold }) =>
          known(which, (block) => whole(block, isFull, hold)),
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
    eth_getBlockReceipts: method([blockId], ([id], { hold }) =>
      known(id, (block) => {
        hold(store.size(block.hash) ?? 0);
        return lazy(receiptsOf(block));
      }),
    ),
  };
};
