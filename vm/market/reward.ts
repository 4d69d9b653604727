import type { Hash } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import { HUB, MARKET } from "../addresses.ts";
import { revert } from "../revert.ts";
import { isJailed, validators } from "../validator-store.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { creditedDeclines, firstCommittee } from "./committee.ts";
import { resultSealOf } from "./contribution.ts";
import { type Deal, dealOf, taskPrice } from "./deal.ts";
import { duePrice, gasPrice, type Pricing, seatsPaidFor } from "./due.ts";
import { type Env, emitAt } from "./env.ts";
import { bringIn, burnSeized, burnSeizedFee, reward, seize, takeOut, unlock } from "./escrow.ts";
import { logFault } from "./fault.ts";
import {
  absencesOf,
  isAbsent,
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
import { absenceFactor, releaseSlot, withdrawSlot } from "./pause.ts";
import { poolOf } from "./pool.ts";
import { type Claims, claimsOf, resultsOf } from "./result.ts";
import { asSilent, countEnd, isHidden } from "./round.ts";
import { scoreDown, scoreUp } from "./score.ts";
import { burnStake, removeSlot, type Slot, saveSlot, slotOf } from "./slot.ts";
import { isRevealOver } from "./window.ts";

/** How a lot's price divides, in nRLC (spec section 8). */
export interface Metered {
  /** What the lot pays. */
  readonly metered: bigint;
  readonly burned: bigint;
  /** What is shared by PoCo's formula as the workerpool price. */
  readonly pay: bigint;
  /** Wei of contribution credit for each proved seat. */
  readonly creditWei: bigint;
}

/** Computes how a lot's price divides. Only what was executed earns credit. */
export const meter = (
  deal: Pricing,
  lot: Pick<Lot, "count" | "seats" | "absent">,
  { gasUsed, gasExecuted }: Pick<Claims, "gasUsed" | "gasExecuted">,
  provedSeats: number,
  { burnQ16, weiPerGas }: { burnQ16: bigint; weiPerGas: bigint },
): Metered => {
  const seats = BigInt(provedSeats);
  const burnedOf = (amount: bigint): bigint => (amount * burnQ16) >> 16n;
  const metered = duePrice(deal, { ...lot, gasUsed });
  const burned = burnedOf(metered);
  const covered = burnedOf(gasPrice(deal, gasExecuted));
  const paidFor = (covered < burned ? covered : burned) * NRLC;
  const computed = BigInt(gasExecuted) * seats * weiPerGas;
  return { metered, burned, pay: metered - burned, creditWei: (paidFor < computed ? paidFor : computed) / seats };
};

/** Tells whether a lot can be finalized now: all that agreed have revealed, or some have and the time is over. Then it can for ever. */
export const isFinalizable = (env: Env, lot: Lot): boolean => {
  if (lot.status !== LOT_STATUS.revealing || !isShown(lot)) return false;
  const awaited = lot.seats.some((seat) => isHidden(lot, seat));
  return !awaited || isRevealOver(env, lot);
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
  logFault(env, seat, id, rest.burned + taken * NRLC);
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
    saveSlot(env, { ...slot, stake: slot.stake + refill * NRLC });
  }
  reward(env, seat.worker, share - refill, id);
  scoreUp(env.state, seat.worker);
  emitAt(env, HUB, HUB_EVENTS.AccurateContribution!, seat.worker, id);
};

/**
 * Computes the wei that a seat pays for declining what was agreed after all, or for being silent: at most `silencePenalty`, and so
 * little that all such seats lose no more than the lot burned, but for those that were absent often of late. So an absence costs
 * in proportion to what the lot was worth, and whoever withholds inputs cannot cost the others more than itself.
 */
const absencePenalty = (env: Env, lot: Lot, burned: bigint, { status }: Seat, slot: Slot): bigint => {
  const share = burned / BigInt(Math.max(firstCommittee(lot.trust), absencesOf(lot)));
  const due = status === SEAT.silent ? share * absenceFactor(slot) : share;
  const { silencePenaltyNrlc } = env.block.params;
  return (due < silencePenaltyNrlc ? due : silencePenaltyNrlc) * NRLC;
};

/** What a lot comes to once nobody can reveal any more, or nobody is awaited. */
interface Outcome extends Metered {
  readonly lot: Lot;
  readonly proved: readonly Seat[];
  readonly claims: Claims;
}

