import type { Hash } from "../../lib/bytes.ts";
import { revert } from "../revert.ts";
import { HUB, MARKET } from "../tables.ts";
import { isJailed, validators } from "../validator-store.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { creditedDeclines, firstCommittee } from "./committee.ts";
import { type Deal, dealOf, taskPrice } from "./deal.ts";
import { type Env, emitAt, NRLC } from "./env.ts";
import { bringIn, burnSeized, burnSeizedFee, reward, seize, takeOut, unlock } from "./escrow.ts";
import { logFault } from "./fault.ts";
import {
  declinesOf,
  isShown,
  LOT_STATUS,
  type Lot,
  logPending,
  lotOf,
  receiptOf,
  SEAT,
  type Seat,
  setLot,
} from "./lot.ts";
import { poolOf } from "./pool.ts";
import { type Claims, claimsOf, resultsOf } from "./result.ts";
import { countEnd } from "./round.ts";
import { scoreDown, scoreUp } from "./score.ts";
import { burnStake, releaseSlot, removeSlot, type Slot, slotOf } from "./slot.ts";

/** How a lot's price divides, in nRLC (spec section 8). */
export interface Metered {
  /** Price of the gas that was used. */
  readonly metered: bigint;
  readonly burned: bigint;
  /** What is shared by PoCo's formula as the workerpool price. */
  readonly pay: bigint;
  /** Wei of contribution credit for each proved seat. */
  readonly creditWei: bigint;
}

/** Computes how a lot's price divides: `price` and `gasLimit` are for each task, gas for the lot. Only what was executed earns credit. */
export const meter = (
  { price, gasLimit }: Pick<Deal, "price" | "gasLimit">,
  { gasUsed, gasExecuted }: Pick<Claims, "gasUsed" | "gasExecuted">,
  provedSeats: number,
  { burnQ16, weiPerGas }: { burnQ16: bigint; weiPerGas: bigint },
): Metered => {
  const seats = BigInt(provedSeats);
  const priceOf = (gas: number): bigint => (price * BigInt(gas)) / BigInt(gasLimit);
  const burnedOf = (amount: bigint): bigint => (amount * burnQ16) >> 16n;
  const metered = priceOf(gasUsed);
  const burned = burnedOf(metered);
  const paidFor = burnedOf(priceOf(gasExecuted)) * NRLC;
  const computed = BigInt(gasExecuted) * seats * weiPerGas;
  return { metered, burned, pay: metered - burned, creditWei: (paidFor < computed ? paidFor : computed) / seats };
};

/** Tells whether a lot can be finalized now: all that agreed have revealed, or some have and the time is over. Then it can for ever. */
export const isFinalizable = (env: Env, lot: Lot): boolean => {
  if (lot.status !== LOT_STATUS.revealing || !isShown(lot)) return false;
  const awaited = lot.seats.some(({ status, resultHash }) => status === SEAT.committed && resultHash === lot.consensus);
  return !awaited || env.block.timestamp >= lot.revealDeadline;
};

/** Pays app and dataset for tasks, out of what is locked; gives what they got. */
const payOwners = (env: Env, deal: Deal, tasks: number, ref: Hash): bigint => {
  const appPart = deal.appPrice * BigInt(tasks);
  const datasetPart = deal.datasetPrice * BigInt(tasks);
  if (appPart + datasetPart > 0n) seize(env, deal.sponsor, appPart + datasetPart, ref);
  if (appPart > 0n) reward(env, deal.appOwner, appPart, ref);
  if (datasetPart > 0n) reward(env, deal.datasetOwner, datasetPart, ref);
  return appPart + datasetPart;
};

/** Takes the stake that a seat answered for into the hub, burns the rest of its slot's, and throws the slot out. */
const seizeSeat = (env: Env, id: Hash, seat: Seat, slot: Slot, stake: bigint): bigint => {
  const has = slot.stake / NRLC;
  const taken = stake < has ? stake : has;
  if (taken > 0n) bringIn(env, MARKET, taken);
  const rest = burnStake(env, { ...slot, stake: slot.stake - taken * NRLC }, slot.stake);
  logFault(env, seat, id, rest.burned);
  removeSlot(env, rest.slot);
  scoreDown(env.state, seat.worker);
  emitAt(env, HUB, HUB_EVENTS.FaultyContribution!, seat.worker, id);
  return taken;
};

