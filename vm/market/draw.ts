import { type Address, concat, fromHex, type Hash, uint32, utf8, wordAddress } from "../../lib/bytes.ts";
import { keccak256Bytes } from "../../lib/keccak.ts";
import { roundSeconds } from "./clock.ts";
import { firstCommittee } from "./committee.ts";
import { jobOf, lotId, lotTasks, setJob } from "./deal.ts";
import type { Env } from "./env.ts";
import { escalatingPools, firstEscalation, pushEscalation, shiftEscalation } from "./escalation.ts";
import { inTurn, type Line } from "./line.ts";
import { LOT_STATUS, type Lot, lotOf, newLot, newSeat, setLot } from "./lot.ts";
import { endWaiting, poolOf } from "./pool.ts";
import { failLot, isTooLate } from "./round.ts";
import { type Slot, saveSlot, slotAtIndex, slotOf } from "./slot.ts";
import { addWaiting, nextWaiting, passTurn, takeArrivals, waitingPools } from "./waiting.ts";
import { openWindow } from "./window.ts";

/** Candidates looked at for each seat that a block may draw. */
const CANDIDATES_PER_DRAW = 16;

/** What is left of a block's work, or of a part of it. */
export interface Budget {
  seats: number;
  candidates: number;
  /** Lots that wait for another round that may be looked at. */
  escalations: number;
  /** Nothing was drawn of it. */
  isFresh: boolean;
}

/** Gives the work that a block may do. */
export const budgetOf = ({ block: { params } }: Env): Budget => ({
  seats: params.drawsPerBlock,
  candidates: CANDIDATES_PER_DRAW * params.drawsPerBlock,
  escalations: params.drawsPerBlock,
  isFresh: true,
});

/** Does work with half of a budget; what is left of it comes back. */
const withHalf = (budget: Budget, work: (half: Budget) => void): void => {
  const sizes = ["seats", "candidates", "escalations"] as const;
  const half = { ...budget };
  for (const size of sizes) half[size] = Math.ceil(budget[size] / 2);
  for (const size of sizes) budget[size] -= half[size];
  work(half);
  for (const size of sizes) budget[size] += half[size];
  budget.isFresh &&= half.isFresh;
};

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
  // Where nothing was drawn yet it may go over: else a wide round would wait for ever.
  if (drawable < wanted || (budget.seats < wanted && !budget.isFresh)) return undefined;
  const drawn = new Map<number, Slot>();
  for (let j = 0; drawn.size < wanted; j++) {
    if (budget.candidates-- <= 0) return undefined;
    const index = candidateIndex(seed, j, length);
    if (drawn.has(index)) continue;
    const slot = slotOf(env.state, slotAtIndex(env.state, pool, index)!)!;
    if (slot.drawable) drawn.set(index, slot);
  }
  budget.seats -= wanted;
  budget.isFresh = false;
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

const hasRoom = (budget: Budget): boolean => budget.seats > 0 && budget.candidates > 0;

/** Draws another round for a lot that waits for one, or fails it; puts it behind the others of its pool where it has to wait. */
const drawEscalation = (env: Env, id: Hash, lot: Lot, budget: Budget): void => {
  const { state, block } = env;
  if (lot.status !== LOT_STATUS.escalating) return; // claimed meanwhile
  if (isTooLate(env, lot)) {
    setLot(state, id, failLot(env, id, lot));
    return;
  }
  const round = lot.round + 1;
  const slots = drawSlots(env, lot.pool, drawSeed(block.mixHash, lot.dealid, lot.index, round), lot.wanted, budget);
  if (slots) seat(env, id, { ...lot, round }, slots);
  else pushEscalation(state, lot.pool, id);
};

/** Draws another round for the lots of a line of pools that wait for one, one of each pool in turn, oldest first; each is tried once a block. */
const drawEscalations = (env: Env, line: Line, budget: Budget, tried: Set<Hash>): void => {
  const { state, block } = env;
  const isOpen = (): boolean => hasRoom(budget) && budget.escalations > 0;
  inTurn(state, line, isOpen, (value) => {
    const pool = wordAddress(value);
    const id = firstEscalation(state, pool)!;
    const lot = lotOf(state, id)!;
    budget.escalations -= 1;
    if (tried.has(id) || (lot.status === LOT_STATUS.escalating && block.slot < lot.readySlot)) return "rest";
    tried.add(id);
    shiftEscalation(state, pool);
    drawEscalation(env, id, lot, budget);
    return firstEscalation(state, pool) === undefined ? "done" : "again";
  });
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

/** Draws first rounds, one lot of each pool of a line in turn. What there is no room for is first in the next block. */
const drawFirsts = (env: Env, line: Line, budget: Budget): void => {
  const { state } = env;
  const isOpen = (): boolean => hasRoom(budget);
  inTurn(state, line, isOpen, (value) => {
    const pool = wordAddress(value);
    return drawFirst(env, nextWaiting(state, pool, poolOf(state, pool)!)!, budget) ? "again" : "stop";
  });
};

/**
 * Draws seats: half of the block's work is for the pools that genesis names, the rest for all others, and what these leave for the
 * first again; of each, half is for lots that wait for another round, the rest for first rounds, and what these leave for the others
 * again. Anybody makes pools and deals in them for nothing, and lots that go on and on. `part` runs a piece of it.
 */
export const drawLots = (env: Env, budget: Budget, part: (run: () => void) => void): void => {
  const tried = new Set<Hash>();
  const draw = (kind: "genesis" | "others", of: Budget): void => {
    const escalate = (left: Budget): void => part(() => drawEscalations(env, escalatingPools[kind], left, tried));
    withHalf(of, escalate);
    part(() => drawFirsts(env, waitingPools[kind], of));
    escalate(of);
  };
  withHalf(budget, (half) => draw("genesis", half));
  draw("others", budget);
  draw("genesis", budget);
};
