import { anyBytes, pairId, single, table } from "../../../chain/records.ts";
import type { State } from "../../../chain/state.ts";
import { type Address, EMPTY, type Hash, ZERO_HASH } from "../../../lib/bytes.ts";
import { address, big, hash, list, record, uint } from "../../../lib/codec.ts";
import { HUB } from "../../addresses.ts";
import { HUB_TABLE } from "../../layout.ts";
import { type Deal, dealOf } from "../deal.ts";

/** PoCo's statuses of a task; an unset one has no record. */
export const TASK_STATUS = { unset: 0, active: 1, revealing: 2, completed: 3, failed: 4 } as const;
/** PoCo's statuses of a contribution. */
export const CONTRIBUTION_STATUS = { unset: 0, contributed: 1, proved: 2, rejected: 3 } as const;

/** A task of an owner-scheduled pool. Times in seconds. */
export interface Task {
  readonly status: number;
  readonly dealid: Hash;
  readonly idx: bigint;
  readonly timeref: number;
  readonly contributionDeadline: number;
  readonly revealDeadline: number;
  readonly finalDeadline: number;
  readonly consensusValue: Hash;
  readonly revealCounter: number;
  readonly winnerCounter: number;
  readonly contributors: readonly Address[];
  readonly resultDigest: Hash;
  readonly results: Uint8Array;
  readonly resultsCallback: Uint8Array;
  /** One, and the weights of all groups of results. */
  readonly total: bigint;
}

/** What a worker contributed to a task. */
export interface Contribution {
  readonly status: number;
  readonly resultHash: Hash;
  readonly resultSeal: Hash;
  readonly enclaveChallenge: Address;
  /** Base 2 logarithm of the worker's weight then: its part in the reward. */
  readonly weight: number;
}

/** Contributors to a task at most: rewards and claims go over all of them. */
export const MAX_CONTRIBUTORS = 64;

const tasks = table(
  HUB,
  HUB_TABLE.scheduledTask,
  1,
  record({
    status: uint,
    dealid: hash,
    idx: big,
    timeref: uint,
    contributionDeadline: uint,
    revealDeadline: uint,
    finalDeadline: uint,
    consensusValue: hash,
    revealCounter: uint,
    winnerCounter: uint,
    contributors: list(address, MAX_CONTRIBUTORS),
    resultDigest: hash,
    results: anyBytes,
    resultsCallback: anyBytes,
    total: big,
  }),
);
const contributions = table(
  HUB,
  HUB_TABLE.contribution,
  1,
  record({ status: uint, resultHash: hash, resultSeal: hash, enclaveChallenge: address, weight: uint }),
);
const groups = table(HUB, HUB_TABLE.resultGroup, 1, single(big));

/** Reads a task; undefined before it was initialized. */
export const taskOf = (state: State, id: Hash): Task | undefined => tasks.get(state, id);
export const setTask = (state: State, id: Hash, task: Task): void => tasks.set(state, id, task);

/** Reads a worker's contribution to a task; undefined where there is none. */
export const contributionOf = (state: State, id: Hash, worker: Address): Contribution | undefined =>
  contributions.get(state, pairId(id, worker));
export const setContribution = (state: State, id: Hash, worker: Address, contribution: Contribution): void =>
  contributions.set(state, pairId(id, worker), contribution);

/** Gives the weight of those who contributed a result hash to a task. */
export const groupWeight = (state: State, id: Hash, resultHash: Hash): bigint =>
  groups.get(state, pairId(id, resultHash)) ?? 0n;
export const setGroupWeight = (state: State, id: Hash, resultHash: Hash, weight: bigint): void =>
  groups.set(state, pairId(id, resultHash), weight === 0n ? undefined : weight);

/** Gives the deal of a task. */
export const dealOfTask = (state: State, task: Task): Deal => dealOf(state, task.dealid)!;

/** Makes a task that nobody has contributed to yet. */
export const newTask = (
  fields: Pick<Task, "dealid" | "idx" | "timeref" | "contributionDeadline" | "finalDeadline">,
): Task => ({
  ...fields,
  status: TASK_STATUS.active,
  revealDeadline: 0,
  consensusValue: ZERO_HASH,
  revealCounter: 0,
  winnerCounter: 0,
  contributors: [],
  resultDigest: ZERO_HASH,
  results: EMPTY,
  resultsCallback: EMPTY,
  total: 1n,
});
