import fc from "fast-check";
import t from "tap";
import { type Address, EMPTY, type Hash, utf8, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { NRLC, RLC } from "../../../lib/units.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_ABI } from "../../../vm/market/abi.ts";
import { burnedTotal } from "../../../vm/market/burned.ts";
import { dealOf, jobOf, lotCount, lotId, taskPrice, tasksBefore } from "../../../vm/market/deal.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { scoreUp } from "../../../vm/market/score.ts";
import { slotsOfWorker } from "../../../vm/market/slot.ts";
import { digestOf, merkleProof } from "../../../vm/wasm/receipt.ts";
import { createScene, resultOf, SCHEDULER } from "./scene.ts";
import { addressBy, createWorld, hub, lotReceipt, market, receiptFor, type World } from "./world.ts";

type Behaviour = "honest" | "lying" | "silent" | "declining" | "hiding" | "copying";
const WORKERS = ["w0", "w1", "w2", "w3", "w4"] as const;
const behaviour = fc.constantFrom<Behaviour>(
  "honest",
  "honest",
  "honest",
  "lying",
  "silent",
  "declining",
  "hiding",
  "copying",
);

const attempt = (run: () => unknown): void => {
  try {
    run();
  } catch (error) {
    // A call that the rules refuse changes nothing; anything else is a bug.
    if ((error as Error).constructor !== Error || /debit|nRLC/.test((error as Error).message)) throw error;
  }
};

/** The receipts of a lot's tasks: what is true, or a lie; of an invalid job every other one is INVALID. */
const taskReceipts = (count: number, lie: number, invalid: boolean): Uint8Array[] =>
  Array.from({ length: count }, (_, i) =>
    receiptFor(1_000_000 * (i + 1) + lie, { status: invalid && i % 2 === 0 ? 5 : 0 }),
  );

/** Lets every worker do with every lot what its behaviour says. */
const act = (
  world: World,
  deals: readonly { dealid: Hash; invalid: boolean }[],
  how: Record<string, Behaviour>,
): void => {
  for (const { dealid, invalid } of deals) {
    const job = jobOf(world.state, dealid)!;
    for (let index = 0; index < job.lots; index++) {
      const id = lotId(dealid, job, index);
      if (!lotOf(world.state, id)) continue;
      for (const name of WORKERS) {
        const worker = addressBy(name);
        const lot = lotOf(world.state, id)!;
        const mine = lot.seats.filter((seat) => seat.worker === worker);
        const does = how[name]!;
        const receipt = lotReceipt(taskReceipts(lot.count, does === "lying" ? 1 : 0, invalid));
        if (lot.status === LOT_STATUS.computing && mine.some(({ status }) => status === SEAT.drawn)) {
          if (does === "declining") attempt(() => world.call(worker, MARKET, market("decline"), [id]));
          else if (does === "copying") attempt(() => world.contribute(worker, id, receipt, addressBy("w0")));
          else if (does !== "silent") attempt(() => world.contribute(worker, id, receipt));
        }
        if (does !== "hiding" && lotOf(world.state, id)!.status === LOT_STATUS.revealing)
          attempt(() => world.reveal(worker, id, receipt));
      }
      attempt(() => world.finalize(id));
      const lot = lotOf(world.state, id)!;
      if (lot.status === LOT_STATUS.completed && lot.count > 1) {
        const receipts = taskReceipts(lot.count, 0, invalid);
        const proof = (i: number) => merkleProof(receipts.map(digestOf), i);
        for (let i = 0; i < lot.count; i += 2)
          attempt(() => world.call(world.requester, MARKET, market("settle"), [id, BigInt(i), receipts[i]!, proof(i)]));
      }
    }
  }
};

/** The nRLC bound to tasks that were never drawn, for want of slots. */
const bound = (world: World, dealid: Hash): bigint => {
  const job = jobOf(world.state, dealid)!;
  const price = taskPrice(dealOf(world.state, dealid)!);
  return job.cancelled ? 0n : price * BigInt(Math.max(0, job.tasks - tasksBefore(job, job.next)));
};
/** The nRLC that a deal's app is owed: its price for each task of a completed lot that is not INVALID. */
const owedToApp = (world: World, dealid: Hash, invalid: boolean): bigint => {
  const job = jobOf(world.state, dealid)!;
  let tasks = 0;
  for (let index = 0; index < job.next; index++) {
    const { status, count } = world.lot(world.lotIdOf(dealid, index));
    if (status === LOT_STATUS.completed) tasks += invalid ? Math.floor(count / 2) : count;
  }
  return dealOf(world.state, dealid)!.appPrice * BigInt(tasks);
};

const scenario = fc.record({
  seed: fc.string({ maxLength: 8 }),
  how: fc.tuple(behaviour, behaviour, behaviour, behaviour, behaviour),
  jobs: fc.array(
    fc.record({
      volume: fc.integer({ min: 1, max: 7 }),
      gasLimit: fc.constantFrom(500_000_000n, 700_000_001n, 2_000_000_000n),
      trust: fc.constantFrom(0n, 1n, 2n, 4n, 7n, 100n),
      invalid: fc.boolean(),
      cancelled: fc.boolean(),
    }),
    { minLength: 1, maxLength: 3 },
  ),
  join: fc.boolean(),
  leave: fc.boolean(),
  /** Every so many slots workers take up what pauses, and the last of them pauses what it has. */
  pauses: fc.constantFrom(7, 20, 1_000),
});

t.test("money is conserved to the wei whatever workers do, and every lot comes to an end", (t) => {
  fc.assert(
    fc.property(scenario, ({ seed, how, jobs, join, leave, pauses }) => {
      const world = createWorld({ workers: WORKERS.map((name) => [name, 3] as const), seed });
      const behaviours = Object.fromEntries(WORKERS.map((name, i) => [name, how[i]!]));
      const others: Address[] = [addressBy("other")];
      const total = world.total(others);
      const check = (): void => {
        if (world.total(others) !== total) throw new Error(`${world.total(others)} wei, not ${total}`);
        for (const [name, [owed, has]] of Object.entries(world.books(others)))
          if (owed !== has) throw new Error(`${name} owes ${owed} and has ${has}`);
      };
      const deals = jobs.map((job) => ({ dealid: world.submit(job), invalid: job.invalid, cancelled: job.cancelled }));
      if (join)
        attempt(() =>
          world.call(world.staker, MARKET, market("join"), [world.pool, world.validators[0]!, 2n], 20n * RLC),
        );
      for (let i = 0; i < 130; i++) {
        world.advance(1);
        if (i === 3 && leave)
          attempt(() => {
            const slots = slotsOfWorker(world.state, addressBy("w1"), 2).map(({ id }) => BigInt(id));
            world.call(addressBy("w1"), MARKET, market("leave"), [slots]);
          });
        if (i % pauses === 4)
          for (const [n, name] of WORKERS.entries())
            for (const { id } of slotsOfWorker(world.state, addressBy(name), 3))
              attempt(() => {
                const what = n === WORKERS.length - 1 && i % 2 === 0 ? "pause" : "resume";
                world.call(addressBy(name), MARKET, market(what), [BigInt(id), []]);
              });
        if (i === 5)
          for (const { dealid, cancelled } of deals)
            if (cancelled) attempt(() => world.call(world.requester, MARKET, market("cancel"), [dealid]));
        act(world, deals, behaviours);
        if (i % 10 === 0) check();
      }
      check();
      // What was not drawn is cancelled, what is left over can be finalized or claimed by anyone; then nothing is locked.
      for (const { dealid } of deals) attempt(() => world.call(world.requester, MARKET, market("cancel"), [dealid]));
      world.advance(110);
      for (const { dealid } of deals) {
        const job = jobOf(world.state, dealid)!;
        for (let index = 0; index < lotCount(job); index++)
          for (const what of ["finalize", "claim"])
            attempt(() => world.call(world.staker, MARKET, market(what), [world.lotIdOf(dealid, index)]));
      }
      check();
      for (const { dealid } of deals) {
        const job = jobOf(world.state, dealid)!;
        for (let index = 0; index < job.next; index++) {
          const { status } = world.lot(world.lotIdOf(dealid, index));
          if (status !== LOT_STATUS.completed && status !== LOT_STATUS.claimed)
            throw new Error(`a lot is left: ${status}`);
        }
        if (job.completed + job.failed !== job.next) throw new Error("lots are not counted");
      }
      const { locked } = world.account(world.requester);
      const expected = deals.reduce((sum, { dealid }) => sum + bound(world, dealid), 0n);
      if (locked !== expected) throw new Error(`${locked} nRLC are locked, not ${expected}`);
      const owed = deals.reduce((sum, { dealid, invalid }) => sum + owedToApp(world, dealid, invalid), 0n);
      const app = world.account(world.developer).stake;
      if (app !== owed) throw new Error(`the app got ${app} nRLC, not ${owed}`);
      for (const name of WORKERS)
        for (const { lot } of slotsOfWorker(world.state, addressBy(name), 100))
          if (BigInt(lot) !== 0n) throw new Error("a slot is still seated");
      return burnedTotal(world.state) % NRLC === 0n;
    }),
    { numRuns: 15 },
  );
  t.end();
});

t.test("what honest workers earn is what the requester paid, less what was burned and what the slots took", (t) => {
  const world = createWorld({ workers: WORKERS.map((name) => [name, 3] as const) });
  const dealid = world.submit({ volume: 4, gasLimit: 2_000_000_000n });
  const { locked } = world.account(world.requester);
  for (let i = 0; i < 12; i++) {
    world.advance(1);
    act(world, [{ dealid, invalid: false }], Object.fromEntries(WORKERS.map((name) => [name, "honest"])));
  }
  const job = jobOf(world.state, dealid)!;
  t.equal(job.completed, 4);
  const earned = WORKERS.reduce((sum, name) => sum + world.account(addressBy(name)).stake, 0n);
  const spent = locked - world.account(world.requester).stake;
  const dust = world.account(MARKET).stake - world.genesis.marketHubStakeNrlc;
  t.equal(earned + dust + world.account(world.developer).stake + burnedTotal(world.state) / NRLC, spent);
  t.end();
});

const NAMES = ["w0", "w1", "w2", "w3", "w4"];
const scheduledScenario = fc.record({
  how: fc.array(fc.constantFrom("honest", "honest", "lying", "hiding", "absent"), { minLength: 5, maxLength: 5 }),
  stakeRatio: fc.constantFrom(0n, 30n, 100n, 350n),
  rewardRatio: fc.integer({ min: 0, max: 100 }).map(BigInt),
  deals: fc.array(
    fc.record({
      price: fc.constantFrom(0n, 1n, 7n, 1_000n, 33_333n),
      volume: fc.integer({ min: 1, max: 3 }).map(BigInt),
      trust: fc.constantFrom(0n, 1n, 2n, 3n, 9n, 100n),
      dataset: fc.boolean(),
      sponsored: fc.boolean(),
      atOnce: fc.boolean(),
      neverOpened: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  score: fc.integer({ min: 0, max: 40 }),
});

t.test("in owner-scheduled pools too money is conserved, and when all tasks have ended nothing is bound", (t) => {
  fc.assert(
    fc.property(scheduledScenario, ({ how, stakeRatio, rewardRatio, deals, score }) => {
      const scene = createScene(NAMES);
      const { call, pool, scheduler, staker } = scene;
      const names = [SCHEDULER, ...NAMES];
      const others = names.map(addressBy);
      const total = scene.total(others);
      const check = (): void => {
        if (scene.total(others) !== total) throw new Error(`${scene.total(others)} wei, not ${total}`);
        for (const [name, [owed, has]] of Object.entries(scene.books(others)))
          if (owed !== has) throw new Error(`${name} owes ${owed} and has ${has}`);
      };
      call(scheduler, pool, functionsOf(WORKERPOOL_ABI)("changePolicy"), [stakeRatio, rewardRatio]);
      for (let i = 0; i < score; i++) scoreUp(scene.state, addressBy("w0"));
      scene.stake(staker, 1_000_000n);
      const made = deals.map(({ price, volume, trust, dataset, sponsored, ...rest }) => {
        const orders = scene.orders({
          ...(dataset ? { dataset: {} } : {}),
          workerpool: { workerpoolprice: price },
          request: { workerpoolmaxprice: price, volume, trust },
        });
        const name = sponsored ? "sponsorMatchOrders" : "matchOrders";
        return { dealid: call(staker, HUB, hub(name), orders).values[0] as Hash, volume, ...rest };
      });
      const opened = made.filter(({ neverOpened }) => !neverOpened);
      const tasks = opened.flatMap(({ dealid, volume, atOnce }) =>
        Array.from({ length: Number(volume) }, (_, i) => ({ task: scene.initialize(dealid, BigInt(i)), atOnce })),
      );
      check();
      for (let time = 0; time < 110; time += 10) {
        for (const { task, atOnce } of tasks) {
          for (const [i, name] of NAMES.entries()) {
            const result = how[i] === "lying" ? "lie" : "truth";
            const authorization = scene.authorize(name, task);
            const alone = [task, resultOf(result), utf8("there"), EMPTY, ZERO_ADDRESS, EMPTY, authorization];
            if (how[i] === "absent") continue;
            if (atOnce) attempt(() => call(addressBy(name), HUB, hub("contributeAndFinalize"), alone));
            attempt(() => scene.contribute(name, task, result));
            if (how[i] !== "hiding") attempt(() => scene.reveal(name, task, result));
          }
          attempt(() => scene.finalize(task));
          attempt(() => call(scheduler, HUB, hub("reopen"), [task]));
        }
        check();
        scene.advance(10);
      }
      for (const { task } of tasks) attempt(() => call(staker, HUB, hub("claim"), [task]));
      for (const { dealid, volume } of made.filter(({ neverOpened }) => neverOpened)) {
        const indexes = Array.from({ length: Number(volume) }, (_, i) => BigInt(i));
        call(staker, HUB, hub("initializeAndClaimArray"), [indexes.map(() => dealid), indexes]);
      }
      check();
      const bound = [...others, scene.requester, staker].filter((who) => scene.account(who).locked !== 0n);
      if (bound.length > 0) throw new Error(`something of ${bound} is still bound`);
    }),
    { numRuns: 20 },
  );
  t.end();
});
