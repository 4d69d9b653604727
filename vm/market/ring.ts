import type { State } from "../../chain/state.ts";
import { type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { MARKET, numberId } from "../tables.ts";
import { jobOf, setJob } from "./deal.ts";
import { MARKET_TABLE, single, tableOf } from "./tables.ts";

/** Deals with lots to draw. Each turn draws one lot and goes on, so that no deal waits for a longer one. */
const entries = tableOf(MARKET, MARKET_TABLE.ring, single(hash));
const states = tableOf(MARKET, MARKET_TABLE.ringState, record({ count: uint, turn: uint }));
const stateOf = (state: State) => states.get(state, ZERO_HASH) ?? { count: 0, turn: 0 };

/** Gives the number of deals in the ring. */
export const ringCount = (state: State): number => stateOf(state).count;

/** Gives the place where a deal that is added now comes to stand. */
export const addToRing = (state: State, dealid: Hash): number => {
  const ring = stateOf(state);
  entries.set(state, numberId(ring.count), dealid);
  states.set(state, ZERO_HASH, { ...ring, count: ring.count + 1 });
  return ring.count;
};

/** Takes a deal out; the last one moves to its place. */
export const removeFromRing = (state: State, index: number): void => {
  const { count, turn } = stateOf(state);
  const last = count - 1;
  if (index !== last) {
    const moved = entries.get(state, numberId(last))!;
    entries.set(state, numberId(index), moved);
    setJob(state, moved, { ...jobOf(state, moved)!, ringIndex: index });
  }
  entries.set(state, numberId(last), undefined);
  states.set(state, ZERO_HASH, { count: last, turn: turn < last ? turn : 0 });
};

/** Gives the turn to the deal `steps` further on. */
export const advanceRing = (state: State, steps: number): void => {
  const { count, turn } = stateOf(state);
  if (count > 0 && steps % count !== 0) states.set(state, ZERO_HASH, { count, turn: (turn + steps) % count });
};

/** Gives the deal at a distance from the one whose turn it is. */
export const ringAhead = (state: State, steps: number): Hash => {
  const { count, turn } = stateOf(state);
  return entries.get(state, numberId((turn + steps) % count))!;
};
