import type { Address, Hash } from "../lib/bytes.ts";
import { toHex } from "../lib/bytes.ts";
import { createHeap } from "../lib/heap.ts";
import { failChain } from "./rules.ts";
import { effectiveGasPrice, intrinsicGas, senderOf, type Transaction } from "./transaction.ts";

/** What the pool asks of the ledger at the head. */
export interface PoolView {
  nonce(address: Address): number;
  balance(address: Address): bigint;
  readonly baseFee: bigint;
  readonly gasLimit: number;
  /** Tells whether somebody else than the sender pays a transaction's gas (spec section 10). */
  readonly paidByOther?: (tx: Transaction, sender: Address) => boolean;
}

export interface PoolOptions {
  /** Milliseconds. */
  readonly now: () => number;
  readonly maxCount?: number;
  readonly maxBytes?: number;
  readonly maxPerSender?: number;
}
const MAX_COUNT = 65_536;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_PER_SENDER = 16_384;
/** What no block took for so long goes, as in geth. */
const LIFETIME_MS = 3 * 3_600_000;
/** A replacement pays at least so much more, in percent, in both fees. */
const BUMP_PERCENT = 10n;
/** How far a nonce may be ahead of the first that is missing. */
const MAX_NONCE_GAP = 1_024;
/** Least fee of a transaction, in wei a gas: no block has a lower base fee for long. */
const MIN_FEE = 7n;

/** Transactions that wait for a block: in nonce order by sender, at most one for each nonce. */
export interface TransactionPool {
  /**
   * Takes a transaction, or throws RuleError with the phrase that wallets know. A full pool drops what lacks a nonce before
   * it, then what pays least. O(log n), one read of the sender's account.
   */
  add(tx: Transaction): void;
  has(hash: Hash): boolean;
  get(hash: Hash): Transaction | undefined;
  /** The nonce that the sender's next transaction should have. */
  nextNonce(address: Address): number;
  /**
   * Gives what a block may hold: best tip first, each sender in nonce order. `skip` leaves out a sender's rest. Reads no
   * state: about 50 ms before the first for 65,536 senders.
   */
  best(): Generator<Transaction, void, "skip" | undefined>;
  /** Goes on to another head: drops what it mined, what can no longer be mined, and what is too old. O(touched). */
  reset(view: PoolView, mined: readonly Transaction[]): void;
  /** Drops a transaction that no block can hold. */
  remove(tx: Transaction): void;
  readonly size: number;
  all(): Iterable<Transaction>;
}

interface Waiting {
  readonly tx: Transaction;
  /** Milliseconds. */
  readonly since: number;
  /** Place in the order of arrival. */
  readonly order: number;
}

/** What waits of one sender. */
interface Queue {
  readonly sender: Address;
  readonly byNonce: Map<number, Waiting>;
  /** The account's nonce at the head. */
  nonce: number;
  /** The first nonce from the account's on that is not there. */
  next: number;
  /** The highest nonce that is there. */
  highest: number;
  /** Wei of all. */
  cost: bigint;
}

const costOf = (tx: Transaction): bigint => tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;
const bumped = (before: bigint): bigint => before + (before * BUMP_PERCENT + 99n) / 100n + 1n;
/** What a message that somebody else pays is for: its receiver, selector and first argument, which is its lot. */
const purposeOf = (tx: Transaction): string => `${senderOf(tx)} ${tx.to} ${toHex(tx.data.subarray(0, 36))}`;

