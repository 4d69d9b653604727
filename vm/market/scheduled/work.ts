import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { HUB } from "../../addresses.ts";
import { ensure, revert } from "../../revert.ts";
import { HUB_EVENTS } from "../abi.ts";
import { categoryAt } from "../category.ts";
import { resultHashOf, resultSealOf } from "../contribution.ts";
import { type Deal, dealOf, taskId } from "../deal.ts";
import { type Env, emitAt } from "../env.ts";
import { lock } from "../escrow.ts";
import { CONTRIBUTION_RATIO, FINAL_RATIO, REVEAL_RATIO } from "../lot.ts";
import { scoreOf } from "../score.ts";
import { teeBroker } from "../setting.ts";
import { signedMessageHash, verifySignature } from "../signature.ts";
import { addWeight, checkConsensus, log2, weightOf } from "./consensus.ts";
import { payAtOnce } from "./pay.ts";
import {
  CONTRIBUTION_STATUS,
  contributionOf,
  dealOfTask,
  groupWeight,
  MAX_CONTRIBUTORS,
  newTask,
  setContribution,
  setGroupWeight,
  setTask,
  TASK_STATUS,
  type Task,
  taskOf,
} from "./task.ts";

/** What proves that a worker may contribute, and that an enclave has computed. */
export interface Authorization {
  readonly enclaveChallenge: Address;
  readonly enclaveSign: Uint8Array;
  readonly authorizationSign: Uint8Array;
}

/** Opens a task of a deal, and gives its id. Anyone may ask, once for each. */
export const initialize = (env: Env, dealid: Hash, idx: bigint): Hash => {
  const { state } = env;
  const deal = dealOf(state, dealid);
  ensure(deal !== undefined && idx >= deal.botFirst && idx < deal.botFirst + deal.botSize);
  const { startTime, category, pool } = deal!;
  const id = taskId(dealid, idx);
  ensure(taskOf(state, id) === undefined);
  const timeref = categoryAt(state, BigInt(category))!.workClockTimeRef;
  const contributionDeadline = startTime + CONTRIBUTION_RATIO * timeref;
  setTask(
    state,
    id,
    newTask({ dealid, idx, timeref, contributionDeadline, finalDeadline: startTime + FINAL_RATIO * timeref }),
  );
  emitAt(env, HUB, HUB_EVENTS.TaskInitialize!, id, pool);
  return id;
};

/** Reads a task that takes contributions now, with its deal. Reverts without data, as PoCo, where it does not. */
const openTask = (env: Env, id: Hash): { task: Task; deal: Deal } => {
  const task = taskOf(env.state, id);
  ensure(task?.status === TASK_STATUS.active && task.contributionDeadline > env.block.timestamp);
  return { task: task!, deal: dealOfTask(env.state, task!) };
};

const asksForEnclave = (deal: Deal): boolean => (BigInt(deal.tag) & 1n) === 1n;

/** Checks that a worker may contribute what it does, with an enclave where the deal asks for one. */
const checkAuthorization = (
  env: Env,
  deal: Deal,
  id: Hash,
  worker: Address,
  { resultHash, resultSeal }: { readonly resultHash: Hash; readonly resultSeal: Hash },
  { enclaveChallenge, enclaveSign, authorizationSign }: Authorization,
): void => {
  const hasEnclave = enclaveChallenge !== ZERO_ADDRESS;
  ensure(hasEnclave || !asksForEnclave(deal));
  const broker = teeBroker(env.state);
  const signer = hasEnclave && broker !== ZERO_ADDRESS ? broker : deal.poolOwner;
  ensure(verifySignature(env, signer, signedMessageHash(worker, id, enclaveChallenge), authorizationSign));
  ensure(!hasEnclave || verifySignature(env, enclaveChallenge, signedMessageHash(resultHash, resultSeal), enclaveSign));
};

/** Commits a worker to a result, its stake bound; the task is closed once results have the trust that the deal asks for. */
export const contribute = (
  env: Env,
  worker: Address,
  id: Hash,
  commitment: { readonly resultHash: Hash; readonly resultSeal: Hash },
  authorization: Authorization,
): void => {
  const { state } = env;
  const { task, deal } = openTask(env, id);
  ensure(contributionOf(state, id, worker) === undefined);
  checkAuthorization(env, deal, id, worker, commitment, authorization);
  if (task.contributors.length === MAX_CONTRIBUTORS) revert(`a task has at most ${MAX_CONTRIBUTORS} contributors`);
  setContribution(state, id, worker, {
    ...commitment,
    status: CONTRIBUTION_STATUS.contributed,
    enclaveChallenge: authorization.enclaveChallenge,
    weight: log2(weightOf(scoreOf(state, worker))),
  });
  lock(env, worker, deal.workerStake);
  emitAt(env, HUB, HUB_EVENTS.TaskContribute!, id, worker, commitment.resultHash);
  const joined = { ...task, contributors: [...task.contributors, worker] };
  const weighed = addWeight(env, id, joined, worker, commitment.resultHash);
  setTask(state, id, checkConsensus(env, id, weighed, commitment.resultHash));
};

