import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { HUB, MARKET } from "../addresses.ts";
import { ensure, revert } from "../revert.ts";
import { GAS } from "../wasm/gas.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "./abi.ts";
import { categoryAt } from "./category.ts";
import { CAP_GAS_PER_SECOND, clockOf } from "./clock.ts";
import { type Deal, lotCount, setDeal, setJob, taskPrice } from "./deal.ts";
import { type Env, emitAt } from "./env.ts";
import { lock } from "./escrow.ts";
import { accepts } from "./group.ts";
import { poolOf } from "./pool.ts";
import { workerpools } from "./registry.ts";
import { READY_SLOTS } from "./round.ts";
import { arrive } from "./waiting.ts";

/** Tasks of a request, in a drawn pool. */
export const MAX_TASKS = 1n << 32n;
const MAX_LOT_TASKS = 256;
const MAX_PARAMS_BYTES = 64 * 1024;
/** A year: times of a drawn pool's category are counted in slots, its gas in safe integers. */
export const MAX_TIMEREF = 31_536_000;

/** What a deal asks of a drawn pool. */
export interface Ask {
  readonly pool: Address;
  readonly requester: Address;
  readonly category: bigint;
  readonly tag: bigint;
  readonly trust: bigint;
  readonly params: string;
  /** The first of the deal's tasks, and how many there are. */
  readonly first: bigint;
  readonly volume: bigint;
}

/** What is agreed of a task: its gas, and how many tasks a lot may hold at most. */
export interface Offered {
  readonly gasLimit: bigint;
  readonly lotSize: number;
  /** Gives a task's price for all seats, in nRLC, with the clock of the deal's lots and how many they are. */
  price(clock: number, lots: number): bigint;
}

/** What the chain fixes in the deal of a drawn pool. */
export type DrawnTerms = Pick<
  Deal,
  | "pool"
  | "poolOwner"
  | "price"
  | "trust"
  | "category"
  | "botFirst"
  | "botSize"
  | "workerStake"
  | "schedulerRewardRatio"
  | "gasLimit"
  | "cap"
  | "lotSize"
  | "timeref"
  | "vmVersion"
>;

/**
 * Checks what drawn pools ask of every deal, and gives what the chain fixes in it: `offer` tells gas and price from the most
 * gas that a lot of the category may have. Reverts where the pool cannot serve the deal.
 */
export const drawnTerms = (env: Env, ask: Ask, offer: (cap: number, trust: bigint) => Offered): DrawnTerms => {
  const { state, block } = env;
  const pool = poolOf(state, ask.pool) ?? revert("no drawn pool");
  ensure(accepts(state, pool.requesterRestrict, ask.requester), "iExecV5-matchOrders-0x1b");
  // A drawn pool has no tag: all its slots are of one class.
  ensure(ask.tag === 0n, "iExecV5-matchOrders-0x06");
  const { workClockTimeRef } = categoryAt(state, ask.category) ?? revert("iExecV5-matchOrders-0x01");
  ensure(workClockTimeRef <= MAX_TIMEREF, "the category is too long for a drawn pool");
  const trust = ask.trust < 1n ? 1n : ask.trust;
  ensure(trust <= block.params.maxTrust, `trust is at most ${block.params.maxTrust}`);
  ensure(ask.volume > 0n, "iExecV5-matchOrders-0x60");
  ensure(ask.first + ask.volume <= MAX_TASKS, `volume is at most ${MAX_TASKS}`);
  ensure(Buffer.byteLength(ask.params) <= MAX_PARAMS_BYTES, `params are at most ${MAX_PARAMS_BYTES} bytes`);
  const cap = workClockTimeRef * CAP_GAS_PER_SECOND;
  const { gasLimit, lotSize: mostTasks, price: priceAt } = offer(cap, trust);
  // A task starts with so much gas: one that has less only costs its workers their messages.
  ensure(gasLimit >= BigInt(GAS.job) && gasLimit <= BigInt(cap), `gasLimit must be from ${GAS.job} to ${cap}`);
  const { workerStakeRatio, schedulerRewardRatio } = workerpools.get(state, ask.pool)!;
  const tasks = Number(ask.volume);
  const lots = lotCount({ lotSize: mostTasks, tasks });
  const lotSize = Math.ceil(tasks / lots);
  const clock = clockOf(workClockTimeRef, lotSize * Number(gasLimit));
  const price = priceAt(clock, lots);
  ensure(
    BigInt(lotSize) * price * workerStakeRatio * 2n <= block.params.slotStakeNrlc * 100n,
    "a lot could cost more than half a slot",
  );
  return {
    pool: ask.pool,
    poolOwner: workerpools.ownerOf(state, ask.pool)!,
    price,
    trust,
    category: Number(ask.category),
    botFirst: ask.first,
    botSize: ask.volume,
    workerStake: (price * workerStakeRatio) / 100n,
    schedulerRewardRatio,
    gasLimit: Number(gasLimit),
    cap,
    lotSize,
    timeref: clock,
    vmVersion: block.params.vmVersion,
  };
};

/** Opens a deal of a drawn pool, however it was made: locks its cost, and lets its lots be drawn. */
export const openDrawnDeal = (env: Env, dealid: Hash, deal: Deal): void => {
  const { state, block } = env;
  const tasks = Number(deal.botSize);
  setDeal(state, dealid, deal);
  lock(env, deal.sponsor, taskPrice(deal) * deal.botSize);
  setJob(state, dealid, {
    pool: deal.pool,
    trust: deal.trust,
    timeref: deal.timeref,
    lotSize: deal.lotSize,
    first: Number(deal.botFirst),
    tasks,
    readySlot: block.slot + READY_SLOTS,
    next: 0,
    lots: lotCount({ lotSize: deal.lotSize, tasks }),
    completed: 0,
    failed: 0,
    givenUp: 0,
    cancelled: false,
  });
  arrive(state, dealid);
  emitAt(env, HUB, HUB_EVENTS.SchedulerNotice!, deal.pool, dealid);
  const numbers = [deal.botSize, deal.price, BigInt(deal.lotSize)];
  emitAt(env, MARKET, MARKET_EVENTS.JobSubmitted!, dealid, deal.requester, deal.app, deal.pool, ...numbers);
};

/** Computes how many tasks a lot may hold: as many as its gas allows, and one where there is a callback. */
export const lotSizeOf = (cap: number, gasLimit: bigint, callback: Address): number =>
  callback === ZERO_ADDRESS ? Math.max(1, Math.min(MAX_LOT_TASKS, Math.floor(cap / Number(gasLimit)))) : 1;
