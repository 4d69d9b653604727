import { fromHex, type Hash, toHex } from "../lib/bytes.ts";
import { bytes, decodeWith, encodeWith, hash, list, record, uint } from "../lib/codec.ts";
import { type Block, decodeBlock, encodeBlock } from "./block.ts";
import type { Database, Op } from "./db.ts";
import { blockKey, numberKey, peaksKey, pointerKey, receiptsKey, transactionKey } from "./layout.ts";
import { decodeMmr, encodeMmr, type Mmr } from "./mmr.ts";
import { decodeReceipt, encodeReceipt, type Receipt } from "./receipt.ts";

const final = record({ epoch: uint, hash });
const place = record({ block: hash, index: uint });
const receiptList = list(bytes(64 * 1024 * 1024), 65_536);
const LIMITS = { maxBytes: 64 * 1024 * 1024 };
const CACHED_BLOCKS = 256;

/** Reads blocks and what belongs to them; gives the writes that keep them, for the engine's one batch a block. */
export interface Store {
  block(hash: Hash): Block | undefined;
  /** A block as encodeBlock makes it, without decoding it. */
  encoded(hash: Hash): Uint8Array | undefined;
  receipts(hash: Hash): Receipt[] | undefined;
  /** The mountain range over the blocks before. */
  peaks(hash: Hash): Mmr | undefined;
  /** The hash of a block on the chain of the head. */
  canonical(number: number): Hash | undefined;
  /** Where a transaction stands on the chain of the head. */
  transaction(hash: Hash): { readonly block: Hash; readonly index: number } | undefined;
  pointer(name: string): Hash | undefined;
  /** The checkpoint that is final here. */
  final(): { readonly epoch: number; readonly hash: Hash } | undefined;
  putBlock(block: Block, receipts: readonly Receipt[], peaks: Mmr): Op[];
  putCanonical(block: Block): Op[];
  dropCanonical(block: Block): Op[];
  putPointer(name: string, hash: Hash): Op;
  putFinal(epoch: number, hash: Hash): Op;
}

/** Opens the store of blocks over a database. */
export const openStore = (db: Database): Store => {
  const cache = new Map<Hash, Block>();
  const remember = (block: Block): Block => {
    if (cache.size >= CACHED_BLOCKS) cache.delete(cache.keys().next().value!);
    cache.set(block.hash, block);
    return block;
  };
  const read = <T>(key: Uint8Array, decode: (value: Uint8Array) => T): T | undefined => {
    const value = db.get(key);
    return value && decode(value);
  };
  return {
    block: (of) => cache.get(of) ?? read(blockKey(of), (value) => remember(decodeBlock(value))),
    encoded: (of) => db.get(blockKey(of)),
    receipts: (of) =>
      read(receiptsKey(of), (value) => {
        let before = 0;
        return decodeWith(receiptList, value, LIMITS).map((encoded) => {
          const receipt = decodeReceipt(encoded, before);
          before = receipt.cumulativeGasUsed;
          return receipt;
        });
      }),
    peaks: (of) => read(peaksKey(of), decodeMmr),
    canonical: (number) => read(numberKey(number), toHex),
    transaction: (of) => read(transactionKey(of), (value) => decodeWith(place, value)),
    pointer: (name) => read(pointerKey(name), toHex),
    final: () => read(pointerKey("finalized"), (value) => decodeWith(final, value)),
    putBlock: (block, receipts, peaks) => {
      remember(block);
      return [
        { key: blockKey(block.hash), value: encodeBlock(block) },
        { key: receiptsKey(block.hash), value: encodeWith(receiptList, receipts.map(encodeReceipt)) },
        { key: peaksKey(block.hash), value: encodeMmr(peaks) },
      ];
    },
    putCanonical: (block) => [
      { key: numberKey(block.header.number), value: fromHex(block.hash) },
      ...block.body.transactions.map((tx, index) => ({
        key: transactionKey(tx.hash),
        value: encodeWith(place, { block: block.hash, index }),
      })),
    ],
    dropCanonical: (block) => [
      { key: numberKey(block.header.number), value: undefined },
      ...block.body.transactions.map((tx) => ({ key: transactionKey(tx.hash), value: undefined })),
    ],
    putPointer: (name, of) => ({ key: pointerKey(name), value: fromHex(of) }),
    putFinal: (epoch, of) => ({ key: pointerKey("finalized"), value: encodeWith(final, { epoch, hash: of }) }),
  };
};