/** Tells whether callback data is what a deal's digest promises: none without a callback, else its preimage. */
export const isCallbackData = (deal: Deal, resultsCallback: Uint8Array, digest: Hash): boolean =>
  (deal.callback === ZERO_ADDRESS && resultsCallback.length === 0) || keccak256(resultsCallback) === digest;

/** Contributes, proves and finalizes at once, where a single worker is trusted. No stake is bound and no score changes. */
export const contributeAndFinalize = (
  env: Env,
  worker: Address,
  id: Hash,
  {
    digest,
    results,
    resultsCallback,
  }: { readonly digest: Hash; readonly results: Uint8Array; readonly resultsCallback: Uint8Array },
  authorization: Authorization,
): void => {
  const { state, block } = env;
  const { task, deal } = openTask(env, id);
  ensure(task.contributors.length === 0);
  ensure(deal.trust === 1n);
  const commitment = { resultHash: resultHashOf(id, digest), resultSeal: resultSealOf(worker, id, digest) };
  ensure(isCallbackData(deal, resultsCallback, digest));
  checkAuthorization(env, deal, id, worker, commitment, authorization);
  setContribution(state, id, worker, {
    ...commitment,
    status: CONTRIBUTION_STATUS.proved,
    enclaveChallenge: authorization.enclaveChallenge,
    weight: 0,
  });
  setTask(state, id, {
    ...task,
    status: TASK_STATUS.completed,
    consensusValue: commitment.resultHash,
    revealDeadline: block.timestamp + REVEAL_RATIO * task.timeref,
    revealCounter: 1,
    winnerCounter: 1,
    resultDigest: digest,
    results,
    resultsCallback,
    contributors: [worker],
  });
  payAtOnce(env, id, deal, worker);
  emitAt(env, HUB, HUB_EVENTS.TaskContribute!, id, worker, commitment.resultHash);
  emitAt(env, HUB, HUB_EVENTS.TaskConsensus!, id, commitment.resultHash);
  emitAt(env, HUB, HUB_EVENTS.TaskReveal!, id, worker, digest);
  emitAt(env, HUB, HUB_EVENTS.TaskFinalize!, id, results);
};

/** Proves a worker's commitment to the result agreed on. */
export const reveal = (env: Env, worker: Address, id: Hash, digest: Hash): void => {
  const { state, block } = env;
  const task = taskOf(state, id);
  ensure(task?.status === TASK_STATUS.revealing && task.revealDeadline > block.timestamp);
  const { consensusValue, revealCounter } = task!;
  const contribution = contributionOf(state, id, worker);
  ensure(contribution?.status === CONTRIBUTION_STATUS.contributed);
  const { resultHash, resultSeal } = contribution!;
  ensure(resultHash === consensusValue && resultHash === resultHashOf(id, digest));
  ensure(resultSeal === resultSealOf(worker, id, digest));
  setContribution(state, id, worker, { ...contribution!, status: CONTRIBUTION_STATUS.proved });
  setTask(state, id, { ...task!, revealCounter: revealCounter + 1, resultDigest: digest });
  emitAt(env, HUB, HUB_EVENTS.TaskReveal!, id, worker, digest);
};

/** Gives up a result that nobody has shown in time: who contributed it is rejected, others may contribute. */
export const reopen = (env: Env, sender: Address, id: Hash): void => {
  const { state, block } = env;
  const task = taskOf(state, id);
  ensure(task !== undefined && dealOfTask(state, task).poolOwner === sender);
  const { status, finalDeadline, revealDeadline, revealCounter, consensusValue, contributors, total } = task!;
  ensure(status === TASK_STATUS.revealing && finalDeadline > block.timestamp);
  ensure(revealDeadline <= block.timestamp && revealCounter === 0);
  for (const worker of contributors) {
    const contribution = contributionOf(state, id, worker)!;
    if (contribution.resultHash === consensusValue)
      setContribution(state, id, worker, { ...contribution, status: CONTRIBUTION_STATUS.rejected });
  }
  const given = groupWeight(state, id, consensusValue);
  setGroupWeight(state, id, consensusValue, 0n);
  setTask(state, id, {
    ...task!,
    status: TASK_STATUS.active,
    total: total - given,
    consensusValue: ZERO_HASH,
    revealDeadline: 0,
    winnerCounter: 0,
  });
  emitAt(env, HUB, HUB_EVENTS.TaskReopen!, id);
};
