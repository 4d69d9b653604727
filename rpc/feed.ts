import type { Block } from "../chain/block.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { ChainView } from "./chain-view.ts";

/** How the canonical chain went from one head to the next: blocks that left it, newest first; blocks that joined, oldest first. */
export interface HeadChange {
  readonly removed: readonly Block[];
  readonly added: readonly Block[];
}

/** What filters and subscriptions follow. */
export interface Feed {
  onHead(listener: (change: HeadChange) => void): () => void;
  onTransaction(listener: (tx: Transaction) => void): () => void;
}

/** Blocks that one change tells of at most; after a longer jump only the newest are told. */
const MAX_CHANGE = 256;

const emitter = <T>() => {
  const listeners = new Set<(value: T) => void>();
  return {
    emit: (value: T): void => {
      for (const listener of listeners) listener(value);
    },
    on: (listener: (value: T) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    isHeard: () => listeners.size > 0,
  };
};

/** Follows the engine's head and pool; a change is worked out only while somebody listens. */
export const createFeed = (view: ChainView): Feed => {
  const heads = emitter<HeadChange>();
  const transactions = emitter<Transaction>();
  let last = view.head();
  view.engine.on("head", () => {
    const before = last;
    last = view.head();
    if (!heads.isHeard() || last.hash === before.hash) return;
    const removed: Block[] = [];
    const added: Block[] = [];
    const parent = (block: Block): Block | undefined =>
      view.block({ hash: block.header.parentHash, requireCanonical: false });
    let old: Block | undefined = before;
    let now: Block | undefined = last;
    while (old && now && old.hash !== now.hash && added.length < MAX_CHANGE && removed.length < MAX_CHANGE) {
      const [oldNumber, newNumber]: [number, number] = [old.header.number, now.header.number];
      if (newNumber >= oldNumber) {
        added.unshift(now);
        now = parent(now);
      }
      if (oldNumber >= newNumber) {
        removed.push(old);
        old = parent(old);
      }
    }
    heads.emit({ removed, added });
  });
  view.engine.on("transaction", (tx) => transactions.emit(tx));
  return { onHead: heads.on, onTransaction: transactions.on };
};
