import type { Block, Evidence, WorkShare } from "../chain/block.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { Hash } from "../lib/bytes.ts";
import { createListeners, type Listeners } from "../lib/listeners.ts";
import type { Log } from "../lib/log.ts";
import type { Vote } from "./votes.ts";

/** What an engine tells of. */
export interface EngineEvents {
  /** A block joined the tree. */
  block: (block: Block) => void;
  /** The head moved: blocks that left its chain (highest first), and those that joined (lowest first). */
  head: (head: Block, left: readonly Block[], joined: readonly Block[]) => void;
  finalized: (checkpoint: { epoch: number; hash: Hash }) => void;
  transaction: (tx: Transaction) => void;
  vote: (vote: Vote) => void;
  evidence: (evidence: Evidence) => void;
  /** The engine cannot go on: the disk fails, or two checkpoints that exclude each other are final. The node has to stop. */
  fatal: (error: Error) => void;
  share: (share: WorkShare) => void;
}

/** Who wants to be told by an engine, and its end. */
export interface Events extends Listeners<EngineEvents> {
  /** Throws what the engine stopped for, where it cannot go on. */
  checkAlive(): void;
  /** Stops the engine for an error; the first one counts. */
  stop(error: Error): void;
}

/** Makes the events of an engine. */
export const createEvents = (log: Log): Events => {
  const listeners = createListeners<EngineEvents>((event, error) =>
    log.error({ event, error: error.stack }, "a listener met a bug of ours"),
  );
  let dead: Error | undefined;
  return {
    ...listeners,
    checkAlive: () => {
      if (dead) throw dead;
    },
    stop: (error) => {
      if (dead) return;
      dead = error;
      log.fatal({ error: error.stack, ...(error as { proofs?: object }).proofs }, "this node cannot go on");
      listeners.emit("fatal", error);
    },
  };
};
