import { MARKET } from "../vm/addresses.ts";
import { firstCommittee } from "../vm/market/committee.ts";
import { MAX_TASKS, MAX_TIMEREF } from "../vm/market/drawn-deal.ts";
import { parseParams } from "../vm/wasm/params.ts";
import { NEWEST_RULES } from "../vm/wasm/versions.ts";
import type { DrawnPool, Facts } from "./matcher-facts.ts";
import {
  boundByOwner,
  coveredBy,
  isTagged,
  type Offers,
  priceOf,
  restrictionsOfApp,
  restrictionsOfDataset,
  restrictionsOfPool,
  restrictionsOfSet,
  tagsCross,
  volumeOf,
} from "./matching.ts";

/** What money lets a set make: so many tasks, which is less than all where the requester has not enough. */
export interface Funded {
  readonly volume: bigint;
  readonly isWhole: boolean;
}

/**
 * Judges by a round's facts all that makes `matchOrders` revert (spec section 10.3), but the signatures, which the book checks. What
 * one order decides alone is judged apart from the sets that it is in. Prices, categories and trust are compared before
 * (matching.ts).
 */
export const createJudge = (facts: Facts) => {
  /** What a deal of a pool that the chain draws asks for (vm/market/drawn-deal.ts). */
  const passesDrawn = async (
    { length, requesterRestrict, slotStakeNrlc }: DrawnPool,
    ratio: bigint,
    { workerpool, request }: Pick<Offers, "workerpool" | "request">,
  ): Promise<boolean> => {
    const { requester, category, trust } = request.order;
    // Half a slot is the most that a lot may cost.
    if (workerpool.order.workerpoolprice * ratio * 2n > slotStakeNrlc * 100n) return false;
    if (trust > (await facts.maxTrust()) || length < firstCommittee(trust)) return false;
    const seconds = await facts.secondsOf(category);
    if (seconds !== undefined && (seconds < 1 || seconds > MAX_TIMEREF)) return false;
    return facts.pass([[requesterRestrict, requester]]);
  };
  return {
    /** Tells whether workers can read what a request asks for: a deal of one that they cannot is INVALID, and paid. */
    request: ({ order }: Offers["request"]): boolean => {
      try {
        parseParams(order.params, NEWEST_RULES);
        return true;
      } catch {
        return false;
      }
    },
    app: (offers: Pick<Offers, "app" | "request">): Promise<boolean> => facts.pass(restrictionsOfApp(offers)),
    dataset: (offers: Pick<Offers, "dataset" | "request">): Promise<boolean> =>
      facts.pass(restrictionsOfDataset(offers)),
    pool: async (offers: Pick<Offers, "workerpool" | "request">): Promise<boolean> => {
      const { order } = offers.workerpool;
      if (!(await facts.pass(restrictionsOfPool(offers)))) return false;
      const drawn = await facts.drawnPool(order.workerpool);
      const ratio = await facts.workerStakeRatio(order.workerpool);
      if (drawn) return passesDrawn(drawn, ratio, offers);
      // Its owner may ask workers for any part of the price. More than all have together overflows, or is a deal that nobody can work for.
      return (order.workerpoolprice * ratio) / 100n <= (await facts.hubSupply());
    },
    /** Tells whether a pool that passes could seat the request's committee now: elsewhere a deal would wait. */
    canDraw: async ({ workerpool, request }: Pick<Offers, "workerpool" | "request">): Promise<boolean> => {
      const drawn = await facts.drawnPool(workerpool.order.workerpool);
      if (!drawn) return true;
      return drawn.drawable >= firstCommittee(request.order.trust) && 2n * drawn.drawable >= drawn.length;
    },
    set: async (offers: Offers): Promise<boolean> => {
      if (!tagsCross(offers) || !(await facts.pass(restrictionsOfSet(offers)))) return false;
      if (!(await facts.drawnPool(offers.workerpool.order.workerpool))) return true;
      const { order, remaining } = offers.request;
      return !isTagged(offers) && order.volume - remaining + volumeOf(offers) <= MAX_TASKS;
    },
    /** Tells what the money of requester and pool's owner is enough for; undefined where the owner's is not. */
    funds: async (offers: Offers): Promise<Funded | undefined> => {
      const { workerpool, request } = offers;
      const { requester } = request.order;
      const isDrawn =
        workerpool.signer === MARKET || (await facts.drawnPool(workerpool.order.workerpool)) !== undefined;
      const bound = isDrawn ? 0n : boundByOwner(workerpool.order);
      const most = volumeOf(offers);
      // Who asks in its own pool binds both.
      const own = workerpool.signer === requester ? bound : 0n;
      const volume = coveredBy(await facts.stakeOf(requester), priceOf(offers) + own, most);
      if (volume === most && bound > own && (await facts.stakeOf(workerpool.signer)) < bound * volume) return undefined;
      return { volume, isWhole: volume === most };
    },
  };
};
export type Judge = ReturnType<typeof createJudge>;
