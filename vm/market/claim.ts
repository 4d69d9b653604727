import { anyBytes, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { hash, record, uint } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { HUB, MARKET } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";
import { revert } from "../revert.ts";
import { decodeLotReceipt, decodeReceipt, merkleVerify } from "../wasm/receipt.ts";
import { STATUS } from "../wasm/status.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { dealOf, jobOf, lotId, lotOfTask, setJob, taskId, taskPrice, tasksBefore } from "./deal.ts";
import { duePrice } from "./due.ts";
import { type Env, emitAt } from "./env.ts";
import { burnSeized, seize, unlock } from "./escrow.ts";
import {
  FINAL_RATIO,
  finalDeadline,
  isLive,
  isShown,
  LOT_STATUS,
  type Lot,
  logPending,
  lotOf,
  newLot,
  receiptOf,
  setLot,
} from "./lot.ts";
import { endWaiting, poolOf } from "./pool.ts";
import { resultsOf } from "./result.ts";
import { failLot } from "./round.ts";
import { isRevealOver, isRoundOver } from "./window.ts";

/** A task of a lot of several, once it was settled. */
const tasks = table(HUB, HUB_TABLE.task, 1, record({ lot: hash, idx: uint, receipt: anyBytes }));
export type SettledTask = NonNullable<ReturnType<typeof tasks.get>>;
/** Reads a settled task; undefined for tasks of lots of one, which show with their lot. */
export const settledTask = (state: State, id: Hash): SettledTask | undefined => tasks.get(state, id);

/** Gives a lot's money back to its sponsor, once it failed or its last deadline is over without a result. Anyone may ask. */
export const claim = (env: Env, id: Hash): void => {
  const { state, block } = env;
  const found = lotOf(state, id) ?? revert("no such lot, or not yet drawn");
  // Who may still answer or reveal, because blocks were few, does not lose by the claim; what was shown is paid for.
  const isOpen =
    (found.status === LOT_STATUS.computing && !isRoundOver(env, found)) ||
    (found.status === LOT_STATUS.revealing && (isShown(found) || !isRevealOver(env, found)));
  const isOver =
    found.status === LOT_STATUS.failed || (isLive(found) && !isOpen && block.timestamp >= finalDeadline(found));
  if (!isOver) revert("the lot cannot be claimed now");
  const logged = logPending(env, id, found);
  const lot = logged.status === LOT_STATUS.failed ? logged : failLot(env, id, logged);
  refund(env, id, lot);
};

const refund = (env: Env, id: Hash, lot: Lot): void => {
  const deal = dealOf(env.state, lot.dealid)!;
  const count = BigInt(lot.count);
  // Who asks for what cannot be had pays for the time of those who tried, and nobody earns it.
  const lost = lot.isUnserved ? duePrice(deal, lot) : 0n;
  if (lost > 0n) {
    seize(env, deal.sponsor, lost, id);
    burnSeized(env, lost);
  }
  const rest = taskPrice(deal) * count - lost;
  unlock(env, deal.sponsor, rest);
  setLot(env.state, id, { ...lot, status: LOT_STATUS.claimed });
  if (lot.count === 1) emitAt(env, HUB, HUB_EVENTS.TaskClaimed!, id);
  emitAt(env, MARKET, MARKET_EVENTS.LotFailed!, id, lot.dealid, rest);
};

/**
 * Gives back the money of the lot of a task: drawn, as `claim` does; or not, ten units of time after the deal's start, where its
 * sponsor asks, or its pool has no slot that could ever compute it. A queue is nobody else's to break up.
 */
export const initializeAndClaim = (env: Env, sender: Address, dealid: Hash, index: bigint): void => {
  const { state, block } = env;
  const job = jobOf(state, dealid) ?? revert("no such deal");
  const at = index - BigInt(job.first);
  if (at < 0n || at >= BigInt(job.tasks)) revert("no such task");
  const number = lotOfTask(job, Number(at));
  const id = lotId(dealid, job, number);
  if (lotOf(state, id)) {
    claim(env, id);
    return;
  }
  if (number >= job.lots) revert("the task was cancelled");
  const { startTime, sponsor } = dealOf(state, dealid)!;
  if (block.timestamp < startTime + FINAL_RATIO * job.timeref) revert("the task cannot be claimed now");
  if (sender !== sponsor && poolOf(state, job.pool)!.length > 0) revert("the task waits: only its sponsor gives it up");
  const lot = newLot(dealid, job, number);
  const givenUp = job.givenUp + lot.count;
  const isAll = tasksBefore(job, job.next) + givenUp >= job.tasks;
  // With nothing left to draw the deal waits no more: its pool may never draw again.
  if (isAll) endWaiting(state, dealid, job);
  const passed = isAll ? { next: job.lots, givenUp: 0 } : { givenUp };
  setJob(state, dealid, { ...job, ...passed, failed: job.failed + 1 });
  refund(env, id, { ...lot, failTime: block.timestamp });
};

/** Shows one task's receipt of a completed lot of several: it becomes the task's record. No money waits for it. */
export const settle = (env: Env, id: Hash, i: bigint, receipt: Uint8Array, proof: readonly Hash[]): void => {
  const { state } = env;
  const lot = lotOf(state, id) ?? revert("no such lot, or not yet drawn");
  if (lot.status !== LOT_STATUS.completed || lot.count === 1) revert("the lot has nothing to settle");
  const { root } = decodeLotReceipt(receiptOf(state, id)!)!;
  const at = i < BigInt(lot.count) ? Number(i) : revert("no such task");
  if (!merkleVerify(root, keccak256(receipt), at, lot.count, proof)) revert("not a receipt of this lot");
  const idx = lot.first + at;
  const task = taskId(lot.dealid, idx);
  if (settledTask(state, task)) revert("settled already");
  // What workers agreed on may be no receipt.
  const status = decodeReceipt(receipt)?.status ?? STATUS.invalid;
  tasks.set(state, task, { lot: id, idx, receipt });
  emitAt(env, HUB, HUB_EVENTS.TaskFinalize!, task, resultsOf(receipt));
  emitAt(env, MARKET, MARKET_EVENTS.TaskSettled!, id, task, BigInt(idx), BigInt(status));
};
