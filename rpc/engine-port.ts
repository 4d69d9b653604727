import type { Header } from "../chain/header.ts";
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
  readonly genesis: Genesis;
  readonly genesisHash: Hash;
  readonly store: Pick<Store, "block" | "receipts" | "canonical" | "transaction">;
  readonly pool: Pick<TransactionPool, "get" | "nextNonce" | "size" | "all">;
  head(): Header & { readonly hash: Hash };
  justified(): Point;
  finalized(): Point;
  /** The state after a block; may be the caller's own or shared, and is never committed by the RPC. */
  stateAt(block: Hash): State;
  /** Checks, keeps and passes on. Throws RuleError. */
  addTransaction(tx: Transaction): Promise<unknown> | unknown;
  on(event: "head", listener: () => void): unknown;
  on(event: "transaction", listener: (tx: Transaction) => void): unknown;
}
