/** How long lots of the shortest category wait to be drawn, beside one who holds a twentieth of a pool and spends little. */

import type { Address, Hash } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { RLC } from "../../../lib/units.ts";
import { MARKET, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { roundSeconds } from "../../../vm/market/clock.ts";
import { resultHashOf } from "../../../vm/market/contribution.ts";
import { dealOf, jobOf, taskPrice } from "../../../vm/market/deal.ts";
import { hubAccount } from "../../../vm/market/escrow.ts";
import { LOT_STATUS, type Lot, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { slotsOfWorker } from "../../../vm/market/slot.ts";
import { addressBy, createWorld, type JobOptions, market, receiptFor } from "../../vm/market/world.ts";
import { GENESIS_PARAMS } from "./pool.ts";

const GAS = 30_000_000;
const TRUTH = receiptFor(GAS);
const LIE = receiptFor(GAS, { code: 1 });
const HONEST_WORKERS = 19;
const SLOTS_EACH = 15;
const EVIL = addressBy("evil");
/** Gas of a transaction beside that of its call, at 1 gwei each. */
const SUBMIT_GAS = 300_000;
/** Slots after a draw in which ordinary code has answered. */
const COMPUTED = 2;
const PROBE_EVERY_SLOTS = 3;
const poolFunction = functionsOf(WORKERPOOL_REGISTRY_ABI);
const NOBODY: Address = `0x${"00".repeat(20)}`;

/** What honest seats do in a lot of the attacker's: answer soon, answer last, decline last, or half of them decline last. */
type Served = "soon" | "slowly" | "never" | "half";
/** What the attacker's own seats do, in the last slot of a round. What is agreed they reveal in the last slot for it. */
type Own = "late" | "lie" | "decline";

export interface Attack {
  readonly jobs?: readonly JobOptions[];
  readonly served?: Served;
  readonly own?: Own;
  /** Pools with so many deals each that can never be drawn, made beforehand. */
  readonly pools?: number;
  readonly dealsEach?: number;
}
const cheap = (trust: bigint, category = 0n): JobOptions => ({ category, gasLimit: BigInt(GAS), trust });
const every = [0n, 1n, 2n, 3n, 4n, 5n, 6n].map((category) => cheap(10_000n, category));
const minute: JobOptions = { category: 6n, gasLimit: 12_000_000_000n, trust: 10_000n };
export const ATTACKS: Readonly<Record<string, Attack>> = {
  none: {},
  "wide lots of ten hours": { jobs: [cheap(10_000n, 6n)] },
  "the cheapest lots of every category": { jobs: every },
  "junk deals": { jobs: [cheap(1n)] },
  "lots of a minute": { jobs: [minute] },
  "slow programs": { jobs: [cheap(10_000n)], served: "slowly" },
  "slow programs of a minute": { jobs: [minute], served: "slowly" },
  "inputs that nobody gets": { jobs: [cheap(10_000n)], served: "never" },
  "inputs that half get": { jobs: [cheap(10_000n)], served: "half" },
  "inputs that half get, small": { jobs: [cheap(4n)], served: "half" },
  "inputs that half get, of every size": {
    jobs: [4n, 16n, 64n, 256n, 1_024n, 10_000n].map((trust) => cheap(trust)),
    served: "half",
  },
  "its seats dissent": { jobs: [cheap(10_000n)], own: "lie" },
  "its seats decline": { jobs: [cheap(10_000n)], served: "slowly", own: "decline" },
  "pools without slots": { pools: 4_096, dealsEach: 1 },
  "committees too large for a pool": { pools: 1, dealsEach: 4_096 },
};

export const createMarket = (seed: string) => {
  const others = Array.from({ length: HONEST_WORKERS }, (_, i) => [`h${i}`, SLOTS_EACH] as const);
  return createWorld({ workers: [...others, ["evil", SLOTS_EACH]], params: GENESIS_PARAMS, seed });
};
type Market = ReturnType<typeof createMarket>;

/** Makes pools without slots, with deals in them. Gives the gas. */
const makePools = (world: Market, pools: number, dealsEach: number): number => {
  for (let i = 0; i < pools; i++) {
    const made = world.call(EVIL, WORKERPOOL_REGISTRY, poolFunction("createWorkerpool"), [EVIL, `pool ${i}`]);
    const pool = made.values[0] as Address;
    world.call(EVIL, MARKET, market("openPool"), [pool, NOBODY, NOBODY]);
    for (let deal = 0; deal < dealsEach; deal++) world.submit({ ...cheap(10_000n), pool, value: RLC / 10n });
  }
  return pools * (2 + dealsEach) * SUBMIT_GAS;
};

const byWorker = (lot: Lot, status: number): Address[] => [
  ...new Set(lot.seats.filter((seat) => seat.status === status).map(({ worker }) => worker)),
];

/** Does what both sides do in a lot in this slot; tells whether it is over. */
const play = (world: Market, id: Hash, { served = "soon", own = "late" }: Attack): boolean => {
  const { slotSeconds } = world.genesis.params;
  const lotNow = (): Lot => lotOf(world.state, id)!;
  const decline = (worker: Address) => world.call(worker, MARKET, market("decline"), [id]);
  const isLast = world.block().timestamp + slotSeconds >= lotNow().roundEnd;
  if (lotNow().status === LOT_STATUS.computing) {
    const isComputed =
      world.block().timestamp >= lotNow().roundEnd - roundSeconds(lotNow().timeref) + COMPUTED * slotSeconds;
    const honest = byWorker(lotNow(), SEAT.drawn).filter((worker) => worker !== EVIL);
    for (const [i, worker] of honest.entries()) {
      if (served === "soon" ? !isComputed : !isLast) break;
      if (served === "never" || (served === "half" && 2 * i >= honest.length)) decline(worker);
      else world.contribute(worker, id, TRUTH);
    }
    if (isLast && lotNow().status === LOT_STATUS.computing && byWorker(lotNow(), SEAT.drawn).includes(EVIL)) {
      if (own === "decline") decline(EVIL);
      else world.contribute(EVIL, id, own === "lie" ? LIE : TRUTH);
    }
  }
  const lot = lotNow();
  if (lot.status === LOT_STATUS.revealing) {
    const receipt = lot.consensus === resultHashOf(id, keccak256(TRUTH)) ? TRUTH : LIE;
    const isLastToReveal = world.block().timestamp + slotSeconds >= lot.revealDeadline;
    for (const worker of byWorker(lot, SEAT.committed)) {
      const isWinner = lot.seats.some((seat) => seat.worker === worker && seat.resultHash === lot.consensus);
      if (isWinner && (worker !== EVIL || isLastToReveal)) world.reveal(worker, id, receipt);
    }
    const isAwaited = lotNow().seats.some((s) => s.status === SEAT.committed && s.resultHash === lot.consensus);
    if (!isAwaited) world.finalize(id);
  }
  if (lot.status === LOT_STATUS.failed) world.call(world.requester, MARKET, market("claim"), [id]);
  return lotNow().status >= LOT_STATUS.completed && lotNow().status !== LOT_STATUS.failed;
};

const wealth = ({ state, requester, developer }: Market): bigint => {
  const slots = slotsOfWorker(state, EVIL, SLOTS_EACH).reduce((sum, { stake }) => sum + stake, 0n);
  return [requester, developer, EVIL].reduce((sum, owner) => {
    const { stake, locked } = hubAccount(state, owner);
    return sum + state.balance(owner) + (stake + locked) * 10n ** 9n;
  }, slots);
};

export interface Waits {
  /** Seconds that each honest lot waited beyond the two slots that all do. */
  readonly waits: readonly number[];
  /** Wei, fees at 1 gwei included. */
  readonly spent: bigint;
}

/** Lets an attacker spend at most `budget` wei at once, and measures honest lots for so many seconds. */
export const measureWaits = (attack: Attack, seed: string, budget: bigint, seconds: number): Waits => {
  const world = createMarket(seed);
  const { state } = world;
  const { slotSeconds } = world.genesis.params;
  let gas = makePools(world, attack.pools ?? 0, attack.dealsEach ?? 0);
  world.advance(20); // what was made before is known by then
  const had = wealth(world);
  const open = new Map<Hash, Attack>();
  const done = new Set<Hash>();
  const deals: Hash[] = [];
  const probes: { deal: Hash; since: number; waited?: number }[] = [];
  const dueOf = (deal: Hash): bigint =>
    (taskPrice(dealOf(state, deal)!) * 10n ** 9n) / (attack.served === "half" ? 1n : 2n);
  let planned = 0n;
  const submit = (by: Address, job: JobOptions): Hash =>
    world.call(by, MARKET, market("submit"), [world.jobArgs(job)], RLC).values[0] as Hash;
  for (let slot = 0; slot * slotSeconds < seconds || probes.some(({ waited }) => waited === undefined); slot++) {
    if (slot * slotSeconds > 20 * seconds) break;
    for (let i = 0; attack.jobs && i < 200; i++) {
      const deal = submit(world.requester, attack.jobs[deals.length % attack.jobs.length]!);
      const price = dueOf(deal) + BigInt(SUBMIT_GAS) * 10n ** 9n;
      if (planned + price > budget) {
        world.call(world.requester, MARKET, market("cancel"), [deal]);
        break;
      }
      planned += price;
      gas += SUBMIT_GAS;
      deals.push(deal);
    }
    if (slot % PROBE_EVERY_SLOTS === 0 && slot * slotSeconds < seconds) {
      const trust = probes.length % 10 === 9 ? 10_000n : 4n;
      probes.push({ deal: submit(world.staker, { gasLimit: BigInt(GAS), trust }), since: slot });
    }
    world.advance(1);
    for (const [list, how] of [
      [deals, attack],
      [probes.map(({ deal }) => deal), {}],
    ] as const)
      for (const deal of list) {
        const id = world.lotIdOf(deal);
        if (lotOf(state, id) && !done.has(id)) open.set(id, how);
      }
    for (const [id, how] of open)
      if (play(world, id, how)) {
        open.delete(id);
        done.add(id);
      }
    for (const probe of probes)
      if (probe.waited === undefined && jobOf(state, probe.deal)!.next > 0)
        probe.waited = Math.max(0, slot - probe.since - 1) * slotSeconds;
  }
  const waits = probes.map(({ waited }) => waited ?? Number.POSITIVE_INFINITY);
  return { waits, spent: had - wealth(world) + BigInt(gas) * 10n ** 9n };
};
