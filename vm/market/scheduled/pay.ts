import { type Address, type Hash, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { HUB } from "../../addresses.ts";
import { HUB_EVENTS } from "../abi.ts";
import { type Deal, taskPrice } from "../deal.ts";
import { type Env, emitAt } from "../env.ts";
import { reward, seize, unlock } from "../escrow.ts";
import { payFromKitty, payToKitty } from "../kitty.ts";
import { WORKERPOOL_STAKE_RATIO } from "../match.ts";
import { scoreDown, scoreUp } from "../score.ts";
import { CONTRIBUTION_STATUS, contributionOf, dealOfTask, type Task } from "./task.ts";

/** What the pool's owner has bound for each task. */
const poolStake = (deal: Deal): bigint => (deal.price * WORKERPOOL_STAKE_RATIO) / 100n;

/** Takes a task's price from its sponsor, pays app and dataset, and gives the pool's owner its stake and from the kitty. */
const settleSuccess = (env: Env, id: Hash, deal: Deal): void => {
  seize(env, deal.sponsor, taskPrice(deal), id);
  if (deal.appPrice > 0n) reward(env, deal.appOwner, deal.appPrice, id);
  if (deal.datasetPrice > 0n && deal.dataset !== ZERO_ADDRESS) reward(env, deal.datasetOwner, deal.datasetPrice, id);
  unlock(env, deal.poolOwner, poolStake(deal));
  payFromKitty(env, deal.poolOwner, id);
};

/** Pays a task that one worker did alone. */
export const payAtOnce = (env: Env, id: Hash, deal: Deal, worker: Address): void => {
  settleSuccess(env, id, deal);
  const share = (deal.price * (100n - deal.schedulerRewardRatio)) / 100n;
  reward(env, worker, share, id);
  reward(env, deal.poolOwner, deal.price - share, id);
};

/** Pays those who proved the result by the logarithms of their weights, out of the price and the stakes of the others. */
export const payAll = (env: Env, id: Hash, task: Task): void => {
  const { state } = env;
  const deal = dealOfTask(state, task);
  settleSuccess(env, id, deal);
  const all = task.contributors.map((worker) => ({ worker, ...contributionOf(state, id, worker)! }));
  const isProved = ({ status }: { readonly status: number }) => status === CONTRIBUTION_STATUS.proved;
  const proved = all.filter(isProved);
  const totalWeight = BigInt(proved.reduce((sum, { weight }) => sum + weight, 0));
  let left = deal.price + deal.workerStake * BigInt(all.length - proved.length);
  const forWorkers = (left * (100n - deal.schedulerRewardRatio)) / 100n;
  for (const contribution of all) {
    const { worker, weight } = contribution;
    if (!isProved(contribution)) {
      seize(env, worker, deal.workerStake, id);
      scoreDown(state, worker);
      emitAt(env, HUB, HUB_EVENTS.FaultyContribution!, worker, id);
      continue;
    }
    const share = (forWorkers * BigInt(weight)) / totalWeight;
    left -= share;
    unlock(env, worker, deal.workerStake);
    reward(env, worker, share, id);
    if (all.length === 1) continue;
    scoreUp(state, worker);
    emitAt(env, HUB, HUB_EVENTS.AccurateContribution!, worker, id);
  }
  reward(env, deal.poolOwner, left, id);
};

/** Gives a task's price back to its sponsor and all stakes to the workers; the pool's owner loses its own to the kitty. */
export const payBack = (env: Env, id: Hash, task: Task): void => {
  const deal = dealOfTask(env.state, task);
  unlock(env, deal.sponsor, taskPrice(deal));
  payToKitty(env, deal.poolOwner, poolStake(deal), id);
  for (const worker of task.contributors) unlock(env, worker, deal.workerStake);
};