/** Judges who revealed and who did not: who knew the result, as its seal shows, and is away when it is time to show it, is silent. */
const outcomeOf = (env: Env, id: Hash, found: Lot): Outcome => {
  const knew = ({ worker, resultSeal }: Seat): boolean => resultSeal === resultSealOf(worker, id, found.digest);
  const lot = asSilent(env, found, (seat) => isHidden(found, seat) && knew(seat));
  const proved = lot.seats.filter(({ status }) => status === SEAT.proved);
  const claims = claimsOf(receiptOf(env.state, id)!, lot.count)!;
  return {
    lot,
    proved,
    claims,
    ...meter(dealOf(env.state, lot.dealid)!, lot, claims, proved.length, env.block.params),
  };
};

/** Frees the slots of a lot that declined or were silent, each for its price; those that were freed before stay as they are. */
const freeAbsent = (env: Env, id: Hash, { lot, burned }: Pick<Outcome, "lot" | "burned">): Lot => {
  const seats = lot.seats.map((seat) => {
    const slot = slotOf(env.state, seat.slot);
    if (!isAbsent(seat) || slot?.lot !== id) return seat;
    const after = burnStake(env, slot, absencePenalty(env, lot, burned, seat, slot));
    releaseSlot(env, after.slot);
    return { ...seat, fined: after.burned };
  });
  return { ...lot, seats };
};

/**
 * Ends what a lot binds whose result was shown, once its time to reveal is over: whoever was absent is free, whoever was wrong counts
 * among its pool's slots no more, though nobody may ever ask for what there is to be paid.
 */
export const endReveal = (env: Env, id: Hash, found: Lot): Lot => {
  const lot = freeAbsent(env, id, outcomeOf(env, id, found));
  for (const { status, slot } of lot.seats) if (status === SEAT.committed) withdrawSlot(env, slot);
  return lot;
};

/**
 * Computes the nRLC that each wrong seat answers for: what the deal says, and no less than what those earn less who proved the result
 * because they are more than there would have been without it.
 */
const wrongStake = (deal: Deal, { lot, proved, pay }: Outcome): bigint => {
  const wrong = BigInt(lot.seats.filter(({ status }) => status === SEAT.committed).length);
  const few = BigInt(seatsPaidFor(deal, lot) - lot.absent);
  const least =
    wrong === 0n || few <= 0n ? 0n : (pay * BigInt(proved.length) - pay * few + few * wrong - 1n) / (few * wrong);
  const agreed = deal.workerStake * BigInt(lot.count);
  return least > agreed ? least : agreed;
};

const credit = (env: Env, { validator: address }: Seat, wei: bigint): void => {
  const validator = validators.find(env.state, address);
  if (!validator || isJailed(validator, env.block.epoch, env.block.params.evidenceEpochs)) return;
  validators.addPendingContribution(env.state, address, wei);
};

/** Ends a lot whose result was revealed: burns, pays, punishes, credits, and unlocks what was not used. Anyone may ask. */
export const finalize = (env: Env, id: Hash): void => {
  const { state } = env;
  const found = lotOf(state, id) ?? revert("no such lot, or not yet drawn");
  if (!isFinalizable(env, found)) revert("the lot cannot be finalized now");
  const isOpen = found.absent <= creditedDeclines(found.trust);
  const outcome = outcomeOf(env, id, logPending(env, id, found));
  const { proved, claims, metered, burned, pay, creditWei } = outcome;
  const lot = freeAbsent(env, id, outcome);
  const deal = dealOf(state, lot.dealid)!;
  const tasks = BigInt(lot.count);
  const stake = wrongStake(deal, outcome);

  seize(env, deal.sponsor, metered, id);
  if (burned > 0n) (isOpen ? burnSeizedFee : burnSeized)(env, burned);
  const owners = payOwners(env, deal, claims.valid, id);

  let seized = 0n;
  const seats = lot.seats.map((seat) => {
    const slot = slotOf(state, seat.slot);
    if (seat.status === SEAT.committed && slot) {
      const rejected = { ...seat, status: SEAT.rejected };
      seized += seizeSeat(env, id, rejected, slot, stake);
      return rejected;
    }
    if (isAbsent(seat)) logFault(env, seat, id, seat.fined);
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
  if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskFinalize!, id, resultsOf(receiptOf(state, id)!));
  const creditSum = earnsCredit ? creditWei * BigInt(proved.length) : 0n;
  const gas = [BigInt(claims.gasUsed), BigInt(claims.gasExecuted)];
  const numbers = [...gas, burned, total, creditSum];
  emitAt(env, MARKET, MARKET_EVENTS.LotFinalized!, id, lot.dealid, ...numbers);
};
