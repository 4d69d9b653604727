import type { Params } from "../../chain/params.ts";
import { ONLY, pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, word, ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, bool, hash, record, uint } from "../../lib/codec.ts";
import { NRLC } from "../../lib/units.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { burn } from "./burned.ts";
import type { Env } from "./env.ts";
import { type Pool, poolOf, setPool } from "./pool.ts";

/** How a slot stands to being drawn, beside what its lot and its stake say. */
export const PAUSE = {
  none: 0,
  /** It is not drawn, and leaves its pool's array. */
  paused: 1,
  /** The same until it is in the array again. */
  resuming: 2,
  /** It comes into the array again, and out of it: it was paused once more meanwhile. */
  withdrawn: 3,
} as const;

/** A place in a drawn pool, backed by a stake, which computes one lot at a time. Its id is for ever. */
export interface Slot {
  readonly id: number;
  readonly pool: Address;
  /** Whether it stands in the pool's array, and where; that changes when others leave. */
  readonly isPlaced: boolean;
  readonly index: number;
  /** Place in the worker's list. */
  readonly workerIndex: number;
  readonly worker: Address;
  /** Gets the stake back. */
  readonly staker: Address;
  readonly validator: Address;
  /** Wei, in the market's balance. Pays gas of messages; rewards refill it. */
  readonly stake: bigint;
  /** The lot that it is seated in; zero where it is free. */
  readonly lot: Hash;
  /** What the pool's count has it as. */
  readonly drawable: boolean;
  /** A leave was asked for; nothing changes until it takes effect. */
  readonly leaveAsked: boolean;
  /** Leaves as soon as it is free. */
  readonly leaving: boolean;
  /** One of PAUSE. */
  readonly pause: number;
  /** How often it was absent of late, and when it was so last, in seconds (absence.ts). */
  readonly absences: number;
  readonly absentAt: number;
  /** The epoch after the one in which it last paid for pausing or resuming; 0 before. */
  readonly paidEpoch: number;
}

const slots = table(
  MARKET,
  MARKET_TABLE.slot,
  1,
  record({
    id: uint,
    pool: address,
    isPlaced: bool,
    index: uint,
    workerIndex: uint,
    worker: address,
    staker: address,
    validator: address,
    stake: big,
    lot: hash,
    drawable: bool,
    leaveAsked: bool,
    leaving: bool,
    pause: uint,
    absences: uint,
    absentAt: uint,
    paidEpoch: uint,
  }),
);
const slotCount = table(MARKET, MARKET_TABLE.slotCount, 1, single(uint));
const poolSlots = table(MARKET, MARKET_TABLE.poolSlot, 1, single(uint));
const workerSlots = table(MARKET, MARKET_TABLE.workerSlot, 1, single(uint));
const workers = table(MARKET, MARKET_TABLE.worker, 1, record({ slots: uint, joins: uint }));

const placeId = (owner: Address, index: number): Hash => pairId(owner, word(index));

/** Reads a slot; undefined where it never was or has left. */
export const slotOf = (state: State, id: number): Slot | undefined => slots.get(state, id);
/** Gives the slot at a place of a pool's array. */
export const slotAtIndex = (state: State, pool: Address, index: number): number | undefined =>
  poolSlots.get(state, placeId(pool, index));
/** Gives how many slots a worker has, and how many joins it has signed. */
export const workerOf = (state: State, worker: Address): { readonly slots: number; readonly joins: number } =>
  workers.get(state, worker) ?? { slots: 0, joins: 0 };
/** Counts a join that a worker signed, so that its signature serves once. */
export const countJoin = (state: State, worker: Address): void => {
  const before = workerOf(state, worker);
  workers.set(state, worker, { ...before, joins: before.joins + 1 });
};
/** Lists the ids of a worker's slots, at most `limit` after the first `from`. */
export const slotIdsOfWorker = (state: State, worker: Address, limit: number, from = 0): number[] =>
  Array.from(
    { length: Math.max(0, Math.min(limit, workerOf(state, worker).slots - from)) },
    (_, i) => workerSlots.get(state, placeId(worker, from + i))!,
  );
/** Lists a worker's slots, at most `limit` after the first `from`. */
export const slotsOfWorker = (state: State, worker: Address, limit: number, from = 0): Slot[] =>
  slotIdsOfWorker(state, worker, limit, from).map((id) => slotOf(state, id)!);

/** Tells whether a slot has the three quarters of its stake that it must have to be drawn. */
export const isBacked = ({ stake }: Slot, { slotStakeNrlc }: Params): boolean =>
  4n * stake >= 3n * slotStakeNrlc * NRLC;
