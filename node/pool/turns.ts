import type { Address, Hash } from "../../lib/bytes.ts";
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
const unknownLast = (a: Claim, b: Claim): number => Number(b.isKnown) - Number(a.isKnown);

/**
 * Gives the deals whose next tasks begin: those worth most first, and among these in turn, of whom the fewest are under way first, so
 * that no deal and no requester keeps the others out. Where all places are taken, what is idle makes way for what is worth more.
 */
export const nextInTurn = (waiting: readonly Waiting[], underWay: readonly UnderWay[]): Turns => {
  const [ofDeal, ofRequester, left] = [new Map<Hash, number>(), new Map<Address, number>(), new Map<Hash, number>()];
  const count = ({ dealid, requester }: Claim, by: number): void => {
    add(ofDeal, dealid, by);
    add(ofRequester, requester, by);
  };
  for (const task of underWay) count(task, 1);
  for (const { dealid, tasks } of waiting) left.set(dealid, tasks);
  const [begun, putBack]: [Hash[], Hash[]] = [[], []];
  // Those worth least are last, of these the newest.
  const idle = underWay.filter(({ isIdle }) => isIdle).sort((a, b) => b.worth - a.worth);
  const before = (a: Claim, b: Claim): number =>
    b.worth - a.worth ||
    countOf(ofRequester, a.requester) - countOf(ofRequester, b.requester) ||
    unknownLast(a, b) ||
    countOf(ofDeal, a.dealid) - countOf(ofDeal, b.dealid);
  let open = waiting;
  for (;;) {
    open = open.filter(
      ({ dealid, requester }) =>
        countOf(left, dealid) > 0 &&
        countOf(ofDeal, dealid) < MAX_OF_DEAL &&
        countOf(ofRequester, requester) < MAX_OF_REQUESTER,
    );
    if (open.length === 0) break;
    const next = open.reduce((a, b) => (before(a, b) <= 0 ? a : b));
    if (underWay.length - putBack.length + begun.length >= MAX_TASKS) {
      const last = idle.at(-1);
      if (!last || last.worth >= next.worth) break;
      idle.pop();
      putBack.push(last.id);
      count(last, -1);
    }
    count(next, 1);
    add(left, next.dealid, -1);
    begun.push(next.dealid);
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
    .sort(
      (a, b) => b.claim.worth - a.claim.worth || a.rank - b.rank || unknownLast(a.claim, b.claim) || a.place - b.place,
    )
    .map(({ entry }) => entry);
};
