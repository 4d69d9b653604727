import { inspect } from "node:util";
import t from "tap";
import type { Address } from "../../../lib/bytes.ts";
import { RLC } from "../../../lib/units.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { jobOf } from "../../../vm/market/deal.ts";
import { LOT_STATUS, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { addressBy, computeHonestly, createWorld, market, receiptFor } from "./world.ts";

const WORKERS = [
  ["w0", 4],
  ["w1", 4],
  ["w2", 4],
] as const;

t.test("who comes and goes once the seats can be foreseen changes no draw of its epoch", (t) => {
  const seatsOf = (rearrange: boolean): string => {
    const world = createWorld({ workers: WORKERS });
    world.advance(4);
    const dealid = world.submit({ volume: 3, gasLimit: 2_000_000_000n });
    if (rearrange) {
      const leaver = addressBy("w0");
      const [ids] = world.call(leaver, MARKET, market("slotsOf"), [leaver, 0n]).values as [bigint[]];
      world.call(leaver, MARKET, market("leave"), [ids]);
      const validator = world.validators[0]!;
      world.call(world.staker, MARKET, market("join"), [world.pool, validator, 8n], 80n * RLC);
    }
    world.advance(2);
    return inspect(world.lot(world.lotIdOf(dealid)).seats, {
      depth: null,
      breakLength: Infinity,
      maxArrayLength: null,
    });
  };
  t.equal(seatsOf(true), seatsOf(false));
  t.end();
});

t.test("a bag larger than the pool is computed piece by piece, and lets others through", (t) => {
  const world = createWorld({ workers: WORKERS });
  const { state, pool } = world;
  const bag = world.submit({ volume: 30, gasLimit: 2_000_000_000n, value: 100n * RLC });
  world.advance(3);
  const small = world.submit({ volume: 1 });
  let most = 0;
  for (let i = 0; i < 400 && jobOf(state, bag)!.completed < 30; i++) {
    world.advance(1);
    const { length, drawable } = poolOf(state, pool)!;
    most = Math.max(most, length - drawable);
    for (const dealid of [small, bag])
      for (let index = 0; index < jobOf(state, dealid)!.next; index++) {
        const id = world.lotIdOf(dealid, index);
        if (world.lot(id).status === LOT_STATUS.computing) computeHonestly(world, id, receiptFor(1_000));
      }
    if (i === 8) t.equal(jobOf(state, small)!.completed, 1, "a deal that came later had its turn");
  }
  t.equal(jobOf(state, bag)!.completed, 30);
  t.ok(most > 0 && most <= 8, `${most} of 12 slots at a time`);
  t.equal(world.account(world.requester).locked, 0n);
  t.end();
});

t.test(
  "a program built to disagree costs its requester the agreed price or nothing, and honest workers nothing",
  (t) => {
    const world = createWorld({ workers: WORKERS.map(([name]) => [name, 16] as const) });
    const { state } = world;
    const dealid = world.submit({ trust: 100n });
    world.advance(2);
    const id = world.lotIdOf(dealid);
    const stakes = () => state.balance(MARKET);
    const before = stakes();
    // Each worker computes something else, as a program that knew its machine would make it.
    for (let i = 0; i < 400 && world.lot(id).status !== LOT_STATUS.failed; i++) {
      const drawn = world.lot(id).seats.filter(({ status }) => status === SEAT.drawn);
      for (const worker of new Set(drawn.map((seat) => seat.worker)))
        world.contribute(
          worker as Address,
          id,
          receiptFor(1 + WORKERS.findIndex(([name]) => addressBy(name) === worker)),
        );
      world.advance(1);
    }
    t.equal(world.lot(id).status, LOT_STATUS.failed);
    t.ok(world.lot(id).seats.length <= world.genesis.params.maxCommittee);
    world.call(world.requester, MARKET, market("claim"), [id]);
    t.equal(world.account(world.requester).locked, 0n);
    t.equal(stakes(), before, "no slot lost anything");
    t.end();
  },
);
