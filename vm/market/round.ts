import type { State } from "../../chain/state.ts";
import { type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { roundSeconds } from "./clock.ts";
import { declinedCommittee, isAgreed, seatsToSettle } from "./committee.ts";
import { jobOf, setJob } from "./deal.ts";
import type { Env } from "./env.ts";
import { pushEscalation } from "./escalation.ts";
import {
  absencesOf,
  isShown,
  isWithheld,
  LAST_ROUND_RATIO,
  LOT_STATUS,
  type Lot,
  REVEAL_RATIO,
  SEAT,
  type Seat,
} from "./lot.ts";
import { noteAbsence, releaseSlot } from "./pause.ts";
import { slotOf } from "./slot.ts";
import { openWindow } from "./window.ts";

/** Slots between what makes a lot ready and its draw, so that whoever made it ready does not know the mix. */
export const READY_SLOTS = 2;

/** Tells whether a lot's time for another round is over; where many are absent, at most one takes its whole time after a whole one. */
export const isTooLate = (env: Env, lot: Lot): boolean => {
  const seconds = isWithheld(lot) ? Math.floor((3 * roundSeconds(lot.timeref)) / 2) : LAST_ROUND_RATIO * lot.timeref;
  return env.block.timestamp > lot.drawTime + seconds;
};

/** Computes how many seats a lot may have: who keeps inputs from some binds no more of others than its price buys. */
const mostSeats = (env: Env, lot: Lot): number => {
  const { maxCommittee } = env.block.params;
  return isWithheld(lot) ? Math.min(maxCommittee, declinedCommittee(lot.trust)) : maxCommittee;
};

/** Counts a lot as ended in its deal's job. */
export const countEnd = (state: State, lot: Lot, how: "completed" | "failed"): void => {
  const job = jobOf(state, lot.dealid)!;
  setJob(state, lot.dealid, { ...job, [how]: job[how] + 1 });
};

/** Takes the seats of a kind as silent: their slots pause, and what that costs is known when the lot ends. */
export const asSilent = (env: Env, lot: Lot, isAbsent: (seat: Seat) => boolean): Lot => {
  const seats = lot.seats.map((seat) => {
    if (!isAbsent(seat)) return seat;
    noteAbsence(env, seat.slot);
    return { ...seat, status: SEAT.silent };
  });
  return { ...lot, seats };
};
/** Tells whether a seat has not revealed what was agreed with its help. */
export const isHidden = ({ consensus }: Lot, { status, resultHash }: Seat): boolean =>
  consensus !== ZERO_HASH && status === SEAT.committed && resultHash === consensus;

/** Ends a lot without a result: all its slots are free again. The money waits to be claimed. */
export const failLot = (env: Env, id: Hash, before: Lot): Lot => {
  const lot = asSilent(env, before, (seat) => isHidden(before, seat));
  for (const seat of lot.seats) {
    const slot = slotOf(env.state, seat.slot);
    if (slot?.lot === id) releaseSlot(env, slot);
  }
  countEnd(env.state, lot, "failed");
  const isUnserved = isWithheld(lot) && !isShown(lot);
  return { ...lot, absent: absencesOf(lot), status: LOT_STATUS.failed, failTime: env.block.timestamp, isUnserved };
};

/** Lists result hashes with how many open commitments each has, in the order of their first. */
const groupsOf = (lot: Lot): [hash: Hash, size: number][] => {
  const sizes = new Map<Hash, number>();
  for (const { status, resultHash } of lot.seats)
    if (status === SEAT.committed) sizes.set(resultHash, (sizes.get(resultHash) ?? 0) + 1);
  return [...sizes];
};

/**
 * Judges a lot of which no answer is awaited: agreed, or another round, or failed. Who declines or is silent says that there is no
 * result: a group like any other, so that withholding inputs from others makes one's own word no truer than it is.
 */
const judge = (env: Env, id: Hash, answered: Lot): Lot => {
  const lot = { ...answered, absent: absencesOf(answered) };
  const absent: [Hash, number] = [ZERO_HASH, lot.absent];
  const groups = [...groupsOf(lot), absent].filter(([, size]) => size > 0);
  const [winner, size] = groups.reduce((best, each) => (each[1] > best[1] ? each : best), [ZERO_HASH, 0]);
  const others = groups.filter(([hash]) => hash !== winner).map((group) => group[1]);
  if (isAgreed(size, others, lot.trust)) {
    if (winner === ZERO_HASH) return failLot(env, id, lot);
    const revealDeadline = env.block.timestamp + REVEAL_RATIO * lot.timeref;
    const agreed = { ...lot, status: LOT_STATUS.revealing, consensus: winner, revealDeadline, consensusLogged: false };
    return openWindow(env, id, agreed);
  }
  const room = mostSeats(env, lot) - lot.seats.length;
  if (room <= 0 || isTooLate(env, lot)) return failLot(env, id, lot);
  pushEscalation(env.state, lot.pool, id);
  return {
    ...lot,
    status: LOT_STATUS.escalating,
    wanted: Math.min(seatsToSettle(size, others, lot.trust), room),
    readySlot: env.block.slot + READY_SLOTS,
  };
};

/** Ends a round once every seat has answered; before that, gives the lot as it is. */
export const endRoundIfAnswered = (env: Env, id: Hash, lot: Lot): Lot =>
  lot.seats.some(({ status }) => status === SEAT.drawn) ? lot : judge(env, id, lot);

/** Ends a round whose time is over: who has not answered is silent. */
export const endRound = (env: Env, id: Hash, lot: Lot): Lot =>
  judge(
    env,
    id,
    asSilent(env, lot, ({ status }) => status === SEAT.drawn),
  );

/** Takes a group that agreed, and of which nobody revealed in time, as silent; the lot is judged by the rest. */
export const giveUpHidden = (env: Env, id: Hash, lot: Lot): Lot => {
  const { seats } = asSilent(env, lot, (seat) => isHidden(lot, seat));
  return judge(env, id, { ...lot, seats, consensus: ZERO_HASH, revealDeadline: 0 });
};
