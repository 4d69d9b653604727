import type { Block } from "../chain/block.ts";
import type { Genesis } from "../chain/params.ts";
import type { TransactionPool } from "../chain/pool.ts";
import type { State } from "../chain/state.ts";
import type { Store } from "../chain/store.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { Hash } from "../lib/bytes.ts";

/** A checkpoint that a quorum stands behind. */
export interface Point {
  readonly epoch: number;
  readonly hash: Hash;
  readonly number: number;
}

/** What the RPC needs of the engine. */
export interface EnginePort {
  readonly chain: { readonly genesis: Genesis };
  readonly genesisHash: Hash;
  readonly store: Pick<
    Store,
    | "block"
    | "canonical"
    | "eachTransaction"
    | "size"
    | "head"
    | "rawTransactions"
    | "workShares"
    | "receipts"
    | "transaction"
    | "transactionAt"
    | "transactionHashes"
  >;
  readonly pool: Pick<TransactionPool, "get" | "nextNonce" | "from" | "size" | "queued" | "all">;
  head(): Block;
  justified(): Point;
  finalized(): Point;
  /** Opens the state after a block, to read and to try in; never committed by the RPC. */
  stateOf(block: Block): State;
  /** Checks, keeps and passes on. Throws RuleError. */
  addTransaction(tx: Transaction): unknown;
  /** Blocks that left the head's chain (highest first), and those that joined it (lowest first). */
  on(event: "head", listener: (head: Block, left: readonly Block[], joined: readonly Block[]) => void): () => void;
  on(event: "transaction", listener: (tx: Transaction) => void): () => void;
}
