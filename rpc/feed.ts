import type { Block } from "../chain/block.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { EnginePort } from "./engine-port.ts";

/** How the head's chain changed: blocks that left it, highest first; blocks that joined, lowest first. */
export interface HeadChange {
  readonly left: readonly Block[];
  readonly joined: readonly Block[];
}

/** What filters and subscriptions follow. Each gives back how to stop. */
export interface Feed {
  onHead(listener: (change: HeadChange) => void): () => void;
  onTransaction(listener: (tx: Transaction) => void): () => void;
  /** Leaves the engine. */
  stop(): void;
}

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
  };
};

/** Follows the engine's head and pool for any number of listeners. */
export const createFeed = (engine: EnginePort): Feed => {
  const heads = emitter<HeadChange>();
  const transactions = emitter<Transaction>();
  const stops = [
    engine.on("head", (_, left, joined) => heads.emit({ left, joined })),
    engine.on("transaction", (tx) => transactions.emit(tx)),
  ];
  return {
    onHead: heads.on,
    onTransaction: transactions.on,
    stop: () => {
      for (const stop of stops) stop();
    },
  };
};
