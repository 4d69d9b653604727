import { type Address, type Hash, toHex } from "../lib/bytes.ts";
import { createHeap, type Heap } from "../lib/heap.ts";
import { putNewest } from "../lib/lru.ts";
import { costOf, createQueues, inOrder, type Queue, slotsOf, type Waiting } from "./pool-queues.ts";
import { failChain } from "./rules.ts";
import { effectiveGasPrice, intrinsicGas, senderOf, type Transaction } from "./transaction.ts";

/** What the pool asks of the ledger at the head. */
export interface PoolView {
  readonly stateRoot: Hash;
  nonce(address: Address): number;
  balance(address: Address): bigint;
  readonly baseFee: bigint;
  readonly gasLimit: number;
  /** Lists the accounts, by accountPath, that differ from those under another root. */
  changedSince(stateRoot: Hash): Iterable<Hash>;
  /** Tells whether somebody else than the sender pays a transaction's gas (spec section 10). */
  readonly paidByOther?: (tx: Transaction, sender: Address) => boolean;
}

export interface PoolOptions {
  /** Milliseconds. */
  readonly now: () => number;
  readonly maxSlots?: number;
  readonly maxSlotsPerSender?: number;
  readonly fairSlots?: number;
}
const MAX_SLOTS = 65_536;
/** What fits into one block's bytes, a 32nd of the pool: more of one sender cannot be mined at once. */
const MAX_SLOTS_PER_SENDER = 2_048;
/**
 * What one sender has beyond goes before what anybody has within: as with geth's 16 of 5,120, nobody fills the pool who does
 * not have a thousand purses.
 */
const FAIR_SLOTS = 64;
/** What no block took for so long goes, as in geth. */
const LIFETIME_MS = 3 * 3_600_000;
/** A replacement pays at least so many percent of both fees, as in geth: wallets send exactly that. */
const REPLACEMENT_PERCENT = 110n;
/** How far a nonce may be ahead of the first that is missing. */
const MAX_NONCE_GAP = 1_024;
/** Least fee of a transaction, in wei a gas: no block has a lower base fee for long. */
const MIN_FEE = 7n;
/** So few senders are all asked about at a head: that costs less than to find whose accounts differ. */
const FEW_SENDERS = 256;
/** Messages that a slot pays, asked about at a head; where there are more they take turns. */
const ASKED_A_HEAD = 1_024;
/** Senders that are remembered of what came, so that the same again costs no recovery. */
const MAX_RECOVERED = 16_384;

/**
 * Transactions that wait for a block: in nonce order by sender, at most one for each nonce. A sender's balance at the head
 * pays all that it has here, but for messages that a slot pays: so there is no more than money for, whoever owns the purses.
 */
export interface TransactionPool {
  /**
   * Takes a transaction, or throws RuleError with the phrase that wallets know. Cheap checks come first, and the signature
   * last of those that need no account; what came lately is not recovered again. A full pool drops what lacks a nonce before
   * it, then what a sender has beyond a fair part, then what pays the next block least. O(log n), one read of the sender's
   * account.
   */
  add(tx: Transaction): void;
  has(hash: Hash): boolean;
  get(hash: Hash): Transaction | undefined;
  /** The nonce that the sender's next transaction should have. */
  nextNonce(address: Address): number;
  /** Lists what waits of a sender, in the order of nonces. */
  from(address: Address): readonly Transaction[];
  /**
   * Gives what a block may hold: best tip first, each sender in nonce order. `skip` leaves out a sender's rest. Reads no
   * state: about 50 ms before the first for 65,536 senders.
   */
  best(): Generator<Transaction, void, "skip" | undefined>;
  /**
   * Goes on to another head, of this branch or another: drops what was mined, what can no longer be mined or paid, and what
   * is too old. Looks at every sender whose account differs, whoever changed it. O(accounts that differ + what is dropped): 15 us
   * for an account.
   */
  reset(view: PoolView): void;
  /** Drops a transaction that no block can hold. */
  remove(tx: Transaction): void;
  /** Drops a transaction that could not be paid for in a block, and what waits behind it. */
  removeUnpaid(tx: Transaction): void;
  readonly size: number;
  /** How many of them lack a nonce before them. */
  readonly queued: number;
  all(): Iterable<Transaction>;
}

/** Tells whether a fee is enough to take the place of another. */
const isRaise = (before: bigint, after: bigint): boolean =>
  after > before && after >= (before * REPLACEMENT_PERCENT) / 100n;
/** What a message that somebody else pays is for: its receiver, selector and first argument, which is its lot. */
const purposeOf = (tx: Transaction, sender: Address): string => `${sender} ${tx.to} ${toHex(tx.data.subarray(0, 36))}`;