/** Pays a proved seat: first its slot is refilled, the rest is the worker's. */
const paySeat = (env: Env, id: Hash, seat: Seat, share: bigint): void => {
  const slot = slotOf(env.state, seat.slot);
  let refill = 0n;
  if (slot) {
    const missing = env.block.params.slotStakeNrlc - (slot.stake + NRLC - 1n) / NRLC;
    refill = missing <= 0n ? 0n : missing < share ? missing : share;
    if (refill > 0n) takeOut(env, MARKET, refill);
    releaseSlot(env, { ...slot, stake: slot.stake + refill * NRLC });
  }
  reward(env, seat.worker, share - refill, id);
  scoreUp(env.state, seat.worker);
  emitAt(env, HUB, HUB_EVENTS.AccurateContribution!, seat.worker, id);
};

/**
 * Computes the wei that a seat pays for declining what was agreed after all: at most silence's penalty, and so little that all
 * who declined lose no more than the lot burned. Whoever withholds inputs cannot cost the others more than itself.
 */
const declinePenalty = (env: Env, lot: Lot, burned: bigint): bigint => {
  const share = burned / BigInt(Math.max(firstCommittee(lot.trust), declinesOf(lot)));
  const { silencePenaltyNrlc } = env.block.params;
  return (share < silencePenaltyNrlc ? share : silencePenaltyNrlc) * NRLC;
};

const credit = (env: Env, { validator: address }: Seat, wei: bigint): void => {
  const validator = validators.find(env.state, address);
  if (!validator || isJailed(validator, env.block.epoch, env.block.params.evidenceEpochs)) return;
  validators.addPendingContribution(env.state, address, wei);
};

/** Ends a lot whose result was revealed: burns, pays, punishes, credits, and unlocks what was not used. Anyone may ask. */
export const finalize = (env: Env, id: Hash): void => {
  const { state, block } = env;
  const found = lotOf(state, id) ?? revert("no such lot, or not yet drawn");
  if (!isFinalizable(env, found)) revert("the lot cannot be finalized now");
  const lot = logPending(env, id, found);
  const deal = dealOf(state, lot.dealid)!;
  const receipt = receiptOf(state, id)!;
  const tasks = BigInt(lot.count);
  const proved = lot.seats.filter(({ status }) => status === SEAT.proved);
  const claims = claimsOf(receipt, lot.count)!;
  const { metered, burned, pay, creditWei } = meter(deal, claims, proved.length, block.params);

  seize(env, deal.sponsor, metered, id);
  const isOpen = declinesOf(lot) <= creditedDeclines(lot.trust);
  if (burned > 0n) (isOpen ? burnSeizedFee : burnSeized)(env, burned);
  const owners = payOwners(env, deal, claims.valid, id);

  let seized = 0n;
  const seats = lot.seats.map((seat) => {
    const isFaulty = seat.status === SEAT.committed || seat.status === SEAT.rejected;
    const slot = slotOf(state, seat.slot);
    if (isFaulty && slot) {
      const rejected = { ...seat, status: SEAT.rejected };
      seized += seizeSeat(env, id, rejected, slot, deal.workerStake * tasks);
      return rejected;
    }
    if (seat.status === SEAT.declined && slot) {
      const after = burnStake(env, slot, declinePenalty(env, lot, burned));
      logFault(env, seat, id, after.burned);
      releaseSlot(env, after.slot);
    }
    return seat;
  });

  const total = pay + seized;
  const share = (total * (100n - deal.schedulerRewardRatio)) / 100n / BigInt(proved.length);
  for (const seat of proved) paySeat(env, id, seat, share);
  reward(env, deal.poolOwner, total - share * BigInt(proved.length), id);
  unlock(env, deal.sponsor, taskPrice(deal) * tasks - metered - owners);
  const earnsCredit = isOpen && poolOf(state, lot.pool)!.isGenesis;
  if (earnsCredit) for (const seat of proved) credit(env, seat, creditWei);

  countEnd(state, lot, "completed");
  setLot(state, id, { ...lot, seats, status: LOT_STATUS.completed });
  if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskFinalize!, id, resultsOf(receipt));
  const creditSum = earnsCredit ? creditWei * BigInt(proved.length) : 0n;
  const gas = [BigInt(claims.gasUsed), BigInt(claims.gasExecuted)];
  const numbers = [...gas, burned, total, creditSum];
  emitAt(env, MARKET, MARKET_EVENTS.LotFinalized!, id, lot.dealid, ...numbers);
};
