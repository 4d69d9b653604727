import { ONLY, pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, addressWord, type Hash, word, ZERO_HASH } from "../../lib/bytes.ts";
import { hash, list, record, uint } from "../../lib/codec.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { type Line, lineOf } from "./line.ts";

/** What a deal's seat costs its committee's class of turns, were it alone in it. */
const TURN = 2 ** 20;
/** More sizes of committees than any parameter allows. */
const MAX_CLASSES = 256;

/**
 * A pool's deals by the seats of their first rounds. `at` is when the class has its next turn: whoever has the smallest is next, and
 * moves on by its seats over its deals. So each deal that waits has as many seats in its turns as any other of its pool.
 */
const classes = table(
  MARKET,
  MARKET_TABLE.waitingClasses,
  1,
  record({ all: list(record({ seats: uint, deals: uint, at: uint }), MAX_CLASSES) }),
);
type Class = NonNullable<ReturnType<typeof classes.get>>["all"][number];
const classesOf = (state: State, pool: Address): readonly Class[] => classes.get(state, pool)?.all ?? [];
/** Keeps those that have deals, or had their turn too lately to begin anew. */
const setClasses = (state: State, pool: Address, all: readonly Class[]): void => {
  const kept = all.some(({ deals }) => deals > 0) ? all.filter(({ deals, at }) => deals > 0 || at > 0) : [];
  classes.set(state, pool, kept.length > 0 ? { all: kept } : undefined);
};
const withDeals = (all: readonly Class[], seats: number, change: number): Class[] =>
  all.some((each) => each.seats === seats)
    ? all.map((each) => (each.seats === seats ? { ...each, deals: each.deals + change } : each))
    : [...all, { seats, deals: change, at: 0 }];

/**
 * Pools in which a lot could be drawn now, those that genesis names and all others. One that can draw nothing has no turns, and costs the
 * others nothing.
 */
export const waitingPools = { genesis: lineOf(word(1)), others: lineOf(ZERO_HASH) };
/** A pool's deals with lots to draw whose first rounds have so many seats. */
const waitingDeals = (pool: Address, seats: number): Line => lineOf(pairId(pool, word(seats)));
/** Gives how many deals of a pool wait. */
export const waitingCount = (state: State, pool: Address): number =>
  classesOf(state, pool).reduce((sum, { deals }) => sum + deals, 0);

/** What a pool has: slots, and how many of them could be drawn. */
interface Counts {
  readonly length: number;
  readonly drawable: number;
  readonly isGenesis: boolean;
}
/** While most slots are busy, lots wait: whoever keeps others busy would else be drawn more often itself. */
const isOpen = ({ length, drawable }: Counts): boolean => length > 0 && 2 * drawable >= length;
const ableOf = (all: readonly Class[], counts: Counts): Class[] =>
  isOpen(counts) ? all.filter(({ seats, deals }) => deals > 0 && seats <= counts.drawable) : [];

/** Gives a pool turns, or takes them away, as what it has or who waits there has changed. */
export const followPool = (state: State, pool: Address, counts: Counts): void => {
  const all = classesOf(state, pool);
  const isAble = ableOf(all, counts).length > 0;
  const id = addressWord(pool);
  const line = counts.isGenesis ? waitingPools.genesis : waitingPools.others;
  if (isAble === line.has(state, id)) return;
  if (isAble) line.push(state, id);
  else line.remove(state, id);
};

/** Lets a deal's lots be drawn. */
export const addWaiting = (state: State, pool: Address, counts: Counts, seats: number, dealid: Hash): void => {
  waitingDeals(pool, seats).push(state, dealid);
  setClasses(state, pool, withDeals(classesOf(state, pool), seats, 1));
  followPool(state, pool, counts);
};

/** Ends the drawing of a deal; nothing where it does not wait. */
export const removeWaiting = (state: State, pool: Address, counts: Counts, seats: number, dealid: Hash): void => {
  const line = waitingDeals(pool, seats);
  if (!line.has(state, dealid)) return;
  line.remove(state, dealid);
  setClasses(state, pool, withDeals(classesOf(state, pool), seats, -1));
  followPool(state, pool, counts);
};

/** Gives the deal whose turn it is in a pool; undefined where none can be drawn. */
export const nextWaiting = (state: State, pool: Address, counts: Counts): Hash | undefined => {
  const able = ableOf(classesOf(state, pool), counts);
  const next = able.reduce<Class | undefined>((best, each) => (best && best.at <= each.at ? best : each), undefined);
  return next && waitingDeals(pool, next.seats).first(state);
};

/** Ends the turn of a deal that has more lots: it goes to the end of its line, and its class moves on. */
export const passTurn = (state: State, pool: Address, seats: number, dealid: Hash): void => {
  const line = waitingDeals(pool, seats);
  line.remove(state, dealid);
  line.push(state, dealid);
  moveOn(state, pool, seats);
};

/** Counts a turn of a class: the others are so much nearer to theirs. */
const moveOn = (state: State, pool: Address, seats: number): void => {
  const all = classesOf(state, pool);
  const now = all.find((each) => each.seats === seats)!;
  const after = all.map((each) => ({ ...each, at: Math.max(0, each.at - now.at) }));
  const step = Math.max(1, Math.floor((TURN * seats) / now.deals));
  setClasses(
    state,
    pool,
    after.map((each) => (each.seats === seats ? { ...each, at: step } : each)),
  );
};

const arrivals = table(MARKET, MARKET_TABLE.arrival, 1, single(hash));
/** Entries from `head` to before `tail` wait. */
const queue = table(MARKET, MARKET_TABLE.arrivalQueue, 1, record({ head: uint, tail: uint }));

/** Notes a new deal, until its lots are ready. */
export const arrive = (state: State, dealid: Hash): void => {
  const { head, tail } = queue.get(state, ONLY) ?? { head: 0, tail: 0 };
  arrivals.set(state, tail, dealid);
  queue.set(state, ONLY, { head, tail: tail + 1 });
};

/** Takes the new deals that are ready, in the order that they came, at most `limit`. */
export const takeArrivals = (state: State, limit: number, isReady: (dealid: Hash) => boolean): Hash[] => {
  const { head, tail } = queue.get(state, ONLY) ?? { head: 0, tail: 0 };
  const taken: Hash[] = [];
  for (; head + taken.length < tail && taken.length < limit; ) {
    const id = head + taken.length;
    const dealid = arrivals.get(state, id)!;
    if (!isReady(dealid)) break;
    arrivals.set(state, id, undefined);
    taken.push(dealid);
  }
  if (taken.length > 0) queue.set(state, ONLY, { head: head + taken.length, tail });
  return taken;
};