/** Makes an empty pool for a chain. */
export const createPool = (chainId: number, first: PoolView, options: PoolOptions): TransactionPool => {
  const { now, maxSlots = MAX_SLOTS, maxSlotsPerSender = MAX_SLOTS_PER_SENDER, fairSlots = FAIR_SLOTS } = options;
  let view = first;
  let arrivals = 0;
  const queues = createQueues(fairSlots);
  const { byHash, bySender, byPath, gapped, large, sponsored, drop, isHere } = queues;
  /**
   * The order in which blocks take what is here, from its end: who pays the next one least, of these who offers least, of
   * these the latest. Made when room is short, and again for another base fee; what is dropped stays until it comes up.
   */
  let cheapest: Heap<Waiting> | undefined;
  /** By hash; undefined where a signature is nobody's. */
  const recovered = new Map<Hash, Address | undefined>();

  const tipOf = (tx: Transaction): bigint => effectiveGasPrice(tx, view.baseFee) - view.baseFee;
  const isCheaper = (a: Waiting, b: Waiting): boolean =>
    a.tip === b.tip ? a.tx.maxFeePerGas < b.tx.maxFeePerGas : a.tip < b.tip;
  const isPaidByOther = (tx: Transaction, sender: Address): boolean => view.paidByOther?.(tx, sender) ?? false;

  /** Recovers a sender, once for all times that its transaction comes. */
  const recover = (tx: Transaction): Address => {
    if (recovered.has(tx.hash)) {
      tx.sender = recovered.get(tx.hash) ?? failChain("tx-signature");
      return tx.sender;
    }
    // Until it is known to be somebody's.
    putNewest(recovered, tx.hash, undefined, MAX_RECOVERED);
    const sender = senderOf(tx);
    recovered.set(tx.hash, sender);
    return sender;
  };

  /** Drops what a sender's balance does not pay, and what waits behind it. O(1) where it pays for all. */
  const checkFunds = (queue: Queue): void => {
    let left = view.balance(queue.sender);
    if (queue.cost <= left) return;
    const waiting = inOrder(queue);
    for (const [i, each] of waiting.entries()) {
      if (each.purpose !== undefined) continue;
      const cost = costOf(each.tx);
      if (cost <= left) {
        left -= cost;
        continue;
      }
      const purpose = purposeOf(each.tx, queue.sender);
      if (sponsored.has(purpose) || !isPaidByOther(each.tx, queue.sender)) {
        for (const behind of waiting.slice(i)) drop(behind);
        return;
      }
      each.purpose = purpose;
      sponsored.set(purpose, each);
      queue.cost -= cost;
    }
  };
  /** Asks whether slots still pay for what they paid. */
  const checkSponsored = (): void => {
    let left = Math.min(sponsored.size, ASKED_A_HEAD);
    for (const [purpose, waiting] of sponsored) {
      if (left-- === 0) break;
      const queue = queues.of(waiting);
      sponsored.delete(purpose);
      if (isPaidByOther(waiting.tx, queue.sender)) sponsored.set(purpose, waiting);
      else {
        waiting.purpose = undefined;
        queue.cost += costOf(waiting.tx);
        checkFunds(queue);
      }
    }
  };

  const byPrice = (): Heap<Waiting> => {
    if (cheapest) return cheapest;
    for (const waiting of byHash.values()) waiting.tip = tipOf(waiting.tx);
    const isFirst = (a: Waiting, b: Waiting): boolean => isCheaper(a, b) || (!isCheaper(b, a) && a.order > b.order);
    cheapest = createHeap(isFirst, [...byHash.values()]);
    return cheapest;
  };
  /** Makes room for a transaction that takes the place of `before`, or throws. */
  const makeRoom = (next: Waiting, before: Waiting | undefined, queue: Queue): void => {
    const more = next.slots - (before?.slots ?? 0);
    const isShort = (): boolean => queues.slots() + more > maxSlots;
    if (!isShort()) return;
    if (next.tx.nonce > queue.next)
      failChain("pool-full", "txpool is full, and transactions with lower nonces are missing");
    for (const other of gapped) while (isShort() && gapped.has(other)) drop(other.byNonce.get(other.highest)!);
    const isAlone = queue.byNonce.size === (before ? 1 : 0);
    if (isShort() && !isAlone && queue.slots + more > fairSlots)
      failChain("pool-full", `txpool is full, and this account has ${queue.slots} of its slots`);
    while (isShort() && large.size > 0) {
      const largest = [...large].reduce((most, each) => (each.slots > most.slots ? each : most));
      drop(largest.byNonce.get(largest.highest)!);
    }
    if (!isShort()) return;

    const heap = byPrice();
    const popped: Waiting[] = [];
    for (let short = queues.slots() + more - maxSlots; short > 0; ) {
      const waiting = heap.pop();
      if (waiting && !isHere(waiting)) continue;
      if (waiting) popped.push(waiting);
      // Without its own lower nonce it could not be mined either.
      const isNeeded = waiting && queue.byNonce.get(waiting.tx.nonce) === waiting && waiting.tx.nonce < next.tx.nonce;
      if (!waiting || isNeeded || !isCheaper(waiting, next)) {
        for (const each of popped) heap.push(each);
        const tip = `${next.tip} wei a gas over base fee ${view.baseFee}`;
        failChain("pool-full", `txpool is full: ${tip}, more than ${waiting?.tip} is needed`);
      } else if (waiting !== before) short -= waiting.slots;
    }
    for (const waiting of popped) if (waiting !== before) drop(waiting);
  };

  /** Checks what needs no account: the longest loop is over the transaction's bytes. */
  const checkAlone = (tx: Transaction): void => {
    if (byHash.has(tx.hash)) failChain("pool-known", "already known");
    if (tx.chainId !== chainId)
      failChain("tx-chain-id", `invalid chain id for signer: have ${tx.chainId} want ${chainId}`);
    if (!tx.to) failChain("tx-format", "contract creation is not possible: contracts are native");
    if (tx.gasLimit > view.gasLimit) failChain("pool-gas", "exceeds block gas limit");
    if (tx.maxFeePerGas < MIN_FEE)
      failChain("pool-underpriced", `transaction underpriced: max fee ${tx.maxFeePerGas}, at least ${MIN_FEE}`);
    const intrinsic = intrinsicGas(tx);
    if (tx.gasLimit < intrinsic) failChain("pool-gas", `intrinsic gas too low: have ${tx.gasLimit}, want ${intrinsic}`);
  };
  const checkNonce = (tx: Transaction, queue: Queue): void => {
    if (tx.nonce < queue.nonce)
      failChain("pool-nonce-low", `nonce too low: next nonce ${queue.nonce}, tx nonce ${tx.nonce}`);
    const furthest = queue.next + MAX_NONCE_GAP;
    if (tx.nonce > furthest) failChain("pool-nonce-gap", `nonce too high: at most ${furthest}, tx nonce ${tx.nonce}`);
  };
  /** Gives what a slot pays a transaction for; undefined where the sender's balance does. Throws where neither can. */
  const payerOf = (tx: Transaction, before: Waiting | undefined, { sender, cost }: Queue): string | undefined => {
    const others = cost - (before && before.purpose === undefined ? costOf(before.tx) : 0n);
    const have = view.balance(sender);
    const want = costOf(tx);
    if (have >= others + want) return undefined;
    const purpose = purposeOf(tx, sender);
    const same = sponsored.get(purpose);
    if (same && same !== before) failChain("pool-sponsored", `the same message waits already: ${same.tx.hash}`);
    if (isPaidByOther(tx, sender)) return purpose;
    const bound = others > 0n ? `, ${others} for what waits` : "";
    return failChain(
      "pool-funds",
      `insufficient funds for gas * price + value: address ${sender} have ${have} want ${want}${bound}`,
    );
  };

  return {
    add: (tx) => {
      checkAlone(tx);
      const sender = recover(tx);
      const queue = bySender.get(sender) ?? queues.open(sender, view.nonce(sender));
      checkNonce(tx, queue);
      const before = queue.byNonce.get(tx.nonce);
      if (before) {
        const isEnough =
          isRaise(before.tx.maxFeePerGas, tx.maxFeePerGas) &&
          isRaise(before.tx.maxPriorityFeePerGas, tx.maxPriorityFeePerGas);
        if (!isEnough) failChain("pool-replacement", "replacement transaction underpriced");
      }
      const slots = slotsOf(tx);
      if (queue.slots - (before?.slots ?? 0) + slots > maxSlotsPerSender)
        failChain("pool-full", "too many transactions of this account wait");
      const purpose = payerOf(tx, before, queue);
      const waiting: Waiting = { tx, slots, since: now(), order: arrivals++, purpose, tip: tipOf(tx) };
      makeRoom(waiting, before, queue);
      if (before) drop(before);
      queues.put(queue, waiting);
      cheapest?.push(waiting);
      if (cheapest && cheapest.size > 2 * byHash.size + 1_024) cheapest.filter(isHere);
    },
    has: (hash) => byHash.has(hash),
    get: (hash) => byHash.get(hash)?.tx,
    nextNonce: (address) => bySender.get(address)?.next ?? view.nonce(address),
    from: (address) => {
      const queue = bySender.get(address);
      return queue ? inOrder(queue).map(({ tx }) => tx) : [];
    },
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
    reset: (next) => {
      const before = view;
      view = next;
      if (next.baseFee !== before.baseFee) cheapest = undefined;
      for (const waiting of byHash.values()) {
        if (now() - waiting.since < LIFETIME_MS) break;
        drop(waiting);
      }
      const asked = function* (): Generator<Queue | undefined> {
        if (bySender.size <= FEW_SENDERS) yield* bySender.values();
        else for (const path of next.changedSince(before.stateRoot)) yield byPath.get(path);
      };
      for (const queue of asked()) {
        if (!queue) continue;
        queues.follow(queue, view.nonce(queue.sender));
        checkFunds(queue);
      }
      checkSponsored();
    },
    remove: (tx) => {
      const waiting = byHash.get(tx.hash);
      if (waiting) drop(waiting);
    },
    removeUnpaid: (tx) => {
      const unpaid = byHash.get(tx.hash);
      if (unpaid) for (const each of inOrder(queues.of(unpaid))) if (each.tx.nonce >= tx.nonce) drop(each);
    },
    get size() {
      return byHash.size;
    },
    get queued() {
      return queues.queued();
    },
    all: function* () {
      for (const { tx } of byHash.values()) yield tx;
    },
  };
};
