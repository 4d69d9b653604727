import type { Address, Hash } from "../lib/bytes.ts";
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

export interface PoolLimits {
  readonly maxCount: number;
  readonly maxBytes: number;
  readonly maxPerSender: number;
}
const LIMITS: PoolLimits = { maxCount: 65_536, maxBytes: 64 * 1024 * 1024, maxPerSender: 16_384 };
/** A replacement pays at least so much more, in percent, in both fees. */
const BUMP_PERCENT = 10n;
/** How far a nonce may be ahead of the sender's account. */
const MAX_NONCE_GAP = 16_384;

/** Transactions that wait for a block: in nonce order by sender, at most one for each nonce. */
export interface TransactionPool {
  /** Takes a transaction, or throws RuleError with the phrase that wallets know. O(log n). */
  add(tx: Transaction): void;
  has(hash: Hash): boolean;
  get(hash: Hash): Transaction | undefined;
  /** The nonce that the sender's next transaction should have. */
  nextNonce(address: Address): number;
  /** Gives what a block may hold: best tip first, each sender in nonce order. `skip` leaves out a sender's rest. */
  best(): Generator<Transaction, void, "skip" | undefined>;
  /** Goes on to another head: drops what it mined or what can no longer be mined. O(touched). */
  reset(view: PoolView, mined: readonly Transaction[]): void;
  /** Drops a transaction that no block can hold. */
  remove(tx: Transaction): void;
  readonly size: number;
  all(): Iterable<Transaction>;
}

/** What waits of one sender. `next` is the first nonce from the account's on that is not there, `cost` the wei of all. */
interface Queue {
  readonly byNonce: Map<number, Transaction>;
  next: number;
  cost: bigint;
}

/** Least fee of a transaction, in wei a gas: no block has a lower base fee for long. */
const MIN_FEE = 7n;

const costOf = (tx: Transaction): bigint => tx.value + BigInt(tx.gasLimit) * tx.maxFeePerGas;
const bumped = (before: bigint): bigint => before + (before * BUMP_PERCENT + 99n) / 100n + 1n;

