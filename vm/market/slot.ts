import type { Params } from "../../chain/params.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, bool, hash, record, uint } from "../../lib/codec.ts";
import { addressId, MARKET, numberId } from "../tables.ts";
import { burn } from "./burned.ts";
import { type Env, NRLC } from "./env.ts";
import { type Pool, poolOf, setPool } from "./pool.ts";
import { MARKET_TABLE, pairId, single, tableOf } from "./tables.ts";

/** A place in a drawn pool, backed by a stake, which computes one lot at a time. Its id is for ever. */
export interface Slot {
  readonly id: number;
  readonly pool: Address;
  /** Place in the pool's array; changes when others leave. */
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
}

const slots = tableOf(
  MARKET,
  MARKET_TABLE.slot,
  record({
    id: uint,
    pool: address,
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
  }),
);
const slotCount = tableOf(MARKET, MARKET_TABLE.slotCount, single(uint));
const poolSlots = tableOf(MARKET, MARKET_TABLE.poolSlot, single(uint));
const workerSlots = tableOf(MARKET, MARKET_TABLE.workerSlot, single(uint));
const workers = tableOf(MARKET, MARKET_TABLE.worker, record({ slots: uint, joins: uint }));

const placeId = (owner: Address, index: number): Hash => pairId(owner, numberId(index));

/** Reads a slot; undefined where it never was or has left. */
export const slotOf = (state: State, id: number): Slot | undefined => slots.get(state, numberId(id));
/** Gives the slot at a place of a pool's array. */
export const slotAtIndex = (state: State, pool: Address, index: number): number | undefined =>
  poolSlots.get(state, placeId(pool, index));
/** Gives how many slots a worker has, and how many joins it has signed. */
export const workerOf = (state: State, worker: Address): { readonly slots: number; readonly joins: number } =>
  workers.get(state, addressId(worker)) ?? { slots: 0, joins: 0 };
/** Counts a join that a worker signed, so that its signature serves once. */
export const countJoin = (state: State, worker: Address): void => {
  const before = workerOf(state, worker);
  workers.set(state, addressId(worker), { ...before, joins: before.joins + 1 });
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

/** A slot is drawn while it is free, stays, and has at least three quarters of its stake. */
const isDrawable = (slot: Slot, params: Params): boolean =>
  slot.lot === ZERO_HASH && !slot.leaving && 4n * slot.stake >= 3n * params.slotStakeNrlc * NRLC;

/** Writes a slot, and what its pool can draw. */
export const saveSlot = (env: Env, slot: Slot): void => {
  const drawable = isDrawable(slot, env.block.params);
  slots.set(env.state, numberId(slot.id), { ...slot, drawable });
  if (drawable !== slot.drawable) countDrawable(env.state, slot.pool, drawable ? 1 : -1);
};

const countDrawable = (state: State, address: Address, change: number): void => {
  const pool = poolOf(state, address)!;
  setPool(state, address, { ...pool, drawable: pool.drawable + change });
};

/** Puts a new slot at the end of a pool's array. Its stake must be in the market's balance. */
export const addSlot = (env: Env, fields: Pick<Slot, "pool" | "worker" | "staker" | "validator" | "stake">): number => {
  const { state } = env;
  const pool = poolOf(state, fields.pool)!;
  const worker = workerOf(state, fields.worker);
  const id = slotCount.get(state, ZERO_HASH) ?? 0;
  slotCount.set(state, ZERO_HASH, id + 1);
  poolSlots.set(state, placeId(fields.pool, pool.length), id);
  workerSlots.set(state, placeId(fields.worker, worker.slots), id);
  workers.set(state, addressId(fields.worker), { ...worker, slots: worker.slots + 1 });
  setPool(state, fields.pool, { ...pool, length: pool.length + 1 });
  saveSlot(env, {
    ...fields,
    id,
    index: pool.length,
    workerIndex: worker.slots,
    lot: ZERO_HASH,
    drawable: false,
    leaveAsked: false,
    leaving: false,
  });
  return id;
};

/** Takes a slot out of its pool: the last one moves to its place. What is left of its stake goes back to its staker. */
export const removeSlot = (env: Env, slot: Slot): void => {
  const { state } = env;
  if (slot.drawable) countDrawable(state, slot.pool, -1);
  const pool: Pool = poolOf(state, slot.pool)!;
  const last = pool.length - 1;
  if (slot.index !== last) {
    const moved = slotOf(state, slotAtIndex(state, slot.pool, last)!)!;
    poolSlots.set(state, placeId(slot.pool, slot.index), moved.id);
    slots.set(state, numberId(moved.id), { ...moved, index: slot.index });
  }
  poolSlots.set(state, placeId(slot.pool, last), undefined);
  setPool(state, slot.pool, { ...pool, length: last });

  const worker = workerOf(state, slot.worker);
  const lastOwn = worker.slots - 1;
  if (slot.workerIndex !== lastOwn) {
    const moved = slotOf(state, workerSlots.get(state, placeId(slot.worker, lastOwn))!)!;
    workerSlots.set(state, placeId(slot.worker, slot.workerIndex), moved.id);
    slots.set(state, numberId(moved.id), { ...moved, workerIndex: slot.workerIndex });
  }
  workerSlots.set(state, placeId(slot.worker, lastOwn), undefined);
  workers.set(state, addressId(slot.worker), { ...worker, slots: lastOwn });

  slots.set(state, numberId(slot.id), undefined);
  state.debit(MARKET, slot.stake);
  state.credit(slot.staker, slot.stake);
};

/** Frees a slot of its lot; one that waited to leave leaves. */
export const releaseSlot = (env: Env, slot: Slot): void => {
  if (slot.leaving) removeSlot(env, slot);
  else saveSlot(env, { ...slot, lot: ZERO_HASH });
};

/** Burns up to so much wei of a slot's stake; gives the slot as it is then, not yet written, and what was burned. */
export const burnStake = (env: Env, slot: Slot, wei: bigint): { slot: Slot; burned: bigint } => {
  const burned = wei < slot.stake ? wei : slot.stake;
  burn(env, MARKET, burned);
  return { slot: { ...slot, stake: slot.stake - burned }, burned };
};
