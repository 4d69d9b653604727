import type { Transaction } from "../chain/transaction.ts";
import type { ChainView } from "./chain-view.ts";
import { type Call, type Methods, method } from "./dispatch.ts";
import { transactionJson } from "./format.ts";
import { address, hexNumber } from "./values.ts";

/** Transactions and bytes of calldata in one answer at most: the oldest. */
const MAX_TRANSACTIONS = 2_048;
const MAX_BYTES = 2 * 1024 * 1024;
/** What a transaction takes in an answer beside its calldata, about. */
const TRANSACTION_BYTES = 1_024;
/** Transactions that are written in one turn. */
const PER_TURN = 64;

type ByNonce = Record<string, ReturnType<typeof transactionJson>>;

/** Methods about what waits for a block, as geth has them: "pending" can be mined now, "queued" lacks a nonce before it. */
export const txpoolMethods = ({ engine: { pool } }: ChainView): Methods => {
  const isPending = (tx: Transaction): boolean => tx.nonce < pool.nextNonce(tx.sender!);
  const some = async function* (
    transactions: Iterable<Transaction>,
    { turn, hold }: Call,
  ): AsyncGenerator<Transaction> {
    let [count, bytes] = [0, 0];
    for (const tx of transactions) {
      if (count % PER_TURN === 0) await turn();
      count += 1;
      bytes += tx.data.length;
      if (count > MAX_TRANSACTIONS || bytes > MAX_BYTES) return;
      hold(TRANSACTION_BYTES + 2 * tx.data.length);
      yield tx;
    }
  };
  return {
    txpool_status: method([], () => ({
      pending: hexNumber(pool.size - pool.queued),
      queued: hexNumber(pool.queued),
    })),
    txpool_content: method([], async (_, call) => {
      const content = { pending: {} as Record<string, ByNonce>, queued: {} as Record<string, ByNonce> };
      for await (const tx of some(pool.all(), call)) {
        const part = isPending(tx) ? content.pending : content.queued;
        part[tx.sender!] ??= {};
        part[tx.sender!]![tx.nonce] = transactionJson(tx, undefined);
      }
      return content;
    }),
    txpool_contentFrom: method([address], async ([of], call) => {
      const content: { pending: ByNonce; queued: ByNonce } = { pending: {}, queued: {} };
      for await (const tx of some(pool.from(of), call))
        (isPending(tx) ? content.pending : content.queued)[tx.nonce] = transactionJson(tx, undefined);
      return content;
    }),
  };
};
