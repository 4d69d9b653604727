import type { Address, Hash } from "../lib/bytes.ts";
import { accountPath } from "./state.ts";
import { senderOf, type Transaction } from "./transaction.ts";

/** Room is counted in slots of so many bytes, as in geth: about what the smallest transaction takes of memory. */
const SLOT_BYTES = 1_024;

/** Counts the slots that a transaction takes. */
export const slotsOf = (tx: Transaction): number => Math.ceil(tx.raw.length / SLOT_BYTES);

/** The most that a transaction may cost its sender, in wei. */
export const costOf = (tx: Transaction): bigint => tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;

export interface Waiting {
  readonly tx: Transaction;
  readonly slots: number;
  /** Milliseconds. */
  readonly since: number;
  /** Place in the order of arrival. */
  readonly order: number;
  /** What a slot pays it for; undefined where it binds its sender's balance. */
  purpose: string | undefined;
  /** Wei a gas that the next block's proposer gets; negative where that block cannot have it. */
  tip: bigint;
}

/** What waits of one sender. */
export interface Queue {
  readonly sender: Address;
  readonly path: Hash;
  readonly byNonce: Map<number, Waiting>;
  /** The account's nonce at the head. */
  nonce: number;
  /** The first nonce from the account's on that is not there. */
  next: number;
  /** The highest nonce that is there. */
  highest: number;
  /** How many lie behind `next`. */
  gapped: number;
  slots: number;
  /** Wei that the sender's balance may have to pay. */
  cost: bigint;
}

/** The transactions of a pool by hash, by sender and nonce, and by what goes first where room is short. */
export interface Queues {
  /** In the order of arrival. */
  readonly byHash: ReadonlyMap<Hash, Waiting>;
  readonly bySender: ReadonlyMap<Address, Queue>;
  /** By accountPath. */
  readonly byPath: ReadonlyMap<Hash, Queue>;
  /** Those with transactions behind a nonce that is missing; the oldest gap first. */
  readonly gapped: ReadonlySet<Queue>;
  /** Those with several transactions and more than a fair part of the room. */
  readonly large: ReadonlySet<Queue>;
  /** What a slot pays, by its purpose; what was asked about longest ago first. */
  readonly sponsored: Map<string, Waiting>;
  /** Slots taken. */
  slots(): number;
  /** How many transactions lie behind a nonce that is missing. */
  queued(): number;
  /** Makes the queue of a sender who has none; it joins with its first transaction. */
  open(sender: Address, nonce: number): Queue;
  of(waiting: Waiting): Queue;
  isHere(waiting: Waiting): boolean;
  put(queue: Queue, waiting: Waiting): void;
  drop(waiting: Waiting): void;
  /** Takes over an account's nonce: what has a lower one was mined, or has lost against what was. */
  follow(queue: Queue, nonce: number): void;
}

/** Lists what waits of a sender in the order of nonces. */
export const inOrder = (queue: Queue): Waiting[] => [...queue.byNonce.values()].sort((a, b) => a.tx.nonce - b.tx.nonce);

/** Makes empty queues; `fairSlots` is what a sender may have before its queue counts as large. */
export const createQueues = (fairSlots: number): Queues => {
  const byHash = new Map<Hash, Waiting>();
  const bySender = new Map<Address, Queue>();
  const byPath = new Map<Hash, Queue>();
  const gapped = new Set<Queue>();
  const large = new Set<Queue>();
  const sponsored = new Map<string, Waiting>();
  let slots = 0;
  let queued = 0;

  /** Brings `next` up to the first nonce that is missing, and what hangs on it. */
  const settle = (queue: Queue): void => {
    while (queue.byNonce.has(queue.next)) queue.next += 1;
    const behind = queue.byNonce.size - (queue.next - queue.nonce);
    queued += behind - queue.gapped;
    queue.gapped = behind;
    if (behind > 0) gapped.add(queue);
    else gapped.delete(queue);
    if (queue.slots > fairSlots && queue.byNonce.size > 1) large.add(queue);
    else large.delete(queue);
  };
  const of = ({ tx }: Waiting): Queue => bySender.get(senderOf(tx))!;
  const isHere = (waiting: Waiting): boolean => byHash.get(waiting.tx.hash) === waiting;
  const drop = (waiting: Waiting): void => {
    if (!isHere(waiting)) return;
    const { tx, purpose } = waiting;
    const queue = of(waiting);
    byHash.delete(tx.hash);
    slots -= waiting.slots;
    if (purpose === undefined) queue.cost -= costOf(tx);
    else sponsored.delete(purpose);
    queue.slots -= waiting.slots;
    queue.byNonce.delete(tx.nonce);
    queue.next = Math.max(queue.nonce, Math.min(queue.next, tx.nonce));
    while (queue.highest > queue.nonce && !queue.byNonce.has(queue.highest)) queue.highest -= 1;
    settle(queue);
    if (queue.byNonce.size > 0) return;
    bySender.delete(queue.sender);
    byPath.delete(queue.path);
  };

  return {
    byHash,
    bySender,
    byPath,
    gapped,
    large,
    sponsored,
    slots: () => slots,
    queued: () => queued,
    open: (sender, nonce) => {
      const place = { nonce, next: nonce, highest: nonce, gapped: 0 };
      return { sender, path: accountPath(sender), byNonce: new Map(), ...place, slots: 0, cost: 0n };
    },
    of,
    isHere,
    put: (queue, waiting) => {
      const { tx, purpose } = waiting;
      byHash.set(tx.hash, waiting);
      bySender.set(queue.sender, queue);
      byPath.set(queue.path, queue);
      slots += waiting.slots;
      if (purpose === undefined) queue.cost += costOf(tx);
      else sponsored.set(purpose, waiting);
      queue.slots += waiting.slots;
      queue.byNonce.set(tx.nonce, waiting);
      queue.highest = Math.max(queue.highest, tx.nonce);
      settle(queue);
    },
    drop,
    follow: (queue, nonce) => {
      for (let gone = queue.nonce; gone < nonce && queue.byNonce.size > 0; gone++) {
        const waiting = queue.byNonce.get(gone);
        if (waiting) drop(waiting);
      }
      // After a change of branch the account may stand at a lower nonce than before.
      queue.next = nonce < queue.nonce ? nonce : Math.max(queue.next, nonce);
      queue.nonce = nonce;
      settle(queue);
    },
  };
};