/** Makes an empty pool for a chain. */
export const createPool = (chainId: number, first: PoolView, limits: PoolLimits = LIMITS): TransactionPool => {
  let view = first;
  let size = 0;
  let bytes = 0;
  const byHash = new Map<Hash, Transaction>();
  const bySender = new Map<Address, Queue>();
  /** What somebody else than the sender pays: asked again at every head, since that may end. */
  const sponsored = new Set<Transaction>();

  const drop = (tx: Transaction): void => {
    const sender = senderOf(tx);
    const queue = bySender.get(sender);
    if (!queue || !byHash.delete(tx.hash)) return;
    queue.byNonce.delete(tx.nonce);
    queue.cost -= costOf(tx);
    queue.next = Math.min(queue.next, tx.nonce);
    if (queue.byNonce.size === 0) bySender.delete(sender);
    sponsored.delete(tx);
    size -= 1;
    bytes -= tx.raw.length;
  };
  const advance = (queue: Queue, nonce: number): number => {
    queue.next = Math.max(queue.next, nonce);
    while (queue.byNonce.has(queue.next)) queue.next += 1;
    return queue.next;
  };

  return {
    add: (tx) => {
      if (byHash.has(tx.hash)) failChain("pool-known", "already known");
      if (tx.chainId !== chainId)
        failChain("tx-chain-id", `invalid chain id for signer: have ${tx.chainId} want ${chainId}`);
      if (!tx.to) failChain("tx-format", "contract creation is not possible: contracts are native");
      const intrinsic = intrinsicGas(tx);
      if (tx.gasLimit < intrinsic)
        failChain("pool-gas", `intrinsic gas too low: have ${tx.gasLimit}, want ${intrinsic}`);
      if (tx.gasLimit > view.gasLimit) failChain("pool-gas", "exceeds block gas limit");
      // Half full, the pool keeps its room for what the next blocks can take.
      const isCrowded = 2 * size >= limits.maxCount || 2 * bytes >= limits.maxBytes;
      const least = isCrowded && view.baseFee > MIN_FEE ? view.baseFee : MIN_FEE;
      if (tx.maxFeePerGas < least)
        failChain("pool-underpriced", `transaction underpriced: max fee ${tx.maxFeePerGas}, at least ${least}`);
      const sender = senderOf(tx);
      const nonce = view.nonce(sender);
      const queue = bySender.get(sender) ?? { byNonce: new Map(), next: nonce, cost: 0n };
      if (tx.nonce < nonce) failChain("pool-nonce-low", `nonce too low: next nonce ${nonce}, tx nonce ${tx.nonce}`);
      const furthest = isCrowded ? advance(queue, nonce) : nonce + MAX_NONCE_GAP;
      if (tx.nonce > furthest) failChain("pool-nonce-gap", `nonce too high: at most ${furthest}, tx nonce ${tx.nonce}`);
      const before = queue.byNonce.get(tx.nonce);
      const others = queue.cost - (before ? costOf(before) : 0n);
      const have = view.balance(sender);
      const isSponsored = have < others + costOf(tx);
      if (isSponsored && !view.paidByOther?.(tx, sender))
        failChain(
          "pool-funds",
          `insufficient funds for gas * price + value: have ${have} want ${costOf(tx)}${others > 0n ? `, ${others} for what waits` : ""}`,
        );
      if (before) {
        const enough =
          tx.maxFeePerGas >= bumped(before.maxFeePerGas) &&
          tx.maxPriorityFeePerGas >= bumped(before.maxPriorityFeePerGas);
        if (!enough) failChain("pool-replacement", "replacement transaction underpriced");
      } else if (queue.byNonce.size >= limits.maxPerSender)
        failChain("pool-full", "too many transactions of this account wait");
      const room = bytes + tx.raw.length - (before?.raw.length ?? 0) <= limits.maxBytes;
      if ((!before && size >= limits.maxCount) || !room) failChain("pool-full", "txpool is full");
      if (before) drop(before);
      bySender.set(sender, queue);
      queue.byNonce.set(tx.nonce, tx);
      queue.cost += costOf(tx);
      byHash.set(tx.hash, tx);
      if (isSponsored) sponsored.add(tx);
      size += 1;
      bytes += tx.raw.length;
    },
    has: (hash) => byHash.has(hash),
    get: (hash) => byHash.get(hash),
    nextNonce: (address) => {
      const queue = bySender.get(address);
      const nonce = view.nonce(address);
      return queue ? advance(queue, nonce) : nonce;
    },
    best: function* () {
      const tip = (tx: Transaction) => effectiveGasPrice(tx, view.baseFee) - view.baseFee;
      const heap = heapOf<Transaction>((a, b) => tip(a) > tip(b));
      const executable = (tx: Transaction | undefined) => tx !== undefined && tx.maxFeePerGas >= view.baseFee;
      for (const [sender, { byNonce }] of bySender) {
        const tx = byNonce.get(view.nonce(sender));
        if (executable(tx)) heap.push(tx!);
      }
      for (let tx = heap.pop(); tx; tx = heap.pop()) {
        if ((yield tx) === "skip") continue;
        const next = bySender.get(senderOf(tx))?.byNonce.get(tx.nonce + 1);
        if (executable(next)) heap.push(next!);
      }
    },
    reset: (next, mined) => {
      view = next;
      const touched = new Set<Address>();
      for (const tx of mined) {
        const sender = senderOf(tx);
        // What waits at a nonce that is mined is this transaction, or has lost against it.
        const waits = bySender.get(sender)?.byNonce.get(tx.nonce);
        if (waits) drop(waits);
        touched.add(sender);
      }
      for (const sender of touched) {
        const queue = bySender.get(sender);
        const first = queue?.byNonce.get(view.nonce(sender));
        if (first && view.balance(sender) < costOf(first)) sponsored.add(first);
      }
      for (const tx of sponsored) {
        const sender = senderOf(tx);
        if (view.balance(sender) < costOf(tx) && !view.paidByOther?.(tx, sender)) drop(tx);
      }
    },
    remove: (tx) => {
      if (byHash.has(tx.hash)) drop(tx);
    },
    get size() {
      return size;
    },
    all: () => byHash.values(),
  };
};

/** A binary heap; `before` tells which of two comes first. */
const heapOf = <T>(before: (a: T, b: T) => boolean) => {
  const items: T[] = [];
  return {
    push: (item: T): void => {
      let at = items.push(item) - 1;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (!before(item, items[parent]!)) break;
        items[at] = items[parent]!;
        at = parent;
      }
      items[at] = item;
    },
    pop: (): T | undefined => {
      const top = items[0];
      const last = items.pop();
      if (items.length === 0 || last === undefined) return top;
      let at = 0;
      for (;;) {
        let child = 2 * at + 1;
        if (child >= items.length) break;
        if (child + 1 < items.length && before(items[child + 1]!, items[child]!)) child += 1;
        if (!before(items[child]!, last)) break;
        items[at] = items[child]!;
        at = child;
      }
      items[at] = last;
      return top;
    },
  };
};
