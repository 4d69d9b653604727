import type { Hex } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { marketFunction, slotsOfWorker } from "../market-client.ts";
import { transact } from "../wallet.ts";
import type { WorkerPolicy } from "./policy.ts";

/** What a worker has done since it began, as far as its leaving depends on it. */
export interface Done {
  readonly isBusy: boolean;
  readonly computed: number;
  readonly declinedInRow: number;
}

/** Ends a worker as its policy says. */
export interface Leaving {
  /** Gives the slots back where the policy says so; gives the reason to end an idle program once none is left: a silent seat is fined. */
  follow(done: Done): Promise<string | undefined>;
}

/** Slots that one message may give back. */
const MAX_LEAVE = 256;
/** The worker's account may have nothing yet to pay for that. */
const LEAVE_AGAIN_MS = 30_000;

/** Makes what gives a worker's slots back. */
export const createLeaving = (client: RpcClient, privateKey: Hex, policy: WorkerPolicy, log: Log): Leaving => {
  const address = addressOf(privateKey);
  let [hasLeft, leaveAt, idleSince] = [false, 0, Date.now()];

  const giveSlotsBack = async (): Promise<void> => {
    const ids = (await slotsOfWorker(client, address)).filter(({ isLeaving }) => !isLeaving).map(({ id }) => id);
    log.info({ slots: ids.length }, "slots are given back");
    for (let at = 0; at < ids.length; at += MAX_LEAVE)
      await transact(client, privateKey, {
        to: MARKET,
        data: marketFunction("leave").encode(ids.slice(at, at + MAX_LEAVE)),
      });
  };

  return {
    follow: async ({ isBusy, computed, declinedInRow }) => {
      if (isBusy) idleSince = Date.now();
      const { maxLots, leaveAfterDeclines, exitWhenIdleSeconds } = policy;
      const isIdle = exitWhenIdleSeconds > 0 && Date.now() - idleSince >= exitWhenIdleSeconds * 1000;
      const isDone = maxLots > 0 && computed >= maxLots;
      const isUnwilling = leaveAfterDeclines > 0 && declinedInRow >= leaveAfterDeclines;
      if ((isIdle || isDone || isUnwilling) && !hasLeft && Date.now() >= leaveAt) {
        leaveAt = Date.now() + LEAVE_AGAIN_MS;
        await giveSlotsBack();
        hasLeft = true;
      }
      if (!isIdle || !hasLeft || (await slotsOfWorker(client, address)).length > 0) return undefined;
      return `nothing to do for ${exitWhenIdleSeconds} s`;
    },
  };
};
