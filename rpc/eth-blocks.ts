import type { Block } from "../chain/block.ts";
import type { ChainView } from "./chain-view.ts";
import { type Method, type Methods, method } from "./dispatch.ts";
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

const byHash: Parser<BlockId> = (value, name) => ({ hash: hash(value, name), requireCanonical: false });

/** Methods about blocks, and transactions that are in one or wait for one. */
export const blockMethods = (view: ChainView): Methods => {
  const { store, pool } = view.engine;
  /** The same question of a block by hash and by number; null where there is no such block. */
  const both = (name: [string, string], make: (id: Parser<BlockId>) => Method): [string, Method][] => [
    [name[0], make(byHash)],
    [name[1], make(blockNumber)],
  ];
  const known = <T>(id: BlockId, read: (block: Block) => T): T | null => {
    const block = view.block(id);
    return block ? read(block) : null;
  };
  const transactionAt = (block: Block, index: number) => {
    const tx = block.body.transactions[index];
    return tx ? transactionJson(tx, { block, index }) : null;
  };

  return {
    ...Object.fromEntries([
      ...both(["eth_getBlockByHash", "eth_getBlockByNumber"], (id) =>
        method([id, optional(boolean, false)], ([which, isFull]) => known(which, (block) => blockJson(block, isFull))),
      ),
      ...both(["eth_getBlockTransactionCountByHash", "eth_getBlockTransactionCountByNumber"], (id) =>
        method([id], ([which]) => known(which, (block) => hexNumber(block.body.transactions.length))),
      ),
      ...both(["eth_getTransactionByBlockHashAndIndex", "eth_getTransactionByBlockNumberAndIndex"], (id) =>
        method([id, smallQuantity], ([which, index]) => known(which, (block) => transactionAt(block, index))),
      ),
      ...both(["eth_getUncleCountByBlockHash", "eth_getUncleCountByBlockNumber"], (id) =>
        method([id], ([which]) => known(which, () => "0x0")),
      ),
    ]),
    eth_getTransactionByHash: method([hash], ([of]) => {
      const place = store.transaction(of);
      const block = place && store.block(place.block);
      if (block) return transactionAt(block, place.index);
      const waiting = pool.get(of);
      return waiting ? transactionJson(waiting, undefined) : null;
    }),
    eth_getTransactionReceipt: method([hash], ([of]) => {
      const place = store.transaction(of);
      const block = place && store.block(place.block);
      return block ? receiptJson(block, view.receipts(block), place.index) : null;
    }),
    eth_getBlockReceipts: method([blockId], ([id]) =>
      known(id, (block) => {
        const receipts = view.receipts(block);
        return block.body.transactions.map((_, index) => receiptJson(block, receipts, index));
      }),
    ),
  };
};
