import { anyBytes, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { address, big, bool, hash, list, record, uint } from "../../lib/codec.ts";
import { HUB, MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { type Job, lotTasks, tasksBefore } from "./deal.ts";
import { type Env, emitAt } from "./env.ts";

/** What a seat has done. */
export const SEAT = { drawn: 0, committed: 1, proved: 2, rejected: 3, silent: 4, declined: 5 } as const;

/** Where a lot is. Waiting is before its first draw, when it has no record. */
export const LOT_STATUS = {
  waiting: 0,
  /** A round is open. */
  computing: 1,
  /** Another round has to be drawn. */
  escalating: 2,
  /** A result is agreed. */
  revealing: 3,
  completed: 4,
  /** Its money can be claimed. */
  failed: 5,
  /** Its money went back. */
  claimed: 6,
} as const;

/** PoCo's deadlines, in units of a lot's own clock (its category's time, in an owner-scheduled pool), from the first draw. */
export const CONTRIBUTION_RATIO = 7;
export const FINAL_RATIO = 10;
/** Time to reveal. */
export const REVEAL_RATIO = 2;
/** No round begins later than this after the first draw. */
export const LAST_ROUND_RATIO = 5;

/** A slot's place in a lot's committee, with the worker and validator that the slot had when it was drawn. */
export interface Seat {
  readonly slot: number;
  readonly worker: Address;
  readonly validator: Address;
  readonly status: number;
  readonly round: number;
  readonly resultHash: Hash;
  readonly resultSeal: Hash;
  readonly itemsRoot: Hash;
  /** Messages that the slot paid for, a bit for each kind, in the round `paidRound`. */
  readonly paid: number;
  readonly paidRound: number;
  /** Wei that its slot paid for being absent. */
  readonly fined: bigint;
}

/** The unit of draw, commitment, agreement and pay: consecutive tasks of a deal. Times in seconds. */
export interface Lot {
  readonly dealid: Hash;
  readonly index: number;
  /** Its first task. */
  readonly first: number;
  readonly count: number;
  /** Where it is computed. */
  readonly pool: Address;
  readonly trust: bigint;
  /** Its own clock. */
  readonly timeref: number;
  readonly status: number;
  readonly round: number;
  readonly drawTime: number;
  readonly roundEnd: number;
  /** The block in which the time for answers, or to reveal, began. */
  readonly sinceBlock: number;
  readonly revealDeadline: number;
  /** Seats to draw next, and the first slot in which they may be. */
  readonly wanted: number;
  readonly readySlot: number;
  /** The result hash agreed on; zero before. */
  readonly consensus: Hash;
  readonly digest: Hash;
  readonly gasUsed: number;
  /** When it failed; 0 else. */
  readonly failTime: number;
  /** It failed with many of its seats absent: the time that it bound is due. */
  readonly isUnserved: boolean;
  /** Seats that said that there is no result when the lot was last judged: who agreed and hides comes after. */
  readonly absent: number;
  /** Rounds whose draw was logged. */
  readonly loggedRounds: number;
  readonly consensusLogged: boolean;
  readonly seats: readonly Seat[];
}

/** More seats than any parameter allows. */
const MAX_SEATS = 1_024;
const seatCoder = record({
  slot: uint,
  worker: address,
  validator: address,
  status: uint,
  round: uint,
  resultHash: hash,
  resultSeal: hash,
  itemsRoot: hash,
  paid: uint,
  paidRound: uint,
  fined: big,
});
const lots = table(
  MARKET,
  MARKET_TABLE.lot,
  1,
  record({
    dealid: hash,
    index: uint,
    first: uint,
    count: uint,
    pool: address,
    trust: big,
    timeref: uint,
    status: uint,
    round: uint,
    drawTime: uint,
    roundEnd: uint,
    sinceBlock: uint,
    revealDeadline: uint,
    wanted: uint,
    readySlot: uint,
    consensus: hash,
    digest: hash,
    gasUsed: uint,
    failTime: uint,
    isUnserved: bool,
    absent: uint,
    loggedRounds: uint,
    consensusLogged: bool,
    seats: list(seatCoder, MAX_SEATS),
  }),
);
const receipts = table(MARKET, MARKET_TABLE.receipt, 1, single(anyBytes));

export const lotOf = (state: State, id: Hash): Lot | undefined => lots.get(state, id);
export const setLot = (state: State, id: Hash, lot: Lot): void => lots.set(state, id, lot);
export const receiptOf = (state: State, id: Hash): Uint8Array | undefined => receipts.get(state, id);
export const setReceipt = (state: State, id: Hash, receipt: Uint8Array): void => receipts.set(state, id, receipt);

/** When a lot can be claimed: when it failed, else ten units after its first draw. */
export const finalDeadline = (lot: Lot): number =>
  lot.status === LOT_STATUS.failed ? lot.failTime : lot.drawTime + FINAL_RATIO * lot.timeref;

/**
 * Counts the seats that say that there is no result: who declined, and who did not answer or did not show what it had agreed to. The
 * chain cannot tell who would not from who could not, so that whoever keeps a lot's inputs from others gains nothing by how.
 */
export const absencesOf = ({ seats }: Pick<Lot, "seats">): number => seats.filter(isAbsent).length;
/** Tells whether a seat says that there is no result. */
export const isAbsent = ({ status }: Pick<Seat, "status">): boolean =>
  status === SEAT.declined || status === SEAT.silent;

/**
 * Tells whether so many seats of a lot say that there is no result, more than a quarter, that its inputs may have been kept from them.
 * A few are what workers' absences are, and no fault of who pays.
 */
export const isWithheld = (lot: Lot): boolean => 4 * absencesOf(lot) > lot.seats.length;

/** Tells whether a seat has shown the result agreed on: the lot is to be paid for, whatever comes then. */
export const isShown = ({ seats }: Lot): boolean => seats.some(({ status }) => status === SEAT.proved);

/** A lot whose seats are bound. */
export const isLive = ({ status }: Lot): boolean =>
  status === LOT_STATUS.computing || status === LOT_STATUS.escalating || status === LOT_STATUS.revealing;

export const newSeat = (fields: Pick<Seat, "slot" | "worker" | "validator" | "round">): Seat => ({
  ...fields,
  status: SEAT.drawn,
  resultHash: ZERO_HASH,
  resultSeal: ZERO_HASH,
  itemsRoot: ZERO_HASH,
  paid: 0,
  paidRound: 0,
  fined: 0n,
});

/** Makes a lot that was not drawn yet. */
export const newLot = (dealid: Hash, job: Job, index: number): Lot => ({
  dealid,
  index,
  first: job.first + tasksBefore(job, index),
  count: lotTasks(job, index),
  pool: job.pool,
  trust: job.trust,
  timeref: job.timeref,
  status: LOT_STATUS.waiting,
  round: 0,
  drawTime: 0,
  roundEnd: 0,
  sinceBlock: 0,
  revealDeadline: 0,
  wanted: 0,
  readySlot: 0,
  consensus: ZERO_HASH,
  digest: ZERO_HASH,
  gasUsed: 0,
  failTime: 0,
  isUnserved: false,
  absent: 0,
  loggedRounds: 0,
  consensusLogged: false,
  seats: [],
});

/** Logs what the system step did to a lot and could not log; gives the lot with that noted. */
export const logPending = (env: Env, id: Hash, lot: Lot): Lot => {
  for (let round = lot.loggedRounds; round <= lot.round; round++) {
    if (round === 0 && lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskInitialize!, id, lot.pool);
    const seats = lot.seats.filter((seat) => seat.round === round);
    const slots = seats.map(({ slot }) => BigInt(slot));
    const workers = seats.map(({ worker }) => worker);
    emitAt(env, MARKET, MARKET_EVENTS.LotDrawn!, id, lot.dealid, BigInt(round), slots, workers);
  }
  const isAgreed = lot.consensus !== ZERO_HASH;
  if (isAgreed && !lot.consensusLogged) {
    emitAt(env, MARKET, MARKET_EVENTS.LotAgreed!, id, lot.consensus);
    if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskConsensus!, id, lot.consensus);
  }
  return { ...lot, loggedRounds: lot.round + 1, consensusLogged: isAgreed };
};
