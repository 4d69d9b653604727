import { type Hash, toHex } from "../lib/bytes.ts";
import { type Methods, method } from "./dispatch.ts";
import { data, hash, listOf } from "./values.ts";

/** What the RPC needs of the receipts of lots. */
export interface LotsPort {
  put(lot: Hash, receipts: readonly Uint8Array[]): Promise<void>;
  get(lot: Hash): Promise<readonly Uint8Array[] | undefined>;
}

/** Receipts of the tasks of a lot, of which the chain holds the root: given by workers, read by requesters. */
export const lotMethods = (lots: LotsPort): Methods => ({
  rolec_putLotReceipts: method([hash, listOf(data, 256)], async ([lot, receipts]) => {
    await lots.put(lot, receipts);
    return true;
  }),
  rolec_lotReceipts: method([hash], async ([lot]) => (await lots.get(lot))?.map(toHex) ?? null),
});
