import type { Block } from "../chain/block.ts";
import { type Database, DatabaseError } from "../chain/db.ts";
import type { Genesis } from "../chain/params.ts";
import { createPool, type PoolView, type TransactionPool } from "../chain/pool.ts";
import { changedAccounts, type State } from "../chain/state.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { isPaidBySlot } from "../vm/market/messages.ts";
import type { BlockContext } from "../vm/natives.ts";
import { nextBaseFee } from "./fees.ts";

/** Blocks that left the head's chain whose transactions wait again; those of what lay deeper may be sent again, as in geth. */
const MAX_READDED_BLOCKS = 64;

/** The pool at the head, and how it goes on to another. */
export interface PoolKeeper {
  readonly pool: TransactionPool;
  /** Goes on to another head; `left` are the blocks that left its chain, highest first. */
  onHead(head: Block, left: readonly Block[]): void;
}

/** Makes the pool of an engine, at its head. */
export const createPoolKeeper = (options: {
  readonly db: Database;
  readonly genesis: Genesis;
  readonly now: () => number;
  readonly head: Block;
  readonly stateOf: (block: Block) => State;
  readonly nextContext: (block: Block) => { state: State; context: BlockContext };
  readonly log: Log;
}): PoolKeeper => {
  const { db, stateOf, nextContext, log } = options;
  const viewOf = (block: Block): PoolView => {
    const state = stateOf(block);
    const { stateRoot, gasLimit } = block.header;
    // Made when the first transaction asks whose sender cannot pay: few blocks need it.
    let next: ReturnType<typeof nextContext> | undefined;
    return {
      stateRoot,
      nonce: (address) => state.nonce(address),
      balance: (address) => state.balance(address),
      baseFee: nextBaseFee(block.header),
      gasLimit,
      changedSince: (before) => changedAccounts(db, before, stateRoot),
      paidByOther: (tx, sender) => {
        next ??= nextContext(block);
        return isPaidBySlot(next.state, next.context, tx, sender);
      },
    };
  };
  const pool = createPool(options.genesis.chainId, viewOf(options.head), { now: options.now });
  const addAgain = (tx: Transaction): void => {
    try {
      pool.add(tx);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
    }
  };
  return {
    pool,
    onHead: (head, left) => {
      try {
        pool.reset(viewOf(head));
        // The lowest first, as their nonces follow each other.
        for (const gone of left.slice(-MAX_READDED_BLOCKS).reverse()) gone.body.transactions.forEach(addAgain);
      } catch (error) {
        if (error instanceof DatabaseError) throw error;
        log.error({ error: (error as Error).stack }, "the pool met a bug of ours; the chain goes on");
      }
    },
  };
};
