import type { State } from "../../chain/state.ts";
import { type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { MARKET, numberId } from "../tables.ts";
import { schedule } from "./agenda.ts";
import { roundSeconds } from "./clock.ts";
import { declinedCommittee, isAgreed, seatsToSettle } from "./committee.ts";
import { jobOf, setJob } from "./deal.ts";
import { type Env, NRLC } from "./env.ts";
import { logFault } from "./fault.ts";
import { declinesOf, LAST_ROUND_RATIO, LOT_STATUS, type Lot, REVEAL_RATIO, SEAT, type Seat } from "./lot.ts";
import { burnStake, releaseSlot, removeSlot, slotOf } from "./slot.ts";
import { MARKET_TABLE, single, tableOf } from "./tables.ts";

/** Slots between what makes a lot ready and its draw, so that whoever made it ready does not know the mix. */
export const READY_SLOTS = 2;

const entries = tableOf(MARKET, MARKET_TABLE.escalation, single(hash));
const queue = tableOf(MARKET, MARKET_TABLE.escalationQueue, record({ head: uint, tail: uint }));
const queueOf = (state: State) => queue.get(state, ZERO_HASH) ?? { head: 0, tail: 0 };

/** Gives how many lots wait for another round. */
export const escalationCount = (state: State): number => {
  const { head, tail } = queueOf(state);
  return tail - head;
};
/** Puts a lot at the end of those that wait for another round. */
export const pushEscalation = (state: State, lot: Hash): void => {
  const { head, tail } = queueOf(state);
  entries.set(state, numberId(tail), lot);
  queue.set(state, ZERO_HASH, { head, tail: tail + 1 });
};
/** Takes the first lot that waits for another round; there must be one. */
export const shiftEscalation = (state: State): Hash => {
  const { head, tail } = queueOf(state);
  const lot = entries.get(state, numberId(head))!;
  entries.set(state, numberId(head), undefined);
  queue.set(state, ZERO_HASH, { head: head + 1, tail });
  return lot;
};

/** Tells whether a lot's time for another round is over; where seats declined, at most one takes its whole time after a whole one. */
export const isTooLate = (env: Env, lot: Lot): boolean => {
  const seconds =
    declinesOf(lot) > 0 ? Math.floor((3 * roundSeconds(lot.timeref)) / 2) : LAST_ROUND_RATIO * lot.timeref;
  return env.block.timestamp > lot.drawTime + seconds;
};

/** Computes how many seats a lot may have: who keeps inputs from some binds no more of others than its price buys. */
const mostSeats = (env: Env, lot: Lot): number => {
  const { maxCommittee } = env.block.params;
  return declinesOf(lot) > 0 ? Math.min(maxCommittee, declinedCommittee(lot.trust)) : maxCommittee;
};

/** Counts a lot as ended in its deal's job. */
export const countEnd = (state: State, lot: Lot, how: "completed" | "failed"): void => {
  const job = jobOf(state, lot.dealid)!;
  setJob(state, lot.dealid, { ...job, [how]: job[how] + 1 });
};

/**
 * Ends a lot without a result: open commitments are free again; who did not reveal what was agreed with its help loses its
 * slot's stake, of which there is nobody to share it. The money waits to be claimed.
 */
export const failLot = (env: Env, id: Hash, lot: Lot): Lot => {
  for (const seat of lot.seats) {
    const slot = slotOf(env.state, seat.slot);
    if (!slot || slot.lot !== id) continue;
    const hidden =
      seat.status === SEAT.rejected ||
      (lot.consensus !== ZERO_HASH && seat.status === SEAT.committed && seat.resultHash === lot.consensus);
    if (hidden) {
      const after = burnStake(env, slot, slot.stake);
      logFault(env, seat, id, after.burned);
      removeSlot(env, after.slot);
    } else releaseSlot(env, slot);
  }
  countEnd(env.state, lot, "failed");
  return { ...lot, status: LOT_STATUS.failed, failTime: env.block.timestamp, isUnserved: declinesOf(lot) > 0 };
};

/** Lists result hashes with how many open commitments each has, in the order of their first. */
const groupsOf = (lot: Lot): [hash: Hash, size: number][] => {
  const sizes = new Map<Hash, number>();
  for (const { status, resultHash } of lot.seats)
    if (status === SEAT.committed) sizes.set(resultHash, (sizes.get(resultHash) ?? 0) + 1);
  return [...sizes];
};

/**
 * Judges a lot of which no answer is awaited: agreed, or another round, or failed. Who declines says that there is no result: a
 * group like any other, so that withholding inputs from others makes one's own word no truer than it is.
 */
const judge = (env: Env, id: Hash, lot: Lot): Lot => {
  const declined: [Hash, number] = [ZERO_HASH, declinesOf(lot)];
  const groups = [...groupsOf(lot), declined].filter(([, size]) => size > 0);
  const [winner, size] = groups.reduce((best, each) => (each[1] > best[1] ? each : best), [ZERO_HASH, 0]);
  const others = groups.filter(([hash]) => hash !== winner).map((group) => group[1]);
  if (isAgreed(size, others, lot.trust)) {
    if (winner === ZERO_HASH) return failLot(env, id, lot);
    const revealDeadline = env.block.timestamp + REVEAL_RATIO * lot.timeref;
    schedule(env, revealDeadline, { lot: id, round: lot.round });
    return { ...lot, status: LOT_STATUS.revealing, consensus: winner, revealDeadline, consensusLogged: false };
  }
  const room = mostSeats(env, lot) - lot.seats.length;
  if (room <= 0 || isTooLate(env, lot)) return failLot(env, id, lot);
  pushEscalation(env.state, id);
  return {
    ...lot,
    status: LOT_STATUS.escalating,
    wanted: Math.min(seatsToSettle(size, others, lot.trust), room),
    readySlot: env.block.slot + READY_SLOTS,
  };
};

/** Takes a slot that did not answer out of its pool, for a penalty. */
const punishSilence = (env: Env, id: Hash, seat: Seat): Seat => {
  const slot = slotOf(env.state, seat.slot)!;
  const after = burnStake(env, slot, env.block.params.silencePenaltyNrlc * NRLC);
  const silent = { ...seat, status: SEAT.silent };
  logFault(env, silent, id, after.burned);
  removeSlot(env, after.slot);
  return silent;
};

/** Ends a round once every seat has answered; before that, gives the lot as it is. */
export const endRoundIfAnswered = (env: Env, id: Hash, lot: Lot): Lot =>
  lot.seats.some(({ status }) => status === SEAT.drawn) ? lot : judge(env, id, lot);

/** Ends a round whose time is over: who has not answered is out. */
export const endRound = (env: Env, id: Hash, lot: Lot): Lot => {
  const seats = lot.seats.map((seat) => (seat.status === SEAT.drawn ? punishSilence(env, id, seat) : seat));
  return endRoundIfAnswered(env, id, { ...lot, seats });
};

/** Rejects a group that agreed and did not reveal in time; the lot is judged by the rest. */
export const rejectHidden = (env: Env, id: Hash, lot: Lot): Lot => {
  const seats = lot.seats.map((seat) =>
    seat.status === SEAT.committed && seat.resultHash === lot.consensus ? { ...seat, status: SEAT.rejected } : seat,
  );
  return judge(env, id, { ...lot, seats, consensus: ZERO_HASH, revealDeadline: 0 });
};
