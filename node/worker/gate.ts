import type { Hash } from "../../lib/bytes.ts";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import { putNewest } from "../../lib/lru.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { boughtGas } from "../../vm/market/clock.ts";
import { type DealView, type JobView, type LotView, viewDeal, viewJob } from "../market-client.ts";
import { MESSAGE_SECONDS } from "./deadline.ts";
import type { Machine } from "./machine.ts";
import type { Outputs } from "./outputs.ts";
import { pauseOf, placesOf, refusalOf, type WorkerPolicy } from "./policy.ts";

/** What is done with a lot that is drawn and not yet computed. */
export type Verdict =
  | { readonly kind: "compute" }
  /** Not now, but there is time left. */
  | { readonly kind: "wait"; readonly reason: string }
  | { readonly kind: "decline"; readonly reason: string };

/**
 * What of a unit is left when a lot that waits is declined. A policy's pause may last: others get half a unit to compute. A place
 * may be free at any moment, and a few declines too many fail the lot: there the last blocks of the round are enough.
 */
const PAUSED_SHARE = 0.5;
const BUSY_SHARE = 0.1;
const MAX_DEALS = 1_000;
/** Lots that are begun for each place: what waits for its data keeps no place from what has it. */
const FETCHES_A_PLACE = 8;

/** The chain's parameters that a worker needs. */
export interface ChainFigures {
  readonly burnQ16: bigint;
  /** Seconds that results are served after the final deadline; the longest of all upgrades. */
  readonly serveSeconds: number;
}

/** Reads the parameters that a worker needs. */
export const readFigures = async (client: RpcClient): Promise<ChainFigures> => {
  const genesis = (await client.call("rolec_genesis")) as {
    params: { burnQ16: string; serveSeconds: number };
    upgrades: readonly { burnQ16?: string; serveSeconds?: number }[];
  };
  return {
    burnQ16: BigInt(genesis.upgrades.findLast(({ burnQ16 }) => burnQ16)?.burnQ16 ?? genesis.params.burnQ16),
    serveSeconds: Math.max(genesis.params.serveSeconds, ...genesis.upgrades.map((each) => each.serveSeconds ?? 0)),
  };
};

/** Computes the gas of a task that its price is for: its part of what its lot buys (spec section 10). */
const gasPriced = ({ timeref, lotSize }: JobView): number => Math.ceil(boughtGas(timeref) / lotSize);

/** Judges by the owner's policy which lots are computed, and when. */
export const createGate = (
  client: RpcClient,
  policy: WorkerPolicy,
  machine: Machine,
  outputs: Pick<Outputs, "lack">,
  disk: Disk = boundlessDisk,
) => {
  const deals = new Map<Hash, { deal: DealView; job: JobView }>();
  const dealOf = async (dealid: Hash): Promise<{ deal: DealView; job: JobView }> => {
    const known = deals.get(dealid);
    if (known) return known;
    const [deal, job] = await Promise.all([viewDeal(client, dealid), viewJob(client, dealid)]);
    return putNewest(deals, dealid, { deal, job }, MAX_DEALS);
  };
  const pauseOfAll = (jobs: number): string | undefined =>
    disk.shortage() ?? pauseOf(policy, machine, new Date(), jobs);
  return {
    places: placesOf(policy),
    /** Lots that may be begun at a time. */
    most: FETCHES_A_PLACE * placesOf(policy),
    /** Says why nothing is started now. */
    pause: pauseOfAll,
    /** Judges a lot; `begun` are fetched or computed, `jobs` of them run, `done` were computed since the worker began. */
    judge: async (
      lot: LotView,
      { begun, jobs, done, burnQ16 }: { begun: number; jobs: number; done: number; burnQ16: bigint },
    ): Promise<Verdict> => {
      if (policy.maxLots > 0 && done + begun >= policy.maxLots)
        return { kind: "decline", reason: `${policy.maxLots} lots are computed` };
      const { deal, job } = await dealOf(lot.dealid);
      const refusal = refusalOf(policy, deal, { ...job, gasLimit: gasPriced(job) }, burnQ16);
      if (refusal !== undefined) return { kind: "decline", reason: refusal };
      const pause = pauseOfAll(jobs);
      const isBusy = jobs >= placesOf(policy) || begun >= FETCHES_A_PLACE * placesOf(policy);
      const busy = isBusy ? `${begun} lots run already` : undefined;
      const reason = pause ?? busy ?? (await outputs.lack(job.gasLimit, lot.count));
      if (reason === undefined) return { kind: "compute" };
      const leftSeconds = lot.roundEnd - Date.now() / 1000;
      const share = pause === undefined ? BUSY_SHARE : PAUSED_SHARE;
      return { kind: leftSeconds < Math.max(MESSAGE_SECONDS, job.timeref * share) ? "decline" : "wait", reason };
    },
  };
};
