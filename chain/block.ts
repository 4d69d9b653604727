import type { Hash, Hex } from "../lib/bytes.ts";
import {
  address,
  bytes,
  type Coder,
  decodeWith,
  encodeWith,
  hash,
  hexOf,
  list,
  raw,
  record,
  uint,
} from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { encodeRlp, type Item, rlpHeads } from "../lib/rlp.ts";
import { decodeHeader, type Header, hashHeader, headerCoder } from "./header.ts";
import { orderedRoot } from "./ordered-root.ts";
import { encodeReceipt, type Receipt } from "./receipt.ts";
import { failChain } from "./rules.ts";
import { decodeTransaction, type Transaction } from "./transaction.ts";

/** Bytes of one encoded block at most. */
export const MAX_BLOCK_BYTES = 3 * 1024 * 1024;
/**
 * Bytes of a block's transactions at most: what a home connection moves within a slot, and more than 17,000 transfers. The rest
 * is for header, certificates, evidence and RLP.
 */
export const MAX_TRANSACTION_BYTES_IN_BLOCK = 2 * 1024 * 1024;
export const MAX_TRANSACTIONS = 65_536;
export const MAX_WORK_SHARES = 16;
export const MAX_CERTIFICATES = 8;
export const MAX_EVIDENCE = 4;
/** 2 * maxValidators bits: members of a new set and of the set before. */
const MAX_BITMAP_BYTES = 256;

const transaction: Coder<Transaction> = {
  encode: (tx) => tx.raw,
  decode: (item) => decodeTransaction(bytes(131_072).decode(item)),
};

export const workShareCoder = record({
  anchorHash: hash,
  beneficiary: address,
  extraNonce: hash,
  nonce: hexOf(8),
  mixHash: hash,
});
export const certificateCoder = record({
  sourceEpoch: uint,
  sourceHash: hash,
  targetEpoch: uint,
  targetHash: hash,
  bitmap: bytes(MAX_BITMAP_BYTES),
  signature: hexOf(96),
});

type Of<C> = C extends Coder<infer T> ? Readonly<T> : never;
/** A nonce found for Ethash, spec section 7. */
export type WorkShare = Of<typeof workShareCoder>;
/** Aggregated votes for one link, spec section 6. Bit i of byte j is member 8j+i. */
export type Certificate = Of<typeof certificateCoder>;
/** Proof of a slashable act, spec section 6; consensus knows its forms. */
export type Evidence = Item;

export interface Body {
  readonly transactions: readonly Transaction[];
  readonly workShares: readonly WorkShare[];
  readonly certificates: readonly Certificate[];
  readonly evidence: readonly Evidence[];
}

/** A block; the proposer's signature (65 bytes r || s || v) over the hash travels beside the header. */
export interface Block {
  readonly hash: Hash;
  readonly header: Header;
  readonly signature: Hex;
  readonly body: Body;
}

const lists = {
  workShares: list(workShareCoder, MAX_WORK_SHARES),
  certificates: list(certificateCoder, MAX_CERTIFICATES),
  evidence: list(raw, MAX_EVIDENCE),
};
const consensusCoder = record(lists);
const bodyCoder = record({ transactions: list(transaction, MAX_TRANSACTIONS), ...lists });
const blockCoder = record({ header: headerCoder, signature: hexOf(65), body: bodyCoder });

const mutable = (body: Body) => ({
  transactions: [...body.transactions],
  workShares: [...body.workShares],
  certificates: [...body.certificates],
  evidence: [...body.evidence],
});

/** Encodes a block as RLP: [header, signature, body]. */
export const encodeBlock = (block: Block): Uint8Array =>
  encodeWith(blockCoder, { header: block.header, signature: block.signature, body: mutable(block.body) });

/** Decodes a block strictly, within the sizes of spec section 5. Throws RuleError. */
export const decodeBlock = (input: Uint8Array): Block => {
  const block = decodeWith(blockCoder, input, { maxBytes: MAX_BLOCK_BYTES, maxDepth: 12 });
  return { ...block, hash: hashHeader(block.header) };
};

/**
 * Decodes the header and the signature of an encoded block, and looks at nothing else, so that the body may still be anything:
 * O(1), where decodeBlock is O(bytes) and hashes every transaction. Throws RuleError.
 */
export const decodeBlockHead = (input: Uint8Array): Omit<Block, "body"> => {
  if (input.length > MAX_BLOCK_BYTES) failChain("block-format", { got: input.length, most: MAX_BLOCK_BYTES });
  const [header, signature] = rlpHeads(input, 2) as [Uint8Array, Uint8Array];
  const decoded = decodeHeader(header);
  return { header: decoded, hash: hashHeader(decoded), signature: decodeWith(hexOf(65), signature) };
};

/** Computes keccak256(rlp([workShares, certificates, evidence])). */
export const consensusRoot = (body: Body): Hash => keccak256(encodeRlp(consensusCoder.encode(mutable(body))));
/** Computes the root of the ordered trie of transactions. */
export const transactionsRoot = (transactions: readonly Transaction[]): Hash =>
  orderedRoot(transactions.map((tx) => tx.raw));
/** Computes the root of the ordered trie of receipts. */
export const receiptsRoot = (receipts: readonly Receipt[]): Hash => orderedRoot(receipts.map(encodeReceipt));
