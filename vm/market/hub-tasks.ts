import { type Address, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { NATIVE_GAS } from "../gas.ts";
import type { CallContext } from "../natives.ts";
import { ensure, revert } from "../revert.ts";
import type { Handler } from "./abi.ts";
import { claim as claimLot, initializeAndClaim as giveUpLot } from "./claim.ts";
import { contribute as contributeToLot, revealDigest } from "./contribution.ts";
import { jobOf } from "./deal.ts";
import { MARKET_GAS } from "./gas.ts";
import { acting, viewing } from "./handlers.ts";
import { lotOf } from "./lot.ts";
import { finalize as finalizeLot } from "./reward.ts";
import * as ended from "./scheduled/end.ts";
import * as scheduled from "./scheduled/work.ts";
import { scoreOf } from "./score.ts";
import { resultFor, viewContribution, viewDeal, viewTask } from "./views.ts";

/** Tells whether a task is a lot of a drawn pool; any other is a scheduled one, also where there is none. */
const isDrawn = ({ state }: CallContext, task: Hash): boolean => lotOf(state, task) !== undefined;
const refuseDrawn = (is: boolean): void => ensure(!is, "the chain schedules this deal: draws, reopens, closes");

const initialize = (ctx: CallContext, dealid: Hash, index: bigint): Hash => {
  refuseDrawn(jobOf(ctx.state, dealid) !== undefined);
  return scheduled.initialize(ctx, dealid, index);
};
const claim = (ctx: CallContext, task: Hash): void =>
  isDrawn(ctx, task) ? claimLot(ctx, task) : ended.claim(ctx, task);
const initializeAndClaim = (ctx: CallContext, dealid: Hash, index: bigint): void => {
  if (jobOf(ctx.state, dealid)) giveUpLot(ctx, ctx.sender, dealid, index);
  else ended.claim(ctx, scheduled.initialize(ctx, dealid, index));
};

/** A call over a list of things, or two of the same length, each for a word of calldata. */
const forEach = (perWord: number, run: (ctx: CallContext, first: Hash, second: bigint) => void): Handler => ({
  gas: 0,
  perWord,
  run: (ctx, args) => {
    const [firsts, seconds] = args as [Hash[], bigint[] | undefined];
    ensure(seconds === undefined || seconds.length === firsts.length);
    for (const [i, first] of firsts.entries()) run(ctx, first, seconds?.[i] ?? 0n);
    return [true];
  },
});

/** The hub's functions over tasks, of drawn and of owner-scheduled pools. */
export const taskHandlers: Readonly<Record<string, Handler>> = {
  initialize: {
    gas: NATIVE_GAS.writeMany,
    run: (ctx, [dealid, index]) => [initialize(ctx, dealid as Hash, index as bigint)],
  },
  initializeArray: forEach(NATIVE_GAS.writeMany / 2, initialize),
  contribute: acting(MARKET_GAS.answer, (ctx, args) => {
    const [task, resultHash, resultSeal, enclaveChallenge, enclaveSign, authorizationSign] = args as [
      Hash,
      Hash,
      Hash,
      Address,
      Uint8Array,
      Uint8Array,
    ];
    if (!isDrawn(ctx, task)) {
      const authorization = { enclaveChallenge, enclaveSign, authorizationSign };
      scheduled.contribute(ctx, ctx.sender, task, { resultHash, resultSeal }, authorization);
      return;
    }
    if (enclaveChallenge !== ZERO_ADDRESS || enclaveSign.length > 0 || authorizationSign.length > 0)
      revert("a drawn worker's contribution carries no signature");
    contributeToLot(ctx, ctx.sender, task, { resultHash, resultSeal, itemsRoot: ZERO_HASH });
  }),
  contributeAndFinalize: acting(MARKET_GAS.answer, (ctx, args) => {
    const [task, digest, results, resultsCallback, enclaveChallenge, enclaveSign, authorizationSign] = args as [
      Hash,
      Hash,
      Uint8Array,
      Uint8Array,
      Address,
      Uint8Array,
      Uint8Array,
    ];
    refuseDrawn(isDrawn(ctx, task));
    const authorization = { enclaveChallenge, enclaveSign, authorizationSign };
    scheduled.contributeAndFinalize(ctx, ctx.sender, task, { digest, results, resultsCallback }, authorization);
  }),
  reveal: acting(MARKET_GAS.reveal, (ctx, [task, digest]) =>
    isDrawn(ctx, task as Hash)
      ? revealDigest(ctx, ctx.sender, task as Hash, digest as Hash)
      : scheduled.reveal(ctx, ctx.sender, task as Hash, digest as Hash),
  ),
  reopen: acting(MARKET_GAS.claimTask, (ctx, [task]) => {
    refuseDrawn(isDrawn(ctx, task as Hash));
    scheduled.reopen(ctx, ctx.sender, task as Hash);
  }),
  finalize: acting(MARKET_GAS.finalizeTask, (ctx, args) => {
    const [task, results, resultsCallback] = args as [Hash, Uint8Array, Uint8Array];
    if (!isDrawn(ctx, task)) {
      ended.finalize(ctx, ctx.sender, task, results, resultsCallback);
      return;
    }
    if (results.length + resultsCallback.length > 0) revert("the chain writes a drawn task's results");
    finalizeLot(ctx, task);
  }),
  claim: acting(MARKET_GAS.claimTask, (ctx, [task]) => claim(ctx, task as Hash)),
  claimArray: forEach(MARKET_GAS.claimTask, claim),
  initializeAndClaimArray: forEach(MARKET_GAS.claimTask / 2, initializeAndClaim),
  viewDeal: viewing((ctx, [id]) => viewDeal(ctx.state, id as Hash), MARKET_GAS.view),
  viewTask: viewing((ctx, [id]) => viewTask(ctx.state, id as Hash), MARKET_GAS.view),
  viewContribution: viewing(
    (ctx, [id, worker]) => viewContribution(ctx.state, id as Hash, worker as Address),
    MARKET_GAS.view,
  ),
  viewScore: viewing((ctx, [worker]) => scoreOf(ctx.state, worker as Address)),
  resultFor: viewing((ctx, [id]) => resultFor(ctx.state, id as Hash), MARKET_GAS.view),
};
