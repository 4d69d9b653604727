import { pairId, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, addressWord, type Hash, word, wordAddress } from "../../lib/bytes.ts";
import { address, big, record, uint } from "../../lib/codec.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import type { Env } from "./env.ts";
import { lineOf } from "./line.ts";
import { poolOf } from "./pool.ts";
import type { Slot } from "./slot.ts";

/** What a change does to a pool's array: new slots come, one goes for ever, one pauses, one comes back. */
export const CHANGE = { join: 0, leave: 1, pause: 2, resume: 3 } as const;

/** A join of `count` slots, or what happens to one that there is, which waits for its epoch. */
const waiting = table(
  MARKET,
  MARKET_TABLE.membership,
  1,
  record({
    epoch: uint,
    kind: uint,
    pool: address,
    worker: address,
    staker: address,
    validator: address,
    /** Slots that are still to be put in. */
    count: uint,
    /** Wei for each. */
    stake: big,
    /** Of all but a join. */
    slot: uint,
  }),
);
export type Waiting = NonNullable<ReturnType<typeof waiting.get>>;
/** Entries from `head` to before `tail` wait. */
const queue = table(MARKET, MARKET_TABLE.membershipQueue, 1, record({ head: uint, tail: uint }));
const entryId = (pool: Address, number: number): Hash => pairId(pool, word(number));

/** Pools with changes that wait, those that genesis names and all others. */
export const changingPools = { genesis: lineOf(word(4)), others: lineOf(word(5)) };

/** Puts a change at the end of those of its pool that wait. */
export const pushChange = (state: State, entry: Waiting): void => {
  const id = addressWord(entry.pool);
  const { head, tail } = queue.get(state, id) ?? { head: 0, tail: 0 };
  waiting.set(state, entryId(entry.pool, tail), entry);
  queue.set(state, id, { head, tail: tail + 1 });
  const line = poolOf(state, entry.pool)!.isGenesis ? changingPools.genesis : changingPools.others;
  if (!line.has(state, id)) line.push(state, id);
};

/** Gives the first change of a pool that waits; undefined where none does. */
export const firstChange = (state: State, pool: Address): Waiting | undefined => {
  const found = queue.get(state, pool);
  return found && waiting.get(state, entryId(pool, found.head));
};

/** Takes so many slots off the first change of a pool that waits, and the change away once none is left. */
export const shiftChange = (state: State, pool: Address, count: number): void => {
  const { head, tail } = queue.get(state, pool)!;
  const entry = waiting.get(state, entryId(pool, head))!;
  const isLeft = count < entry.count;
  waiting.set(state, entryId(pool, head), isLeft ? { ...entry, count: entry.count - count } : undefined);
  if (!isLeft) queue.set(state, pool, head + 1 < tail ? { head: head + 1, tail } : undefined);
};

/** The epoch in which what is asked now takes effect: late enough that nobody knows the draws that it would change. */
export const changeEpoch = ({ block }: Env): number => block.epoch + block.params.membershipEpochs;

/** Puts a change of a slot at the end of those that wait; gives its epoch. */
export const pushSlotChange = (env: Env, { id, pool, worker, staker, validator }: Slot, kind: number): number => {
  const epoch = changeEpoch(env);
  pushChange(env.state, { epoch, kind, pool, worker, staker, validator, count: 1, stake: 0n, slot: id });
  return epoch;
};

/** Gives the wei of stakes that wait to come into pools. Reads all that waits: for checks, not for blocks. */
export const waitingStakes = (state: State): bigint => {
  let sum = 0n;
  for (const value of [...changingPools.genesis.all(state), ...changingPools.others.all(state)]) {
    const pool: Address = wordAddress(value);
    const { head, tail } = queue.get(state, value)!;
    for (let at = head; at < tail; at++) {
      const { count, stake } = waiting.get(state, entryId(pool, at))!;
      sum += BigInt(count) * stake;
    }
  }
  return sum;
};
