import type { State } from "../../chain/state.ts";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, record, uint } from "../../lib/codec.ts";
import { MARKET, numberId } from "../tables.ts";
import type { Env } from "./env.ts";
import type { Slot } from "./slot.ts";
import { MARKET_TABLE, tableOf } from "./tables.ts";

/** What a change does to a pool's array: new slots come, one goes for ever, one pauses, one comes back. */
export const CHANGE = { join: 0, leave: 1, pause: 2, resume: 3 } as const;

/** A join of `count` slots, or what happens to one that there is, which waits for its epoch. */
export const waiting = tableOf(
  MARKET,
  MARKET_TABLE.membership,
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
/** Entries from `head` to before `tail` wait; `epoch` is the last one that the queue was run in. */
export const queue = tableOf(MARKET, MARKET_TABLE.membershipQueue, record({ head: uint, tail: uint, epoch: uint }));
export const queueOf = (state: State) => queue.get(state, ZERO_HASH) ?? { head: 0, tail: 0, epoch: 0 };

/** Puts a change at the end of those that wait. */
export const pushChange = (state: State, entry: Waiting): void => {
  const ends = queueOf(state);
  waiting.set(state, numberId(ends.tail), entry);
  queue.set(state, ZERO_HASH, { ...ends, tail: ends.tail + 1 });
};

/** The epoch in which what is asked now takes effect: late enough that nobody knows the draws that it would change. */
export const changeEpoch = ({ block }: Env): number => block.epoch + block.params.membershipEpochs;

/** Puts a change of a slot at the end of those that wait; gives its epoch. */
export const pushSlotChange = (env: Env, { id, pool, worker, staker, validator }: Slot, kind: number): number => {
  const epoch = changeEpoch(env);
  pushChange(env.state, { epoch, kind, pool, worker, staker, validator, count: 1, stake: 0n, slot: id });
  return epoch;
};

/** Gives the wei of stakes that wait to come into pools. Reads the whole queue: for checks, not for blocks. */
export const waitingStakes = (state: State): bigint => {
  const { head, tail } = queueOf(state);
  let sum = 0n;
  for (let at = head; at < tail; at++) {
    const { count, stake } = waiting.get(state, numberId(at))!;
    sum += BigInt(count) * stake;
  }
  return sum;
};
