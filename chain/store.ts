import { bytesToBigint, concat, fromHex, type Hash, toHex, uint64 } from "../lib/bytes.ts";
import { bytes, decodeWith, encodeWith, hash, hexOf, list, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { forgetOldest } from "../lib/lru.ts";
import { decodeRlp, type Item } from "../lib/rlp.ts";
import { type Block, decodeBlock, encodeBlock, MAX_WORK_SHARES, type WorkShare, workShareCoder } from "./block.ts";
import type { Database, Op } from "./db.ts";
import { headerCoder } from "./header.ts";
import {
  blockKey,
  headerKey,
  leafKey,
  leafPrefix,
  numberKey,
  peaksKey,
  pointerKey,
  receiptsKey,
  sendersKey,
  transactionKey,
} from "./layout.ts";
import { decodeMmr, encodeMmr, type Mmr } from "./mmr.ts";
import { decodeReceipt, encodeReceipt, type Receipt } from "./receipt.ts";
import { decodeTransaction, senderOf, type Transaction } from "./transaction.ts";

const checkpoint = record({ epoch: uint, hash });
const signedHeader = record({ header: headerCoder, signature: hexOf(65) });
const place = record({ block: hash, index: uint });
const workShareList = list(workShareCoder, MAX_WORK_SHARES);
const receiptList = list(bytes(64 * 1024 * 1024), 65_536);
const LIMITS = { maxBytes: 64 * 1024 * 1024 };
const CACHED_BLOCKS = 256;
/** Bytes of transactions in the cached blocks; decoded they take about eight times as much. */
const CACHED_BYTES = 64 * 1024 * 1024;
const CACHED_SIZES = 8_192;

/** A block without its body. */
export type BlockHead = Omit<Block, "body">;

/** Reads blocks and what belongs to them; gives the writes that keep them, for the engine's one batch a block. */
export interface Store {
  block(hash: Hash): Block | undefined;
  /** A block as encodeBlock makes it, without decoding it. */
  encoded(hash: Hash): Uint8Array | undefined;
  /** How many bytes `encoded` gives: read once, then known. */
  size(hash: Hash): number | undefined;
  /** A block without its body: 0.05 ms, where a full block takes 100 ms. */
  head(hash: Hash): BlockHead | undefined;
  /** Hashes of a block's transactions. */
  transactionHashes(hash: Hash): readonly Hash[] | undefined;
  /** The encoded transactions of a block, not decoded: 3 ms for a full block. */
  rawTransactions(hash: Hash): readonly Uint8Array[] | undefined;
  /** The index-th transaction of a block. */
  transactionAt(hash: Hash, index: number): Transaction | undefined;
  /** Yields a block's transactions, each decoded when it is asked for: a full block takes 60 ms in all. */
  eachTransaction(hash: Hash): Generator<Transaction>;
  workShares(hash: Hash): readonly WorkShare[] | undefined;
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
  /** The checkpoint of highest epoch for which this node has seen a quorum. */
  justified(): { readonly epoch: number; readonly hash: Hash } | undefined;
  /** Lists the leaves of the tree, with when each was first seen. */
  leaves(): AsyncIterable<{ readonly hash: Hash; readonly seenMs: number }>;
  putBlock(block: Block, receipts: readonly Receipt[], peaks: Mmr): Op[];
  putCanonical(block: Block): Op[];
  dropCanonical(block: Block): Op[];
  putPointer(name: string, hash: Hash): Op;
  putFinal(epoch: number, hash: Hash): Op;
  putJustified(epoch: number, hash: Hash): Op;
  putLeaf(hash: Hash, seenMs: number): Op;
  dropLeaf(hash: Hash): Op;
}

/** Opens the store of blocks over a database. */
export const openStore = (db: Database): Store => {
  const cache = new Map<Hash, Block>();
  let cachedBytes = 0;
  const bytesOf = ({ body }: Block): number => body.transactions.reduce((sum, { raw }) => sum + raw.length, 0);
  const remember = (block: Block): Block => {
    if (cache.has(block.hash)) return block;
    cachedBytes += bytesOf(block);
    cache.set(block.hash, block);
    for (const [hash, oldest] of cache) {
      if (cache.size === 1 || (cache.size <= CACHED_BLOCKS && cachedBytes <= CACHED_BYTES)) break;
      cache.delete(hash);
      cachedBytes -= bytesOf(oldest);
    }
    return block;
  };
  const sizes = new Map<Hash, number>();
  const rememberSize = (of: Hash, bytes: number): void => {
    sizes.set(of, bytes);
    forgetOldest(sizes, CACHED_SIZES);
  };
  const read = <T>(key: Uint8Array, decode: (value: Uint8Array) => T): T | undefined => {
    const value = db.get(key);
    return value && decode(value);
  };
  /** Puts the sender that is kept into a transaction of a block. */
  const withSender = (tx: Transaction, senders: Uint8Array | undefined, index: number): Transaction => {
    if (senders) tx.sender = toHex(senders.subarray(20 * index, 20 * index + 20));
    return tx;
  };
  const readBlock = (of: Hash): Block | undefined =>
    read(blockKey(of), (value) => {
      const block = decodeBlock(value);
      const senders = db.get(sendersKey(of));
      for (const [index, tx] of block.body.transactions.entries()) withSender(tx, senders, index);
      return remember(block);
    });
  /** The body's lists, not decoded: [header, signature, [transactions, workShares, …]], of our own making. */
  const rawBody = (of: Hash) =>
    read(blockKey(of), (value) => (decodeRlp(value, LIMITS) as [unknown, unknown, [Uint8Array[], Item]])[2]);
  const rawTransactions = (of: Hash): readonly Uint8Array[] | undefined =>
    cache.get(of)?.body.transactions.map(({ raw }) => raw) ?? rawBody(of)?.[0];
  const readCheckpoint = (name: string) => read(pointerKey(name), (value) => decodeWith(checkpoint, value));
  const putCheckpoint = (name: string, epoch: number, of: Hash): Op => ({
    key: pointerKey(name),
    value: encodeWith(checkpoint, { epoch, hash: of }),
  });
  return {
    block: (of) => cache.get(of) ?? readBlock(of),
    head: (of) =>
      cache.get(of) ?? read(headerKey(of), (value) => ({ hash: of, ...decodeWith(signedHeader, value, LIMITS) })),
    transactionHashes: (of) =>
      cache.get(of)?.body.transactions.map(({ hash: each }) => each) ??
      rawTransactions(of)?.map((raw) => keccak256(raw)),
    rawTransactions,
    transactionAt: (of, index) => {
      const cached = cache.get(of);
      if (cached) return cached.body.transactions[index];
      const raw = rawTransactions(of)?.[index];
      return raw && withSender(decodeTransaction(raw), db.get(sendersKey(of)), index);
    },
    eachTransaction: function* (of) {
      const cached = cache.get(of);
      if (cached) return yield* cached.body.transactions;
      const senders = db.get(sendersKey(of));
      for (const [index, raw] of (rawTransactions(of) ?? []).entries())
        yield withSender(decodeTransaction(raw), senders, index);
    },
    workShares: (of) => {
      const cached = cache.get(of);
      if (cached) return cached.body.workShares;
      const body = rawBody(of);
      return body && workShareList.decode(body[1]);
    },
    encoded: (of) => db.get(blockKey(of)),
    size: (of) => {
      const known = sizes.get(of);
      if (known !== undefined) return known;
      const bytes = db.get(blockKey(of))?.length;
      if (bytes !== undefined) rememberSize(of, bytes);
      return bytes;
    },
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
    final: () => readCheckpoint("finalized"),
    justified: () => readCheckpoint("justified"),
    leaves: async function* () {
      for await (const [key, value] of db.iterate(leafPrefix))
        yield { hash: toHex(key.subarray(leafPrefix.length)), seenMs: Number(bytesToBigint(value)) };
    },
    putBlock: (block, receipts, peaks) => {
      remember(block);
      const encoded = encodeBlock(block);
      rememberSize(block.hash, encoded.length);
      return [
        { key: blockKey(block.hash), value: encoded },
        { key: headerKey(block.hash), value: encodeWith(signedHeader, block) },
        ...(block.body.transactions.length > 0
          ? [
              {
                key: sendersKey(block.hash),
                value: concat(...block.body.transactions.map((tx) => fromHex(senderOf(tx)))),
              },
            ]
          : []),
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
    putFinal: (epoch, of) => putCheckpoint("finalized", epoch, of),
    putJustified: (epoch, of) => putCheckpoint("justified", epoch, of),
    putLeaf: (of, seenMs) => ({ key: leafKey(of), value: uint64(seenMs) }),
    dropLeaf: (of) => ({ key: leafKey(of), value: undefined }),
  };
};