/** Makes an empty pool for a chain. */
export const createPool = (chainId: number, first: PoolView, options: PoolOptions): TransactionPool => {
  const { now, maxCount = MAX_COUNT, maxBytes = MAX_BYTES, maxPerSender = MAX_PER_SENDER } = options;
  let view = first;
  let bytes = 0;
  let arrivals = 0;
  /** In the order of arrival. */
  const byHash = new Map<Hash, Waiting>();
  const bySender = new Map<Address, Queue>();
  /** Senders who have transactions behind a nonce that is missing; the oldest gap first. */
  const gapped = new Set<Queue>();
  /** Who pays least comes first, of these the latest; what is dropped stays until it comes up or there is too much of it. */
  const cheapest = createHeap<Waiting>((a, b) =>
    a.tx.maxFeePerGas === b.tx.maxFeePerGas ? a.order > b.order : a.tx.maxFeePerGas < b.tx.maxFeePerGas,
  );
  /** What somebody else than the sender pays, by purpose: asked again at every head, since that may end. */
  const sponsored = new Map<string, Waiting>();

  const isHere = (waiting: Waiting): boolean => byHash.get(waiting.tx.hash) === waiting;
  /** Brings `next` up to the first nonce that is missing. */
  const settle = (queue: Queue): void => {
    while (queue.byNonce.has(queue.next)) queue.next += 1;
    if (queue.byNonce.size > queue.next - queue.nonce) gapped.add(queue);
    else gapped.delete(queue);
  };
  const drop = (waiting: Waiting): void => {
    const { tx } = waiting;
    const queue = bySender.get(senderOf(tx));
    if (!queue || !isHere(waiting)) return;
    byHash.delete(tx.hash);
    bytes -= tx.raw.length;
    if (sponsored.size > 0 && sponsored.get(purposeOf(tx)) === waiting) sponsored.delete(purposeOf(tx));
    queue.byNonce.delete(tx.nonce);
    queue.cost -= costOf(tx);
    queue.next = Math.max(queue.nonce, Math.min(queue.next, tx.nonce));
    while (queue.highest > queue.nonce && !queue.byNonce.has(queue.highest)) queue.highest -= 1;
    settle(queue);
    if (queue.byNonce.size === 0) bySender.delete(queue.sender);
    if (cheapest.size > 2 * byHash.size + 1_024) cheapest.filter(isHere);
  };
  /** Takes over the account's nonce at the head; what has a lower one was mined, or has lost against what was. */
  const follow = (queue: Queue): void => {
    const nonce = view.nonce(queue.sender);
    for (let gone = queue.nonce; gone < nonce; gone++) {
      const waiting = queue.byNonce.get(gone);
      if (waiting) drop(waiting);
    }
    // After a change of branch the account may stand at a lower nonce than before.
    queue.next = nonce < queue.nonce ? nonce : Math.max(queue.next, nonce);
    queue.nonce = nonce;
    settle(queue);
  };
  const newQueue = (sender: Address): Queue => {
    const nonce = view.nonce(sender);
    return { sender, byNonce: new Map(), nonce, next: nonce, highest: nonce, cost: 0n };
  };

  /** Makes room for a transaction that takes the place of `before`, or throws. */
  const makeRoom = (tx: Transaction, before: Waiting | undefined, isGapped: boolean): void => {
    let count = byHash.size + (before ? 0 : 1) - maxCount;
    let size = bytes + tx.raw.length - (before?.tx.raw.length ?? 0) - maxBytes;
    const isFull = () => count > 0 || size > 0;
    if (isGapped && isFull()) failChain("pool-full", "txpool is full, and transactions with lower nonces are missing");
    const forget = ({ tx: { raw } }: Waiting): void => {
      count -= 1;
      size -= raw.length;
    };
    for (const queue of gapped) {
      while (isFull() && gapped.has(queue)) {
        const waiting = queue.byNonce.get(queue.highest)!;
        forget(waiting);
        drop(waiting);
      }
      if (!isFull()) break;
    }
    const popped: Waiting[] = [];
    while (isFull()) {
      const waiting = cheapest.pop();
      if (waiting && !isHere(waiting)) continue;
      if (waiting) popped.push(waiting);
      if (!waiting || waiting.tx.maxFeePerGas >= tx.maxFeePerGas) {
        for (const each of popped) cheapest.push(each);
        failChain(
          "pool-full",
          `txpool is full: max fee ${tx.maxFeePerGas}, over ${waiting?.tx.maxFeePerGas} is needed`,
        );
      } else if (waiting !== before) forget(waiting);
    }
    for (const waiting of popped) if (waiting !== before) drop(waiting);
  };

  return {
    add: (tx) => {
      if (byHash.has(tx.hash)) failChain("pool-known", "already known");
      if (tx.chainId !== chainId)
        failChain("tx-chain-id", `invalid chain id for signer: have ${tx.chainId} want ${chainId}`);
      if (!tx.to) failChain("tx-format", "contract creation is not possible: contracts are native");
      const sender = senderOf(tx);
      const queue = bySender.get(sender) ?? newQueue(sender);
      // Even where this one is refused: after a change of branch the others of its sender may have to wait again.
      if (queue.byNonce.size > 0) follow(queue);
      const intrinsic = intrinsicGas(tx);
      if (tx.gasLimit < intrinsic)
        failChain("pool-gas", `intrinsic gas too low: have ${tx.gasLimit}, want ${intrinsic}`);
      if (tx.gasLimit > view.gasLimit) failChain("pool-gas", "exceeds block gas limit");
      if (tx.maxFeePerGas < MIN_FEE)
        failChain("pool-underpriced", `transaction underpriced: max fee ${tx.maxFeePerGas}, at least ${MIN_FEE}`);
      if (tx.nonce < queue.nonce)
        failChain("pool-nonce-low", `nonce too low: next nonce ${queue.nonce}, tx nonce ${tx.nonce}`);
      const furthest = queue.next + MAX_NONCE_GAP;
      if (tx.nonce > furthest) failChain("pool-nonce-gap", `nonce too high: at most ${furthest}, tx nonce ${tx.nonce}`);
      const before = queue.byNonce.get(tx.nonce);
      const others = queue.cost - (before ? costOf(before.tx) : 0n);
      const have = view.balance(sender);
      const isSponsored = have < others + costOf(tx);
      if (isSponsored) {
        const same = sponsored.get(purposeOf(tx));
        if (same && same !== before) failChain("pool-sponsored", `the same message waits already: ${same.tx.hash}`);
        if (!view.paidByOther?.(tx, sender))
          failChain(
            "pool-funds",
            `insufficient funds for gas * price + value: address ${sender} have ${have} want ${costOf(tx)}${others > 0n ? `, ${others} for what waits` : ""}`,
          );
      }
      if (before) {
        const enough =
          tx.maxFeePerGas >= bumped(before.tx.maxFeePerGas) &&
          tx.maxPriorityFeePerGas >= bumped(before.tx.maxPriorityFeePerGas);
        if (!enough) failChain("pool-replacement", "replacement transaction underpriced");
      } else if (queue.byNonce.size >= maxPerSender)
        failChain("pool-full", "too many transactions of this account wait");
      makeRoom(tx, before, tx.nonce > queue.next);
      if (before) drop(before);
      const waiting: Waiting = { tx, since: now(), order: arrivals++ };
      bySender.set(sender, queue);
      queue.byNonce.set(tx.nonce, waiting);
      queue.highest = Math.max(queue.highest, tx.nonce);
      queue.cost += costOf(tx);
      settle(queue);
      byHash.set(tx.hash, waiting);
      cheapest.push(waiting);
      if (isSponsored) sponsored.set(purposeOf(tx), waiting);
      bytes += tx.raw.length;
    },
    has: (hash) => byHash.has(hash),
    get: (hash) => byHash.get(hash)?.tx,
    nextNonce: (address) => bySender.get(address)?.next ?? view.nonce(address),
    best: function* () {
      const { baseFee } = view;
      const candidate = (queue: Queue, nonce: number) => {
        const tx = queue.byNonce.get(nonce)?.tx;
        return tx && tx.maxFeePerGas >= baseFee ? [{ tx, queue, price: effectiveGasPrice(tx, baseFee) }] : [];
      };
      const heap = createHeap(
        (a, b) => a.price > b.price,
        [...bySender.values()].flatMap((queue) => candidate(queue, queue.nonce)),
      );
      for (let top = heap.pop(); top; top = heap.pop())
        if ((yield top.tx) !== "skip") for (const next of candidate(top.queue, top.tx.nonce + 1)) heap.push(next);
    },
    reset: (next, mined) => {
      view = next;
      for (const waiting of byHash.values()) {
        if (now() - waiting.since < LIFETIME_MS) break;
        drop(waiting);
      }
      for (const sender of new Set(mined.map(senderOf))) {
        const queue = bySender.get(sender);
        if (!queue) continue;
        follow(queue);
        const waiting = queue.byNonce.get(queue.nonce);
        if (!waiting || view.balance(sender) >= costOf(waiting.tx)) continue;
        const same = sponsored.get(purposeOf(waiting.tx));
        if (same && same !== waiting) drop(waiting);
        else sponsored.set(purposeOf(waiting.tx), waiting);
      }
      for (const waiting of sponsored.values()) {
        const sender = senderOf(waiting.tx);
        if (view.balance(sender) < costOf(waiting.tx) && !view.paidByOther?.(waiting.tx, sender)) drop(waiting);
      }
    },
    remove: (tx) => {
      const waiting = byHash.get(tx.hash);
      if (waiting) drop(waiting);
    },
    get size() {
      return byHash.size;
    },
    all: function* () {
      for (const { tx } of byHash.values()) yield tx;
    },
  };
};
