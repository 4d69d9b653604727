import { anyText, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, fromHex, type Hash, word } from "../../lib/bytes.ts";
import { address, big, bool, hash, record, uint } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { HUB, MARKET } from "../addresses.ts";
import { HUB_TABLE, MARKET_TABLE } from "../layout.ts";

/** What was agreed when a deal was made; never changes. Prices in nRLC for each task. */
export interface Deal {
  readonly app: Address;
  readonly appOwner: Address;
  readonly appPrice: bigint;
  readonly dataset: Address;
  readonly datasetOwner: Address;
  readonly datasetPrice: bigint;
  readonly pool: Address;
  readonly poolOwner: Address;
  readonly price: bigint;
  readonly trust: bigint;
  readonly category: number;
  readonly tag: Hash;
  readonly requester: Address;
  readonly beneficiary: Address;
  readonly callback: Address;
  readonly params: string;
  readonly startTime: number;
  readonly botFirst: bigint;
  readonly botSize: bigint;
  /** nRLC that a seat answers for, for each task. */
  readonly workerStake: bigint;
  readonly schedulerRewardRatio: bigint;
  readonly sponsor: Address;
  /** Gas of a task at most. This and what follows but `vmVersion` is zero in deals of owner-scheduled pools. */
  readonly gasLimit: number;
  /** Gas of a lot at most. */
  readonly cap: number;
  /** Tasks in the largest of its lots. */
  readonly lotSize: number;
  /** The clock of its lots, in seconds. */
  readonly timeref: number;
  readonly vmVersion: number;
}

/** How far a deal is. */
export interface Job {
  readonly pool: Address;
  readonly trust: bigint;
  readonly timeref: number;
  readonly lotSize: number;
  /** Index of the first task. */
  readonly first: number;
  readonly tasks: number;
  /** No lot is drawn before this slot. */
  readonly readySlot: number;
  /** The first lot that was not drawn. */
  readonly next: number;
  /** Lots in all; after a cancel, those that had been drawn. */
  readonly lots: number;
  readonly completed: number;
  readonly failed: number;
  /** Tasks given back before they were drawn, one lot at a time. */
  readonly givenUp: number;
  readonly cancelled: boolean;
}

const deals = table(
  HUB,
  HUB_TABLE.deal,
  1,
  record({
    app: address,
    appOwner: address,
    appPrice: big,
    dataset: address,
    datasetOwner: address,
    datasetPrice: big,
    pool: address,
    poolOwner: address,
    price: big,
    trust: big,
    category: uint,
    tag: hash,
    requester: address,
    beneficiary: address,
    callback: address,
    params: anyText,
    startTime: uint,
    botFirst: big,
    botSize: big,
    workerStake: big,
    schedulerRewardRatio: big,
    sponsor: address,
    gasLimit: uint,
    cap: uint,
    lotSize: uint,
    timeref: uint,
    vmVersion: uint,
  }),
);
const jobs = table(
  MARKET,
  MARKET_TABLE.job,
  1,
  record({
    pool: address,
    trust: big,
    timeref: uint,
    lotSize: uint,
    first: uint,
    tasks: uint,
    readySlot: uint,
    next: uint,
    lots: uint,
    completed: uint,
    failed: uint,
    givenUp: uint,
    cancelled: bool,
  }),
);

export const dealOf = (state: State, dealid: Hash): Deal | undefined => deals.get(state, dealid);
export const setDeal = (state: State, dealid: Hash, deal: Deal): void => deals.set(state, dealid, deal);
export const jobOf = (state: State, dealid: Hash): Job | undefined => jobs.get(state, dealid);
export const setJob = (state: State, dealid: Hash, job: Job): void => jobs.set(state, dealid, job);

/** PoCo's id of a task: keccak256(dealid || uint256 index). */
export const taskId = (dealid: Hash, index: number | bigint): Hash => keccak256(fromHex(dealid), fromHex(word(index)));

/** What says how a deal is cut into lots: they differ by a task at most, the larger ones first, so that all are paid alike. */
type Cut = Pick<Job, "lotSize" | "tasks">;
/** Gives the lots that a deal is cut into, drawn or not. */
export const lotCount = ({ lotSize, tasks }: Cut): number => Math.ceil(tasks / lotSize);
const larger = (cut: Cut): number => cut.tasks - lotCount(cut) * Math.floor(cut.tasks / lotCount(cut));
/** Gives the tasks of a deal that stand in the lots before one. */
export const tasksBefore = (cut: Cut, lot: number): number =>
  lot * Math.floor(cut.tasks / lotCount(cut)) + Math.min(lot, larger(cut));
/** Gives the tasks of a lot. */
export const lotTasks = (cut: Cut, lot: number): number => tasksBefore(cut, lot + 1) - tasksBefore(cut, lot);
/** Gives the lot that the task at a place of its deal stands in. */
export const lotOfTask = (cut: Cut, at: number): number => {
  const inLarger = larger(cut) * cut.lotSize;
  return Math.floor(at < inLarger ? at / cut.lotSize : (at - larger(cut)) / Math.floor(cut.tasks / lotCount(cut)));
};
/** The id of a lot: the task id of its first task. */
export const lotId = (dealid: Hash, job: Cut & Pick<Job, "first">, lot: number): Hash =>
  taskId(dealid, job.first + tasksBefore(job, lot));
/** What a task costs its sponsor at most, in nRLC. */
export const taskPrice = (deal: Deal): bigint => deal.appPrice + deal.datasetPrice + deal.price;
