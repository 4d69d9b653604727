import { type Address, fromHex, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { HUB, MARKET } from "../addresses.ts";
import { revert } from "../revert.ts";
import { decodeReceipt } from "../wasm/receipt.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { dealOf } from "./deal.ts";
import { type Env, emitAt } from "./env.ts";
import { LOT_STATUS, type Lot, logPending, lotOf, receiptOf, SEAT, type Seat, setLot, setReceipt } from "./lot.ts";
import { releaseSlot } from "./pause.ts";
import { claimsOf } from "./result.ts";
import { endRoundIfAnswered } from "./round.ts";
import { slotOf } from "./slot.ts";
import { isRevealOver, isRoundOver } from "./window.ts";

/** Bytes that a callback gets at most. */
const MAX_CALLBACK_BYTES = 1_024;

/** PoCo's commitment to a digest: keccak256(lot || digest). */
export const resultHashOf = (lot: Hash, digest: Hash): Hash => keccak256(fromHex(lot), fromHex(digest));
/** PoCo's proof that a worker knew the digest: keccak256(worker || lot || digest). */
export const resultSealOf = (worker: Address, lot: Hash, digest: Hash): Hash =>
  keccak256(fromHex(worker), fromHex(lot), fromHex(digest));

const known = (env: Env, id: Hash): Lot => lotOf(env.state, id) ?? revert("no such lot, or not yet drawn");

/** Gives a lot with a worker's seats of one status changed. Reverts where there is none. */
const changeSeats = (lot: Lot, worker: Address, status: number, change: Partial<Seat>): Lot => {
  const seats = lot.seats.map((seat) =>
    seat.worker === worker && seat.status === status ? { ...seat, ...change } : seat,
  );
  if (seats.every((seat, i) => seat === lot.seats[i])) revert("no seat of yours asks for this");
  return { ...lot, seats };
};

const openRound = (env: Env, id: Hash): Lot => {
  const lot = known(env, id);
  if (lot.status !== LOT_STATUS.computing) revert("no round is open");
  if (isRoundOver(env, lot)) revert("the round is over");
  return logPending(env, id, lot);
};

/** Ends the round with its last answer, and keeps the lot. */
const answer = (env: Env, id: Hash, lot: Lot): void => {
  const after = endRoundIfAnswered(env, id, lot);
  setLot(env.state, id, logPending(env, id, after));
};

/** Commits a worker's seats of a lot's open round to a result that it shows later. */
export const contribute = (
  env: Env,
  worker: Address,
  id: Hash,
  commitment: Pick<Seat, "resultHash" | "resultSeal" | "itemsRoot">,
): void => {
  const before = openRound(env, id);
  if (commitment.resultHash === ZERO_HASH) revert("the result hash is zero");
  const lot = changeSeats(before, worker, SEAT.drawn, { ...commitment, status: SEAT.committed });
  if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskContribute!, id, worker, commitment.resultHash);
  emitAt(env, MARKET, MARKET_EVENTS.LotContributed!, id, worker, commitment.resultHash, commitment.itemsRoot);
  answer(env, id, lot);
};

/** Says that a worker cannot get a lot's inputs: its seats are replaced, until there are too many such. */
export const decline = (env: Env, worker: Address, id: Hash): void => {
  const lot = changeSeats(openRound(env, id), worker, SEAT.drawn, { status: SEAT.declined });
  emitAt(env, MARKET, MARKET_EVENTS.LotDeclined!, id, worker);
  answer(env, id, lot);
};

/** Reads the gas that a lot's receipt claims. Reverts where it is not what workers are to agree on. */
const gasOf = (env: Env, lot: Lot, receipt: Uint8Array): number => {
  const { gasLimit } = dealOf(env.state, lot.dealid)!;
  const { gasUsed } = claimsOf(receipt, lot.count) ?? revert("not a receipt");
  const isLong = lot.count === 1 && decodeReceipt(receipt)!.callbackData.length > MAX_CALLBACK_BYTES;
  if (isLong) revert("callback data too long");
  if (gasUsed > lot.count * gasLimit) revert("more gas than the lot's limit");
  return gasUsed;
};

const proves = (env: Env, worker: Address, id: Hash, digest: Hash): Lot => {
  const before = known(env, id);
  if (before.status !== LOT_STATUS.revealing) revert("nothing is to be revealed");
  if (isRevealOver(env, before)) revert("the time to reveal is over");
  if (resultHashOf(id, digest) !== before.consensus) revert("not the result agreed on");
  const seal = resultSealOf(worker, id, digest);
  const isMine = (seat: Seat) =>
    seat.worker === worker && seat.status === SEAT.committed && seat.resultHash === before.consensus;
  const mine = before.seats.filter(isMine);
  if (mine.length === 0) revert("no seat of yours asks for this");
  if (mine.some(({ resultSeal }) => resultSeal !== seal)) revert("not your seal");
  const seats = before.seats.map((seat) => (isMine(seat) ? { ...seat, status: SEAT.proved } : seat));
  // Who has proved its result has nothing left to answer for: others that do not reveal bind only themselves.
  for (const { slot: number } of mine) {
    const slot = slotOf(env.state, number);
    if (slot?.lot === id) releaseSlot(env, slot);
  }
  const lot = logPending(env, id, { ...before, seats, digest });
  if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskReveal!, id, worker, digest);
  emitAt(env, MARKET, MARKET_EVENTS.LotRevealed!, id, worker, digest);
  return lot;
};

/** Shows the receipt that a worker's seats committed to; puts it into the state before any money moves. */
export const reveal = (env: Env, worker: Address, id: Hash, receipt: Uint8Array): void => {
  const lot = proves(env, worker, id, keccak256(receipt));
  const gasUsed = gasOf(env, lot, receipt);
  setReceipt(env.state, id, receipt);
  setLot(env.state, id, { ...lot, gasUsed });
};

/** PoCo's reveal: shows the digest alone, once another seat has brought the receipt. */
export const revealDigest = (env: Env, worker: Address, id: Hash, digest: Hash): void => {
  const receipt = receiptOf(env.state, id);
  if (!receipt || keccak256(receipt) !== digest) revert("the receipt is not known yet: reveal it at the market");
  setLot(env.state, id, proves(env, worker, id, digest));
};