/** A slot is drawn while it is free, stays, does not pause, and is backed. */
const isDrawable = (slot: Slot, params: Params): boolean =>
  slot.isPlaced && slot.lot === ZERO_HASH && !slot.leaving && slot.pause === PAUSE.none && isBacked(slot, params);

/** Writes a slot, and what its pool can draw. */
export const saveSlot = (env: Env, slot: Slot): void => {
  const drawable = isDrawable(slot, env.block.params);
  slots.set(env.state, slot.id, { ...slot, drawable });
  if (drawable !== slot.drawable) countDrawable(env.state, slot.pool, drawable ? 1 : -1);
};

const countDrawable = (state: State, address: Address, change: number): void => {
  const pool = poolOf(state, address)!;
  setPool(state, address, { ...pool, drawable: pool.drawable + change });
};

/** Puts a slot at the end of its pool's array; gives it as it is then, not yet written. */
export const placeSlot = ({ state }: Env, slot: Slot): Slot => {
  const pool = poolOf(state, slot.pool)!;
  poolSlots.set(state, placeId(slot.pool, pool.length), slot.id);
  setPool(state, slot.pool, { ...pool, length: pool.length + 1 });
  return { ...slot, isPlaced: true, index: pool.length };
};

/** Takes a slot out of its pool's array, where it is in it: the last one moves to its place. Writes and gives the slot. */
export const unplaceSlot = (env: Env, slot: Slot): Slot => {
  if (!slot.isPlaced) return slot;
  const { state } = env;
  const out = { ...slot, isPlaced: false, index: 0 };
  saveSlot(env, out);
  const pool: Pool = poolOf(state, slot.pool)!;
  const last = pool.length - 1;
  if (slot.index !== last) {
    const moved = slotOf(state, slotAtIndex(state, slot.pool, last)!)!;
    poolSlots.set(state, placeId(slot.pool, slot.index), moved.id);
    slots.set(state, moved.id, { ...moved, index: slot.index });
  }
  poolSlots.set(state, placeId(slot.pool, last), undefined);
  setPool(state, slot.pool, { ...pool, length: last });
  return { ...out, drawable: false };
};

/** Puts a new slot at the end of a pool's array. Its stake must be in the market's balance. */
export const addSlot = (env: Env, fields: Pick<Slot, "pool" | "worker" | "staker" | "validator" | "stake">): number => {
  const { state } = env;
  const worker = workerOf(state, fields.worker);
  const id = slotCount.get(state, ONLY) ?? 0;
  slotCount.set(state, ONLY, id + 1);
  workerSlots.set(state, placeId(fields.worker, worker.slots), id);
  workers.set(state, fields.worker, { ...worker, slots: worker.slots + 1 });
  const made: Slot = {
    ...fields,
    id,
    isPlaced: false,
    index: 0,
    workerIndex: worker.slots,
    lot: ZERO_HASH,
    drawable: false,
    leaveAsked: false,
    leaving: false,
    pause: PAUSE.none,
    absences: 0,
    absentAt: 0,
    paidEpoch: 0,
  };
  saveSlot(env, placeSlot(env, made));
  return id;
};

/** Takes a slot out of its pool for ever. What is left of its stake goes back to its staker. */
export const removeSlot = (env: Env, slot: Slot): void => {
  const { state } = env;
  unplaceSlot(env, slot);
  const worker = workerOf(state, slot.worker);
  const lastOwn = worker.slots - 1;
  if (slot.workerIndex !== lastOwn) {
    const moved = slotOf(state, workerSlots.get(state, placeId(slot.worker, lastOwn))!)!;
    workerSlots.set(state, placeId(slot.worker, slot.workerIndex), moved.id);
    slots.set(state, moved.id, { ...moved, workerIndex: slot.workerIndex });
  }
  workerSlots.set(state, placeId(slot.worker, lastOwn), undefined);
  workers.set(state, slot.worker, { ...worker, slots: lastOwn });

  slots.set(state, slot.id, undefined);
  state.debit(MARKET, slot.stake);
  state.credit(slot.staker, slot.stake);
};

/** Lists all slots that there are. Reads every number that one ever had: for checks, not for blocks. */
export const allSlots = (state: State): Slot[] =>
  Array.from({ length: slotCount.get(state, ONLY) ?? 0 }, (_, id) => slotOf(state, id)).filter(
    (slot) => slot !== undefined,
  );

/** Burns up to so much wei of a slot's stake; gives the slot as it is then, not yet written, and what was burned. */
export const burnStake = (env: Env, slot: Slot, wei: bigint): { slot: Slot; burned: bigint } => {
  const burned = wei < slot.stake ? wei : slot.stake;
  burn(env, MARKET, burned);
  return { slot: { ...slot, stake: slot.stake - burned }, burned };
};
