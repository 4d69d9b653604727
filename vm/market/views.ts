import type { State } from "../../chain/state.ts";
import { type Address, EMPTY, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import type { AbiValue } from "../abi.ts";
import type { BlockContext } from "../natives.ts";
import { revert } from "../revert.ts";
import { decodeReceipt } from "../wasm/receipt.ts";
import { settledTask } from "./claim.ts";
import { firstCommittee } from "./committee.ts";
import { type Deal, dealOf, type Job, jobOf, lotCount, lotId } from "./deal.ts";
import type { Env } from "./env.ts";
import {
  CONTRIBUTION_RATIO,
  finalDeadline,
  LOT_STATUS,
  type Lot,
  lotOf,
  newLot,
  receiptOf,
  SEAT,
  type Seat,
} from "./lot.ts";
import { restEnd } from "./pause.ts";
import { poolOf } from "./pool.ts";
import { resultsOf } from "./result.ts";
import { contributionOf, taskOf as scheduledTask, TASK_STATUS, type Task } from "./scheduled/task.ts";
import { slotAtIndex, slotIdsOfWorker, slotOf, slotsOfWorker, workerOf } from "./slot.ts";

/** Slots, and lots with their committees, that a view looks at at most; the rest comes in further pages. */
const SLOT_PAGE = 64;
const LOT_PAGE = 32;
const big = (value: number): bigint => BigInt(value);
/** Gives the places of a page of a list of `count`, and where the next one begins; 0 where there is none. */
const pageOf = (
  from: bigint,
  count: number,
  size: number,
): { readonly first: number; readonly end: number; readonly next: bigint } => {
  const first = from < BigInt(count) ? Number(from) : count;
  const end = Math.min(count, first + size);
  return { first, end, next: big(end < count ? end : 0) };
};

/** PoCo's task statuses. */
const TASK = { unset: 0n, active: 1n, revealing: 2n, completed: 3n, failed: 4n };
const taskStatus = ({ status }: Lot): bigint => {
  if (status === LOT_STATUS.revealing) return TASK.revealing;
  if (status === LOT_STATUS.completed) return TASK.completed;
  if (status === LOT_STATUS.claimed) return TASK.failed;
  // A lot that failed can be claimed at once: as PoCo's tools see it, it is active and past its final deadline.
  return status === LOT_STATUS.waiting ? TASK.unset : TASK.active;
};

const NO_DEAL: Deal = {
  app: ZERO_ADDRESS,
  appOwner: ZERO_ADDRESS,
  appPrice: 0n,
  dataset: ZERO_ADDRESS,
  datasetOwner: ZERO_ADDRESS,
  datasetPrice: 0n,
  pool: ZERO_ADDRESS,
  poolOwner: ZERO_ADDRESS,
  price: 0n,
  trust: 0n,
  category: 0,
  tag: ZERO_HASH,
  requester: ZERO_ADDRESS,
  beneficiary: ZERO_ADDRESS,
  callback: ZERO_ADDRESS,
  params: "",
  startTime: 0,
  botFirst: 0n,
  botSize: 0n,
  workerStake: 0n,
  schedulerRewardRatio: 0n,
  sponsor: ZERO_ADDRESS,
  gasLimit: 0,
  cap: 0,
  lotSize: 0,
  timeref: 0,
  vmVersion: 0,
};

/** PoCo's view of a deal; zeros for an unknown one. */
export const viewDeal = (state: State, id: Hash): AbiValue => {
  const deal = dealOf(state, id) ?? NO_DEAL;
  return [
    [deal.app, deal.appOwner, deal.appPrice],
    [deal.dataset, deal.datasetOwner, deal.datasetPrice],
    [deal.pool, deal.poolOwner, deal.price],
    deal.trust,
    big(deal.category),
    deal.tag,
    deal.requester,
    deal.beneficiary,
    deal.callback,
    deal.params,
    big(deal.startTime),
    deal.botFirst,
    deal.botSize,
    deal.workerStake,
    deal.schedulerRewardRatio,
    deal.sponsor,
  ];
};

/** What a task shows: its lot, where it is alone in it, else its own record with the lot behind it. */
const taskOf = (state: State, id: Hash): { lot: Lot; idx: number; receipt: Uint8Array | undefined } | undefined => {
  const settled = settledTask(state, id);
  if (settled) return { lot: lotOf(state, settled.lot)!, idx: settled.idx, receipt: settled.receipt };
  const lot = lotOf(state, id);
  return lot?.count === 1 ? { lot, idx: lot.first, receipt: receiptOf(state, id) } : undefined;
};

/** Workers of a lot's seats that have answered, each once. */
const contributorsOf = (lot: Lot): Address[] => [
  ...new Set(lot.seats.filter(({ resultHash }) => resultHash !== ZERO_HASH).map(({ worker }) => worker)),
];

const viewScheduledTask = (task: Task): AbiValue => [
  big(task.status),
  task.dealid,
  task.idx,
  big(task.timeref),
  big(task.contributionDeadline),
  big(task.revealDeadline),
  big(task.finalDeadline),
  task.consensusValue,
  big(task.revealCounter),
  big(task.winnerCounter),
  task.contributors,
  task.resultDigest,
  task.results,
  0n,
  task.resultsCallback,
];

/** PoCo's view of a task; zeros for an unknown one, and for those of a lot of several until they are settled. */
export const viewTask = (state: State, id: Hash): AbiValue => {
  const task = taskOf(state, id);
  const scheduled = task ? undefined : scheduledTask(state, id);
  if (scheduled) return viewScheduledTask(scheduled);
  if (!task) {
    const zeros = [0n, 0n, 0n, 0n, 0n, ZERO_HASH, 0n, 0n, [], ZERO_HASH, EMPTY, 0n, EMPTY];
    return [TASK.unset, ZERO_HASH, ...zeros];
  }
  const { lot, idx, receipt } = task;
  const isDone = lot.status === LOT_STATUS.completed;
  const winners = lot.seats.filter(({ resultHash }) => lot.consensus !== ZERO_HASH && resultHash === lot.consensus);
  return [
    taskStatus(lot),
    lot.dealid,
    big(idx),
    big(lot.timeref),
    big(lot.drawTime + CONTRIBUTION_RATIO * lot.timeref),
    big(lot.revealDeadline),
    big(finalDeadline(lot)),
    lot.consensus,
    big(lot.seats.filter(({ status }) => status === SEAT.proved).length),
    big(winners.length),
    contributorsOf(lot),
    receipt ? keccak256(receipt) : ZERO_HASH,
    isDone && receipt ? resultsOf(receipt) : EMPTY,
    0n,
    isDone && receipt ? receipt : EMPTY,
  ];
};

/** PoCo's view of a worker's contribution, that of its first seat; its weight, of which PoCo keeps the logarithm, counts all of them. */
export const viewContribution = (state: State, id: Hash, worker: Address): AbiValue => {
  const seats = taskOf(state, id)?.lot.seats.filter((seat) => seat.worker === worker && seat.resultHash !== ZERO_HASH);
  const first = seats?.[0];
  // PoCo has no word for a seat that committed and is away.
  if (seats && first)
    return [
      big(Math.min(first.status, SEAT.rejected)),
      first.resultHash,
      first.resultSeal,
      ZERO_ADDRESS,
      big(seats.length),
    ];
  const scheduled = contributionOf(state, id, worker);
  if (!scheduled) return [0n, ZERO_HASH, ZERO_HASH, ZERO_ADDRESS, 0n];
  const { status, resultHash, resultSeal, enclaveChallenge, weight } = scheduled;
  return [big(status), resultHash, resultSeal, enclaveChallenge, big(weight)];
};

/** Gives the callback data of a completed task (ERC-1154). */
export const resultFor = (state: State, id: Hash): Uint8Array => {
  const scheduled = scheduledTask(state, id);
  if (scheduled?.status === TASK_STATUS.completed) return scheduled.resultsCallback;
  const task = taskOf(state, id);
  if (task?.lot.status !== LOT_STATUS.completed || !task.receipt) return revert("task-pending");
  return decodeReceipt(task.receipt)?.callbackData ?? EMPTY;
};

const seatTuple = (seat: Seat): AbiValue => [
  big(seat.slot),
  seat.worker,
  seat.validator,
  big(seat.status),
  big(seat.round),
  seat.resultHash,
  seat.resultSeal,
  seat.itemsRoot,
];

const lotTuple = (state: State, id: Hash, lot: Lot): AbiValue => [
  id,
  lot.dealid,
  big(lot.index),
  big(lot.first),
  big(lot.count),
  lot.pool,
  big(lot.status),
  big(lot.round),
  big(lot.drawTime),
  big(lot.roundEnd),
  big(lot.revealDeadline),
  big(lot.status === LOT_STATUS.waiting ? 0 : finalDeadline(lot)),
  big(lot.seats.filter(({ status }) => status === SEAT.declined).length),
  lot.consensus,
  lot.digest,
  big(lot.gasUsed),
  receiptOf(state, id) ?? EMPTY,
  lot.seats.map(seatTuple),
];

const knownJob = (state: State, dealid: Hash): Job => jobOf(state, dealid) ?? revert("no such deal");

/** Shows a lot of a deal, also before it is drawn. */
export const viewLot = (state: State, dealid: Hash, index: bigint): AbiValue => {
  const job = knownJob(state, dealid);
  if (index >= BigInt(lotCount(job))) revert("no such lot");
  const id = lotId(dealid, job, Number(index));
  return lotTuple(state, id, lotOf(state, id) ?? newLot(dealid, job, Number(index)));
};

/** Shows a lot that was drawn. */
export const viewLotById = (state: State, id: Hash): AbiValue =>
  lotTuple(state, id, lotOf(state, id) ?? revert("no such lot, or not yet drawn"));

/** Lists a deal's lots from one on with their statuses, a page of them. */
export const lotsOf = (state: State, dealid: Hash, from: bigint): [ids: Hash[], statuses: bigint[], next: bigint] => {
  const job = knownJob(state, dealid);
  const { first, end, next } = pageOf(from, lotCount(job), LOT_PAGE);
  const ids = Array.from({ length: end - first }, (_, i) => lotId(dealid, job, first + i));
  return [ids, ids.map((id) => big(lotOf(state, id)?.status ?? LOT_STATUS.waiting)), next];
};

/** Shows by which rules of the compute VM a deal's tasks run, in drawn pools and in those that their owners schedule. */
export const vmVersionOf = (state: State, dealid: Hash): bigint =>
  big((dealOf(state, dealid) ?? revert("no such deal")).vmVersion);

/** Shows how far a one-call job is. */
export const viewJob = (state: State, dealid: Hash): AbiValue => {
  const job = knownJob(state, dealid);
  const deal = dealOf(state, dealid)!;
  const numbers = [deal.gasLimit, deal.cap, job.lotSize, job.lots, job.next, job.completed, job.failed].map(big);
  const rest = [job.readySlot, job.timeref, firstCommittee(job.trust), deal.vmVersion, job.tasks].map(big);
  return [job.pool, deal.requester, ...numbers, job.cancelled, ...rest];
};

/** Shows a pool; nothing but zeros for one that is not drawn. */
export const viewPool = (state: State, block: BlockContext, address: Address): AbiValue => {
  const pool = poolOf(state, address);
  const stake = block.params.slotStakeNrlc;
  if (!pool) return [false, false, 0n, 0n, ZERO_ADDRESS, ZERO_ADDRESS, stake];
  const { isGenesis, length, drawable, workerRestrict, requesterRestrict } = pool;
  return [true, isGenesis, big(length), big(drawable), workerRestrict, requesterRestrict, stake];
};

/** Gives the slot at a place of a pool's array. */
export const viewSlotAt = (state: State, pool: Address, index: bigint): bigint => {
  if (index >= BigInt(poolOf(state, pool)?.length ?? 0)) revert("no such slot");
  return big(slotAtIndex(state, pool, Number(index))!);
};

/** Shows a slot. */
export const viewSlot = (env: Env, id: bigint): AbiValue => {
  const slot = (id <= BigInt(Number.MAX_SAFE_INTEGER) && slotOf(env.state, Number(id))) || revert("no such slot");
  const { pool, index, worker, staker, validator, stake, lot, drawable, leaveAsked, pause, absences } = slot;
  const rest = [big(pause), big(absences), big(restEnd(env, slot))];
  return [id, pool, big(index), worker, staker, validator, stake, lot, drawable, leaveAsked, ...rest];
};

/** Lists a worker's slots from one on, a page of them. */
export const slotsOf = (state: State, worker: Address, from: bigint): [slots: bigint[], next: bigint] => {
  const { first, end, next } = pageOf(from, workerOf(state, worker).slots, SLOT_PAGE);
  return [slotIdsOfWorker(state, worker, end - first, first).map(big), next];
};

/** Lists those of a page of a worker's slots that are seated, each with its lot: what the worker is drawn for. */
export const seatsOf = (state: State, worker: Address, from: bigint): [slots: bigint[], lots: Hash[], next: bigint] => {
  const { first, end, next } = pageOf(from, workerOf(state, worker).slots, SLOT_PAGE);
  const seated = slotsOfWorker(state, worker, end - first, first).filter(({ lot }) => lot !== ZERO_HASH);
  return [seated.map(({ id }) => big(id)), seated.map(({ lot }) => lot), next];
};
