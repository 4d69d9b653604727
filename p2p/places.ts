import { putNewest } from "../lib/lru.ts";
import { type Clock, monotonic } from "./bucket.ts";

/** Peers that bring blocks as fast as they are taken; more would bring the same. */
const BRISK = 3;
/** Peers that are asked in all, by whom nobody is kept waiting; and how many more where they were good, or were called. */
const RUNNING = 12;
const KEPT = 4;
/** Peers that are asked besides because they sent a block whose parent is missing. */
const POKED = 4;
/** Milliseconds that a peer may keep a node waiting and be brisk, and what a new block gives back. */
const BRISK_MS = 1_000;
const MS_PER_BLOCK = 125;
/** How long who failed is not asked again; twice as long each time. */
const FIRST_BACKOFF_MS = 5_000;
const MAX_BACKOFF_MS = 600_000;
const MAX_REMEMBERED = 4_096;

/** Why a peer is asked: it was good before, or this node called it; it sent what lacks its parent; or none of these. */
export type Claim = "known" | "poked" | "stranger";

/** One peer that is being asked. */
export interface Turn {
  /** Waits for the peer; what is done with its answer in between is not its time. */
  waiting<T>(answer: Promise<T>): Promise<T>;
  /** The peer brought a block that was new. */
  brought(): void;
  /** The peer has nothing more, or kept nobody waiting: it may be asked again. */
  done(): void;
  /** The peer did not answer, or too slowly: it is not asked for a while. */
  failed(): void;
}

/** Who may be asked for blocks at a time. */
export interface Places {
  /** Gives a peer its turn, where there is a place. */
  take(peer: string, claim: Claim): Turn | undefined;
  /** A peer that brought new blocks, and did not fail since. */
  wasGood(peer: string): boolean;
  isResting(peer: string): boolean;
}

interface Record {
  failures: number;
  restUntil: number;
  isGood: boolean;
}
interface Running {
  readonly claim: Claim;
  leftMs: number;
  since: number | undefined;
}

/** Makes the places of a node. */
export const createPlaces = (now: Clock = monotonic): Places => {
  const records = new Map<string, Record>();
  const running = new Map<string, Running>();
  const recordOf = (peer: string): Record => {
    const record = records.get(peer) ?? { failures: 0, restUntil: 0, isGood: false };
    putNewest(records, peer, record, MAX_REMEMBERED);
    return record;
  };
  const isBrisk = ({ leftMs, since }: Running): boolean => leftMs - (since === undefined ? 0 : now() - since) > 0;
  const isResting = (peer: string): boolean => (records.get(peer)?.restUntil ?? 0) > now();
  const hasPlace = (claim: Claim): boolean => {
    const turns = [...running.values()];
    const same = turns.filter((turn) => turn.claim === claim);
    if (claim === "poked") return same.length < POKED;
    const others = turns.filter((turn) => turn.claim !== "poked");
    // Strangers, who may be any number, keep no place from those that are known, however brisk they are.
    return claim === "known"
      ? same.filter(isBrisk).length < BRISK && others.length < RUNNING + KEPT
      : others.filter(isBrisk).length < BRISK && others.length < RUNNING;
  };
  return {
    take: (peer, claim) => {
      if (running.has(peer) || isResting(peer) || !hasPlace(claim)) return undefined;
      const turn: Running = { claim, leftMs: BRISK_MS, since: undefined };
      running.set(peer, turn);
      const record = recordOf(peer);
      return {
        waiting: async (answer) => {
          const since = now();
          turn.since = since;
          try {
            return await answer;
          } finally {
            turn.leftMs -= now() - since;
            turn.since = undefined;
          }
        },
        brought: () => {
          turn.leftMs = Math.min(BRISK_MS, turn.leftMs + MS_PER_BLOCK);
          record.isGood = true;
        },
        done: () => {
          running.delete(peer);
          record.failures = 0;
        },
        failed: () => {
          running.delete(peer);
          record.isGood = false;
          record.restUntil = now() + Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** record.failures);
          record.failures += 1;
        },
      };
    },
    wasGood: (peer) => records.get(peer)?.isGood ?? false,
    isResting,
  };
};
