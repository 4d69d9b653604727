import { type Address, concat, fromHex, type Hash, uint32, utf8 } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { roundSeconds } from "./clock.ts";
import { firstCommittee } from "./committee.ts";
import { jobOf, lotId, lotTasks, setJob } from "./deal.ts";
import type { Env } from "./env.ts";
import type { Line } from "./line.ts";
import { LOT_STATUS, type Lot, lotOf, newLot, newSeat, setLot } from "./lot.ts";
import { endWaiting, poolOf } from "./pool.ts";
import { escalationCount, failLot, isTooLate, pushEscalation, shiftEscalation } from "./round.ts";
import { type Slot, saveSlot, slotAtIndex, slotOf } from "./slot.ts";
import { addWaiting, nextWaiting, passTurn, takeArrivals, waitingPools } from "./waiting.ts";
import { openWindow } from "./window.ts";

/** Candidates looked at for each seat that a block may draw. */
const CANDIDATES_PER_DRAW = 16;

/** What is left of a block's work. */
export interface Budget {
  seats: number;
  candidates: number;
}

/** Gives the work that a block may do. */
export const budgetOf = ({ block }: Env): Budget => ({
  seats: block.params.drawsPerBlock,
  candidates: CANDIDATES_PER_DRAW * block.params.drawsPerBlock,
});

const DOMAIN = utf8("rolec/draw");
/** The number that candidates of a lot's round come from, in the block with this mix. */
export const drawSeed = (mixHash: Hash, dealid: Hash, lot: number, round: number): Uint8Array =>
  keccak256Bytes(concat(DOMAIN, fromHex(mixHash), fromHex(dealid), uint32(lot), Uint8Array.of(round)));
/** The place in a pool's array of candidate `j`. */
export const candidateIndex = (seed: Uint8Array, j: number, length: number): number => {
  const hash = keccak256Bytes(seed, uint32(j));
  return Number(BigInt(`0x${Buffer.from(hash).toString("hex")}`) % BigInt(length));
};

/** Draws `wanted` free slots of a pool; undefined (and nothing changes but the budget) where they cannot be had now. */
const drawSlots = (env: Env, pool: Address, seed: Uint8Array, wanted: number, budget: Budget): Slot[] | undefined => {
  const { length, drawable } = poolOf(env.state, pool)!;
  // A block that has drawn nothing yet may go over: else a wide round would wait for ever.
  const isFirst = budget.seats === env.block.params.drawsPerBlock;
  if (drawable < wanted || (budget.seats < wanted && !isFirst)) return undefined;
  const drawn = new Map<number, Slot>();
  for (let j = 0; drawn.size < wanted; j++) {
    if (budget.candidates-- <= 0) return undefined;
    const index = candidateIndex(seed, j, length);
    if (drawn.has(index)) continue;
    const slot = slotOf(env.state, slotAtIndex(env.state, pool, index)!)!;
    if (slot.drawable) drawn.set(index, slot);
  }
  budget.seats -= wanted;
  return [...drawn.values()];
};

/** Seats slots in a lot's next round and puts its end on the agenda. */
const seat = (env: Env, id: Hash, lot: Lot, slots: readonly Slot[]): void => {
  const roundEnd = env.block.timestamp + roundSeconds(lot.timeref);
  for (const slot of slots) saveSlot(env, { ...slot, lot: id });
  const seats = slots.map(({ id: slot, worker, validator }) => newSeat({ slot, worker, validator, round: lot.round }));
  const open = { ...lot, status: LOT_STATUS.computing, roundEnd, wanted: 0, seats: [...lot.seats, ...seats] };
  setLot(env.state, id, openWindow(env, id, open));
};

/** Draws another round for lots that wait for one, oldest first; each is tried once a block. */
export const drawEscalations = (env: Env, budget: Budget): void => {
  const { state, block } = env;
  const waiting = Math.min(escalationCount(state), block.params.drawsPerBlock);
  for (let i = 0; i < waiting && budget.seats > 0 && budget.candidates > 0; i++) {
    const id = shiftEscalation(state);
    const lot = lotOf(state, id)!;
    if (lot.status !== LOT_STATUS.escalating) continue; // claimed meanwhile
    if (isTooLate(env, lot)) {
      setLot(state, id, failLot(env, id, lot));
      continue;
    }
    const round = lot.round + 1;
    const seed = drawSeed(block.mixHash, lot.dealid, lot.index, round);
    const slots = block.slot < lot.readySlot ? undefined : drawSlots(env, lot.pool, seed, lot.wanted, budget);
    if (slots) seat(env, id, { ...lot, round }, slots);
    else pushEscalation(state, id);
  }
};

/** Deals that a block lets begin at most, for each seat that it may draw. */
const ARRIVALS_PER_DRAW = 4;

/** Lets those deals wait for their turn whose lots are ready. */
export const admitDeals = ({ state, block }: Env): void => {
  const isReady = (dealid: Hash): boolean => jobOf(state, dealid)!.readySlot <= block.slot;
  for (const dealid of takeArrivals(state, ARRIVALS_PER_DRAW * block.params.drawsPerBlock, isReady)) {
    const { pool, trust, next, lots } = jobOf(state, dealid)!;
    if (next < lots) addWaiting(state, pool, poolOf(state, pool)!, firstCommittee(trust), dealid);
  }
};

/** Draws the first round of a job's next lot, and ends its turn; false where the block has no room left for it. */
const drawFirst = (env: Env, dealid: Hash, budget: Budget): boolean => {
  const { state, block } = env;
  const job = jobOf(state, dealid)!;
  const committee = firstCommittee(job.trust);
  const id = lotId(dealid, job, job.next);
  const isGivenUp = lotOf(state, id) !== undefined;
  budget.candidates -= 1;
  if (!isGivenUp) {
    const seed = drawSeed(block.mixHash, dealid, job.next, 0);
    const slots = drawSlots(env, job.pool, seed, committee, budget);
    if (!slots) return false;
    const lot = newLot(dealid, job, job.next);
    seat(env, id, { ...lot, drawTime: block.timestamp }, slots);
  }
  const next = job.next + 1;
  const count = lotTasks(job, job.next);
  setJob(state, dealid, { ...job, next, givenUp: job.givenUp - (isGivenUp ? count : 0) });
  passTurn(state, job.pool, committee, dealid);
  if (next === job.lots) endWaiting(state, dealid, job);
  return true;
};

/** Draws first rounds, one lot of each pool of a line in turn, until so much of the block's work is left. */
const drawLine = (env: Env, line: Line, budget: Budget, rest: Readonly<Budget>): void => {
  const { state } = env;
  while (budget.seats > rest.seats && budget.candidates > rest.candidates) {
    const first = line.first(state);
    if (first === undefined) return;
    const pool: Address = `0x${first.slice(26)}`;
    if (!drawFirst(env, nextWaiting(state, pool, poolOf(state, pool)!)!, budget)) return;
    if (!line.has(state, first)) continue;
    line.remove(state, first);
    line.push(state, first);
  }
};

const NOTHING: Readonly<Budget> = { seats: 0, candidates: 0 };

/**
 * Draws first rounds: half of the block's work is for the pools that genesis names, the rest for all others, and what these leave for the
 * first again. Anybody makes pools, and deals in them for nothing. What the block has no room for is first in the next.
 */
export const drawLots = (env: Env, budget: Budget): void => {
  const half = { seats: budget.seats >> 1, candidates: budget.candidates >> 1 };
  drawLine(env, waitingPools.genesis, budget, half);
  drawLine(env, waitingPools.others, budget, NOTHING);
  drawLine(env, waitingPools.genesis, budget, NOTHING);
};
