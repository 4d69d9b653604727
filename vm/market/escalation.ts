import { pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, addressWord, type Hash, word } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { lineOf } from "./line.ts";
import { poolOf } from "./pool.ts";

/** Pools with lots that wait for another round, those that genesis names and all others. */
export const escalatingPools = { genesis: lineOf(word(2)), others: lineOf(word(3)) };

const entries = table(MARKET, MARKET_TABLE.escalation, 1, single(hash));
const queue = table(MARKET, MARKET_TABLE.escalationQueue, 1, record({ head: uint, tail: uint }));
const entryId = (pool: Address, number: number): Hash => pairId(pool, word(number));

/** Puts a lot at the end of those of its pool that wait for another round. */
export const pushEscalation = (state: State, pool: Address, lot: Hash): void => {
  const id = addressWord(pool);
  const { head, tail } = queue.get(state, id) ?? { head: 0, tail: 0 };
  entries.set(state, entryId(pool, tail), lot);
  queue.set(state, id, { head, tail: tail + 1 });
  const line = poolOf(state, pool)!.isGenesis ? escalatingPools.genesis : escalatingPools.others;
  if (!line.has(state, id)) line.push(state, id);
};

/** Gives the first lot of a pool that waits for another round; undefined where none does. */
export const firstEscalation = (state: State, pool: Address): Hash | undefined => {
  const found = queue.get(state, pool);
  return found && entries.get(state, entryId(pool, found.head));
};

/** Takes the first lot of a pool that waits for another round; there must be one. */
export const shiftEscalation = (state: State, pool: Address): void => {
  const { head, tail } = queue.get(state, pool)!;
  entries.set(state, entryId(pool, head), undefined);
  queue.set(state, pool, head + 1 < tail ? { head: head + 1, tail } : undefined);
};
