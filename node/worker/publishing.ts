import { equalBytes, type Hash, toHex } from "../../lib/bytes.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import { REVERTED } from "../../rpc/errors.ts";
import { LOT_STATUS } from "../../vm/market/lot.ts";
import { lotReceiptOf } from "../../vm/wasm/receipt.ts";
import { type LotView, viewLotById } from "../market-client.ts";
import type { Journal } from "./journal.ts";

/** Reads a lot; undefined where the chain has none: it is of another chain, or of one that was turned over. */
export const lotOf = (client: RpcClient, id: Hash): Promise<LotView | undefined> =>
  viewLotById(client, id).catch((error: Error) => {
    if (!(error instanceof RpcCallError && error.code === REVERTED)) throw error;
    return undefined;
  });

/** Lots of several tasks that a worker has committed to, until their receipts are given away. */
export interface Publishing {
  lots(): readonly Hash[];
  add(id: Hash): void;
  drop(id: Hash): void;
  /** Gives a lot's receipts to the node once the chain holds their root, so that the requester can get each task's result. */
  follow(id: Hash): Promise<void>;
}

/** Takes up what a journal has not given away. */
export const createPublishing = (client: RpcClient, journal: Journal): Publishing => {
  const unpublished = new Set<Hash>(journal.unpublished());
  return {
    lots: () => [...unpublished],
    add: (id) => void unpublished.add(id),
    drop: (id) => void unpublished.delete(id),
    follow: async (id) => {
      const found = journal.get(id);
      const lot = await lotOf(client, id);
      const isOver = !lot || lot.status === LOT_STATUS.failed || lot.status === LOT_STATUS.claimed;
      if (found && lot && lot.receipt.length > 0 && equalBytes(lotReceiptOf(found.receipts), lot.receipt))
        await client.call("rolec_putLotReceipts", [id, found.receipts.map(toHex)]);
      else if (!isOver && lot.receipt.length === 0) return;
      unpublished.delete(id);
      journal.published(id);
    },
  };
};
