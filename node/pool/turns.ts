import type { Address, Hash } from "../../lib/bytes.ts";
import { createHeap, type Heap } from "../../lib/heap.ts";
import { drawn } from "./crew.ts";

/** Tasks that are under way at a time: of all deals, of one, and of one requester's. */
export const MAX_TASKS = 256;
const MAX_OF_DEAL = 64;
const MAX_OF_REQUESTER = 128;

/** What a deal's turn depends on. */
export interface Claim {
  readonly dealid: Hash;
  readonly requester: Address;
  /** The requester has paid for a task of the pool. */
  readonly isKnown: boolean;
  /** Powers of two: whatever is worth more goes first. */
  readonly worth: number;
}

/** A deal that has tasks to begin. */
export interface Waiting extends Claim {
  readonly tasks: number;
}

/** A task that has a place; who is idle, nobody computes, and nobody has contributed to. */
export interface UnderWay extends Claim {
  readonly id: Hash;
  readonly isIdle: boolean;
}

/** Deals whose next task begins, each as often as tasks of it do, and tasks that go back to wait. */
export interface Turns {
  readonly begun: readonly Hash[];
  readonly putBack: readonly Hash[];
}

/**
 * Tells what a deal is worth to a pool: the logarithm of what it pays for each second that its tasks take of workers, those included
 * who had them in vain. Keys cost nothing, and a deal that nobody can compute pays nothing: so many of either stand behind
 * who pays as much and takes less. Twice as much is worth more, a little more is not.
 */
export const worthOf = (deal: {
  readonly priceNrlc: bigint;
  readonly seconds: number;
  /** Workers that a task needs, if all agree. */
  readonly workers: number;
  /** Tasks that were begun, and how long workers had them in vain. */
  readonly begun: number;
  readonly vainMs: number;
}): number => {
  const { priceNrlc, seconds, workers, begun, vainMs } = deal;
  const taken = Math.max(1, seconds) * workers + vainMs / 1_000 / Math.max(1, begun);
  return Math.floor(Math.log2((Number(priceNrlc) + 1) / taken));
};

const countOf = <K>(counts: ReadonlyMap<K, number>, key: K): number => counts.get(key) ?? 0;
const add = <K>(counts: Map<K, number>, key: K, count = 1): void => void counts.set(key, countOf(counts, key) + count);
const byWorth = (a: Claim, b: Claim): number => (a.worth === b.worth ? 0 : b.worth - a.worth);
const unknownLast = (a: Claim, b: Claim): number => Number(b.isKnown) - Number(a.isKnown);

/**
 * Gives the deals whose next tasks begin: those worth most first, and among these in turn, of whom the fewest are under way first, so
 * that no deal and no requester keeps the others out. Where all places are taken, what is idle makes way for what is worth more.
 * O(log n) a task of n deals that wait, after O(n).
 */
export const nextInTurn = (waiting: readonly Waiting[], underWay: readonly UnderWay[]): Turns => {
  const [ofDeal, ofRequester, left] = [new Map<Hash, number>(), new Map<Address, number>(), new Map<Hash, number>()];
  const count = ({ dealid, requester }: Claim): void => {
    add(ofDeal, dealid);
    add(ofRequester, requester);
  };
  for (const task of underWay) count(task);
  interface Queued extends Waiting {
    /** What came first is first of what is alike. */
    readonly place: number;
  }
  const isOpen = ({ dealid }: Claim): boolean => countOf(left, dealid) > 0 && countOf(ofDeal, dealid) < MAX_OF_DEAL;
  const ofWhom = new Map<Address, Queued[]>();
  for (const [place, deal] of waiting.entries()) {
    left.set(deal.dealid, deal.tasks);
    if (!isOpen(deal) || countOf(ofRequester, deal.requester) >= MAX_OF_REQUESTER) continue;
    const deals = ofWhom.get(deal.requester) ?? [];
    if (deals.push({ ...deal, place }) === 1) ofWhom.set(deal.requester, deals);
  }
  const ofOne = (a: Queued, b: Queued): number =>
    byWorth(a, b) || countOf(ofDeal, a.dealid) - countOf(ofDeal, b.dealid) || a.place - b.place;
  const ofAll = (a: Queued, b: Queued): number =>
    byWorth(a, b) ||
    countOf(ofRequester, a.requester) - countOf(ofRequester, b.requester) ||
    unknownLast(a, b) ||
    ofOne(a, b);
  /** A requester's deals; the first of them is out of the heap. */
  interface Line {
    readonly first: Queued;
    readonly rest: Heap<Queued>;
  }
  const lines = createHeap<Line>((a, b) => ofAll(a.first, b.first) < 0);
  for (const deals of ofWhom.values()) {
    const rest = createHeap((a, b) => ofOne(a, b) < 0, deals);
    lines.push({ first: rest.pop()!, rest });
  }
  const [begun, putBack]: [Hash[], Hash[]] = [[], []];
  // Those worth least are last, of these the newest.
  const idle = underWay.filter(({ isIdle }) => isIdle).sort(byWorth);
  for (let line = lines.pop(); line; line = lines.pop()) {
    const { first: next, rest } = line;
    if (underWay.length - putBack.length + begun.length >= MAX_TASKS) {
      const last = idle.at(-1);
      if (!last || last.worth >= next.worth) break;
      idle.pop();
      putBack.push(last.id);
    }
    count(next);
    add(left, next.dealid, -1);
    begun.push(next.dealid);
    if (isOpen(next)) rest.push(next);
    if (countOf(ofRequester, next.requester) >= MAX_OF_REQUESTER) continue;
    const first = rest.pop();
    if (first) lines.push({ first, rest });
  }
  return { begun, putBack };
};

/**
 * Orders what is looked at for free workers as what begins: what is worth most, and of this each requester's first, then each one's
 * second, requesters and tasks in an order that nobody can foresee.
 */
export const inTurn = <T>(entries: readonly T[], claimOf: (entry: T) => Claim): T[] => {
  const requesters = [...new Set(entries.map((entry) => claimOf(entry).requester))];
  const places = new Map(drawn(requesters, requesters.length).map((requester, place) => [requester, place]));
  const ranks = new Map<Address, number>();
  return drawn(entries, entries.length)
    .map((entry) => {
      const claim = claimOf(entry);
      const rank = countOf(ranks, claim.requester);
      ranks.set(claim.requester, rank + 1);
      return { entry, claim, rank, place: places.get(claim.requester)! };
    })
    .sort((a, b) => byWorth(a.claim, b.claim) || a.rank - b.rank || unknownLast(a.claim, b.claim) || a.place - b.place)
    .map(({ entry }) => entry);
};
