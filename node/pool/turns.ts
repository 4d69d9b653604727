import type { Address, Hash } from "../../lib/bytes.ts";
import { drawn } from "./crew.ts";

/** Tasks that are under way at a time: of all deals, of one, and of one requester's. */
export const MAX_TASKS = 256;
const MAX_OF_DEAL = 64;
const MAX_OF_REQUESTER = 128;

/** A deal that has tasks to begin. */
export interface Waiting {
  readonly dealid: Hash;
  readonly requester: Address;
  readonly tasks: number;
}

const countOf = <K>(counts: ReadonlyMap<K, number>, key: K): number => counts.get(key) ?? 0;
const add = <K>(counts: Map<K, number>, key: K): void => void counts.set(key, countOf(counts, key) + 1);

/**
 * Gives the deals whose next tasks begin, each as often as tasks of it do: in turn, of whom the fewest are under way first, so that
 * no deal and no requester keeps the others out. `underWay` tells of each task that is.
 */
export const nextInTurn = (
  waiting: readonly Waiting[],
  underWay: readonly { readonly dealid: Hash; readonly requester: Address }[],
): Hash[] => {
  const [ofDeal, ofRequester, left] = [new Map<Hash, number>(), new Map<Address, number>(), new Map<Hash, number>()];
  const count = ({ dealid, requester }: { readonly dealid: Hash; readonly requester: Address }): void => {
    add(ofDeal, dealid);
    add(ofRequester, requester);
  };
  for (const task of underWay) count(task);
  for (const { dealid, tasks } of waiting) left.set(dealid, tasks);
  const chosen: Hash[] = [];
  let open = waiting;
  while (underWay.length + chosen.length < MAX_TASKS) {
    open = open.filter(
      ({ dealid, requester }) =>
        countOf(left, dealid) > 0 &&
        countOf(ofDeal, dealid) < MAX_OF_DEAL &&
        countOf(ofRequester, requester) < MAX_OF_REQUESTER,
    );
    if (open.length === 0) break;
    const least = open.reduce((a, b) => {
      const byRequester = countOf(ofRequester, a.requester) - countOf(ofRequester, b.requester);
      const order = byRequester === 0 ? countOf(ofDeal, a.dealid) - countOf(ofDeal, b.dealid) : byRequester;
      return order <= 0 ? a : b;
    });
    count(least);
    left.set(least.dealid, countOf(left, least.dealid) - 1);
    chosen.push(least.dealid);
  }
  return chosen;
};

/** Orders what is looked at for free workers: each requester's first, then each one's second, in an order that nobody can foresee. */
export const inTurn = <T>(entries: readonly T[], requesterOf: (entry: T) => Address | undefined): T[] => {
  const ranks = new Map<Address | undefined, number>();
  return drawn(entries, entries.length)
    .map((entry) => {
      const requester = requesterOf(entry);
      const rank = countOf(ranks, requester);
      ranks.set(requester, rank + 1);
      return { entry, rank };
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ entry }) => entry);
};
