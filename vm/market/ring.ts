import type { State } from "../../chain/state.ts";
import { type Address, concat, fromHex, type Hash, uint32, ZERO_HASH } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { addressId, MARKET } from "../tables.ts";
import { MARKET_TABLE, single, tableOf } from "./tables.ts";

const entries = tableOf(MARKET, MARKET_TABLE.ring, single(hash));
const places = tableOf(MARKET, MARKET_TABLE.ringPlace, single(uint));
const states = tableOf(MARKET, MARKET_TABLE.ringState, record({ count: uint, turn: uint }));

/** Values that have a turn one after the other; each stands in it once. Every operation costs a few records. */
export interface Ring {
  count(state: State): number;
  add(state: State, value: Hash): void;
  /** Takes a value out; the last one moves to its place. */
  remove(state: State, value: Hash): void;
  /** Gives the value at a distance from the one whose turn it is. */
  ahead(state: State, steps: number): Hash;
  /** Gives the turn to the value `steps` further on. */
  advance(state: State, steps: number): void;
}

const ringOf = (id: Hash): Ring => {
  const stateOf = (state: State) => states.get(state, id) ?? { count: 0, turn: 0 };
  const entryAt = (index: number): Hash => keccak256(concat(fromHex(id), uint32(index)));
  const placeOf = (value: Hash): Hash => keccak256(concat(fromHex(id), fromHex(value)));
  return {
    count: (state) => stateOf(state).count,
    add: (state, value) => {
      const { count, turn } = stateOf(state);
      entries.set(state, entryAt(count), value);
      places.set(state, placeOf(value), count);
      states.set(state, id, { count: count + 1, turn });
    },
    remove: (state, value) => {
      const { count, turn } = stateOf(state);
      const index = places.get(state, placeOf(value))!;
      const last = count - 1;
      if (index !== last) {
        const moved = entries.get(state, entryAt(last))!;
        entries.set(state, entryAt(index), moved);
        places.set(state, placeOf(moved), index);
      }
      entries.set(state, entryAt(last), undefined);
      places.set(state, placeOf(value), undefined);
      states.set(state, id, { count: last, turn: turn < last ? turn : 0 });
    },
    ahead: (state, steps) => {
      const { count, turn } = stateOf(state);
      return entries.get(state, entryAt((turn + steps) % count))!;
    },
    advance: (state, steps) => {
      const { count, turn } = stateOf(state);
      if (count > 0 && steps % count !== 0) states.set(state, id, { count, turn: (turn + steps) % count });
    },
  };
};

/** Pools that have deals with lots to draw: a pool that can draw nothing costs one look, however many deals it has. */
export const waitingPools = ringOf(ZERO_HASH);
/** A pool's deals with lots to draw. Each turn draws one lot and goes on, so that no deal waits for a longer one. */
export const waitingDeals = (pool: Address): Ring => ringOf(addressId(pool));

/** Lets a deal's lots be drawn. */
export const addToRing = (state: State, pool: Address, dealid: Hash): void => {
  const deals = waitingDeals(pool);
  if (deals.count(state) === 0) waitingPools.add(state, addressId(pool));
  deals.add(state, dealid);
};

/** Ends the drawing of a deal. */
export const removeFromRing = (state: State, pool: Address, dealid: Hash): void => {
  const deals = waitingDeals(pool);
  deals.remove(state, dealid);
  if (deals.count(state) === 0) waitingPools.remove(state, addressId(pool));
};
