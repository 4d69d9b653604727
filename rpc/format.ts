import type { WorkShare } from "../chain/block.ts";
import type { Log, Receipt } from "../chain/receipt.ts";
import type { BlockHead } from "../chain/store.ts";
import { effectiveGasPrice, senderOf, type Transaction } from "../chain/transaction.ts";
import { type Hash, toHex } from "../lib/bytes.ts";
import { hexNumber } from "./values.ts";

/** Where a transaction stands; undefined while it waits. */
interface Place {
  readonly block: BlockHead;
  readonly index: number;
}

/** Writes a transaction as execution-apis does. */
export const transactionJson = (tx: Transaction, place: Place | undefined) => ({
  blockHash: place?.block.hash ?? null,
  blockNumber: place ? hexNumber(place.block.header.number) : null,
  blockTimestamp: place ? hexNumber(place.block.header.timestamp) : null,
  transactionIndex: place ? hexNumber(place.index) : null,
  hash: tx.hash,
  type: hexNumber(tx.type),
  chainId: hexNumber(tx.chainId),
  nonce: hexNumber(tx.nonce),
  from: senderOf(tx),
  to: tx.to ?? null,
  value: hexNumber(tx.value),
  gas: hexNumber(tx.gasLimit),
  gasPrice: hexNumber(place ? effectiveGasPrice(tx, place.block.header.baseFeePerGas) : tx.maxFeePerGas),
  ...(tx.type === 2
    ? { maxFeePerGas: hexNumber(tx.maxFeePerGas), maxPriorityFeePerGas: hexNumber(tx.maxPriorityFeePerGas) }
    : {}),
  ...(tx.type === 0 ? {} : { accessList: tx.accessList, yParity: hexNumber(tx.yParity) }),
  input: toHex(tx.data),
  v: hexNumber(tx.type === 0 ? BigInt(tx.chainId) * 2n + 35n + BigInt(tx.yParity) : tx.yParity),
  r: hexNumber(tx.r),
  s: hexNumber(tx.s),
});

/** Writes a header: Ethereum's fields, then rolec's own (spec section 5). */
export const headerJson = ({ hash, header, signature }: BlockHead) => ({
  number: hexNumber(header.number),
  hash,
  parentHash: header.parentHash,
  sha3Uncles: header.ommersHash,
  miner: header.beneficiary,
  stateRoot: header.stateRoot,
  transactionsRoot: header.transactionsRoot,
  receiptsRoot: header.receiptsRoot,
  logsBloom: toHex(header.logsBloom),
  difficulty: hexNumber(header.difficulty),
  totalDifficulty: "0x0",
  gasLimit: hexNumber(header.gasLimit),
  gasUsed: hexNumber(header.gasUsed),
  timestamp: hexNumber(header.timestamp),
  extraData: toHex(header.extraData),
  mixHash: header.mixHash,
  nonce: `0x${header.nonce.toString(16).padStart(16, "0")}`,
  baseFeePerGas: hexNumber(header.baseFeePerGas),
  validatorsRoot: header.validatorsRoot,
  consensusRoot: header.consensusRoot,
  historyRoot: header.historyRoot,
  randaoReveal: header.randaoReveal,
  signature,
});

/** Writes a block of `size` encoded bytes with its transactions, whole as transactionJson writes them, or as hashes. */
export const blockJson = (block: BlockHead, size: number, transactions: unknown, workShares: readonly WorkShare[]) => ({
  ...headerJson(block),
  size: hexNumber(size),
  uncles: [],
  transactions,
  workShares,
});

/** Writes a log; `logIndex` counts in the block. */
export const logJson = (
  log: Log,
  block: BlockHead,
  tx: { readonly hash: Hash; readonly index: number },
  logIndex: number,
  removed = false,
) => ({
  address: log.address,
  topics: log.topics,
  data: toHex(log.data),
  blockNumber: hexNumber(block.header.number),
  blockHash: block.hash,
  blockTimestamp: hexNumber(block.header.timestamp),
  transactionHash: tx.hash,
  transactionIndex: hexNumber(tx.index),
  logIndex: hexNumber(logIndex),
  removed,
});
export type LogJson = ReturnType<typeof logJson>;

/** Writes a transaction's receipt; `firstLog` is the place of its first log among the block's. */
export const receiptJson = (tx: Transaction, receipt: Receipt, { block, index }: Place, firstLog: number) => ({
  transactionHash: tx.hash,
  transactionIndex: hexNumber(index),
  blockHash: block.hash,
  blockNumber: hexNumber(block.header.number),
  blockTimestamp: hexNumber(block.header.timestamp),
  from: senderOf(tx),
  to: tx.to ?? null,
  contractAddress: null,
  type: hexNumber(receipt.type),
  status: hexNumber(receipt.status),
  gasUsed: hexNumber(receipt.gasUsed),
  cumulativeGasUsed: hexNumber(receipt.cumulativeGasUsed),
  effectiveGasPrice: hexNumber(effectiveGasPrice(tx, block.header.baseFeePerGas)),
  logs: receipt.logs.map((log, i) => logJson(log, block, { hash: tx.hash, index }, firstLog + i)),
  logsBloom: toHex(receipt.logsBloom),
});
