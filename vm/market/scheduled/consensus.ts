import type { Address, Hash } from "../../../lib/bytes.ts";
import { HUB } from "../../addresses.ts";
import { checked } from "../../revert.ts";
import { HUB_EVENTS } from "../abi.ts";
import { type Env, emitAt } from "../env.ts";
import { REVEAL_RATIO } from "../lot.ts";
import { scoreOf } from "../score.ts";
import {
  CONTRIBUTION_STATUS,
  contributionOf,
  dealOfTask,
  groupWeight,
  setGroupWeight,
  TASK_STATUS,
  type Task,
} from "./task.ts";

/** Score that a worker's weight counts by. */
const SCORE_STEP = 3n;

/** Computes what a worker's word weighs: max(score/3, 3) - 1. */
export const weightOf = (score: bigint): bigint => {
  const steps = score / SCORE_STEP;
  return (steps > 3n ? steps : 3n) - 1n;
};
/** Computes the floor of the base 2 logarithm of a positive number. */
export const log2 = (value: bigint): number => value.toString(2).length - 1;

/** Adds a worker's weight to the group of its result; gives the task with the new total. */
export const addWeight = (env: Env, id: Hash, task: Task, worker: Address, resultHash: Hash): Task => {
  const { state } = env;
  const before = groupWeight(state, id, resultHash);
  const after = checked((before > 1n ? before : 1n) * weightOf(scoreOf(state, worker)));
  setGroupWeight(state, id, resultHash, after);
  return { ...task, total: checked(task.total + after - before) };
};

/** Closes a task to contributions where a result has PoCo's trust: group * trust > total * (trust - 1). */
export const checkConsensus = (env: Env, id: Hash, task: Task, resultHash: Hash): Task => {
  const { state, block } = env;
  const { trust } = dealOfTask(state, task);
  const weight = checked(groupWeight(state, id, resultHash) * trust);
  if (weight <= checked(task.total * (trust - 1n))) return task;
  const winners = task.contributors.filter((worker) => {
    const contribution = contributionOf(state, id, worker)!;
    return contribution.resultHash === resultHash && contribution.status === CONTRIBUTION_STATUS.contributed;
  });
  emitAt(env, HUB, HUB_EVENTS.TaskConsensus!, id, resultHash);
  return {
    ...task,
    status: TASK_STATUS.revealing,
    consensusValue: resultHash,
    revealDeadline: block.timestamp + REVEAL_RATIO * task.timeref,
    revealCounter: 0,
    winnerCounter: winners.length,
  };
};
