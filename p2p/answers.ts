import { setTimeout as sleep } from "node:timers/promises";
import { putNewest } from "../lib/lru.ts";
import { type Bucket, type Clock, createBucket, monotonic } from "./bucket.ts";
import { createLedger, type Ledger } from "./ledger.ts";

const MIB = 1024 * 1024;
/** Bytes that peers are given: at once, and each second after. */
const PEER = { capacity: 64 * MIB, perSecond: 32 * MIB };
const ALL = { capacity: 128 * MIB, perSecond: 64 * MIB };
/** A millisecond of processor that an answer takes costs as much as so many bytes. */
const BYTES_PER_MS = 256 * 1024;
/** Bytes of answers that are made and not yet taken. */
const MAX_HELD_BYTES = 64 * MIB;
/** Requests of one peer that are read, wait or are answered. */
const MAX_OPEN = 16;
/** An answer that would have to wait longer is not worth its wait to who asked. */
const MAX_WAIT_MS = 8_000;
const MAX_PEERS = 4_096;

/** What a node gives to those that ask. */
export interface Answers {
  /** Takes a place for a request; undefined where the peer has too many. To be given back. */
  enter(peer: string): (() => void) | undefined;
  /** Runs `work` when the peer's answers before it, of the same protocol, are given. */
  inTurn<T>(peer: string, protocol: string, work: () => Promise<T>): Promise<T>;
  /** Waits until a peer has paid for what it got. Throws where that is too far away. */
  paid(peer: string): Promise<void>;
  pay(peer: string, bytes: number, processorMs: number): void;
  /** Bytes of answers that are made and not yet taken. */
  readonly held: Ledger;
}

/** Makes the account of what a node gives. */
export const createAnswers = (now: Clock = monotonic): Answers => {
  const all = createBucket(ALL.capacity, ALL.perSecond, now);
  const buckets = new Map<string, Bucket>();
  const open = new Map<string, number>();
  const turns = new Map<string, Promise<unknown>>();
  const bucketOf = (peer: string): Bucket => {
    const bucket = buckets.get(peer) ?? createBucket(PEER.capacity, PEER.perSecond, now);
    putNewest(buckets, peer, bucket, MAX_PEERS);
    return bucket;
  };
  return {
    enter: (peer) => {
      const count = open.get(peer) ?? 0;
      if (count >= MAX_OPEN) return undefined;
      open.set(peer, count + 1);
      return () => {
        const left = open.get(peer)! - 1;
        if (left > 0) open.set(peer, left);
        else open.delete(peer);
      };
    },
    inTurn: async (peer, protocol, work) => {
      const key = `${peer} ${protocol}`;
      const done = (turns.get(key) ?? Promise.resolve()).then(work);
      const settled = done.catch(() => undefined);
      turns.set(key, settled);
      try {
        return await done;
      } finally {
        if (turns.get(key) === settled) turns.delete(key);
      }
    },
    paid: async (peer) => {
      for (const deadline = now() + MAX_WAIT_MS; ; ) {
        const waitMs = Math.max(bucketOf(peer).waitMs, all.waitMs);
        if (waitMs === 0) return;
        if (now() + waitMs > deadline) throw new Error("it has had all that it gets for now");
        await sleep(waitMs);
      }
    },
    pay: (peer, bytes, processorMs) => {
      const cost = bytes + processorMs * BYTES_PER_MS;
      bucketOf(peer).spend(cost);
      all.spend(cost);
    },
    held: createLedger(MAX_HELD_BYTES),
  };
};
