import t from "tap";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { NRLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { burnedTotal } from "../../../vm/market/burned.ts";
import { claim } from "../../../vm/market/claim.ts";
import { LOT_STATUS, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { PAUSE, slotOf, slotsOfWorker } from "../../../vm/market/slot.ts";
import { marketSystemStep } from "../../../vm/market/system-step.ts";
import { WINDOW_BLOCKS } from "../../../vm/market/window.ts";
import { balanced, drawn, drawnApart, fresh, workersOf } from "./drawn.ts";
import { addressBy, createWorld, eventNames, hub, market, receiptFor, type World } from "./world.ts";

const GAS = 1_000_000_000;
const RESULT = receiptFor(GAS);
const STAKE = 10n * 10n ** 18n;
/** What a round of a seat's time costs in lots of the shortest clock, 2 Ggas, in wei. */
const ROUND_PRICE = 20_000_000n * NRLC;

const seatOf = (world: World, id: Hash, worker: Address) => world.lot(id).seats.find((seat) => seat.worker === worker)!;
/** Lets all but one worker answer, that one from the second round on, and reveal until the lot has ended. */
const others = (world: World, id: Hash, absent: Address): void => {
  for (let i = 0; i < 80; i++) {
    const { status, seats, round } = world.lot(id);
    if (status === LOT_STATUS.revealing) break;
    for (const worker of new Set(seats.filter((seat) => seat.status === SEAT.drawn).map((seat) => seat.worker)))
      if ((worker !== absent || round > 0) && world.lot(id).status === LOT_STATUS.computing)
        world.contribute(worker, id, RESULT);
    if (world.lot(id).status !== LOT_STATUS.revealing) world.advance(1);
  }
  const committed = world.lot(id).seats.filter(({ status }) => status === SEAT.committed);
  for (const worker of new Set(committed.map((seat) => seat.worker))) world.reveal(worker, id, RESULT);
  world.finalize(id);
};
const resume = (world: World, worker: Address, slot: number) =>
  world.call(worker, MARKET, market("resume"), [BigInt(slot), []]);
const pause = (world: World, worker: Address, slot: number, more: bigint[] = []) =>
  world.call(worker, MARKET, market("pause"), [BigInt(slot), more]);

t.test("a short absence costs less than a seat earns; the slot keeps its place and comes back by a message", (t) => {
  const { world, id } = drawnApart();
  const { state, pool } = world;
  const [absent] = workersOf(world, id) as [Address];
  const { slot } = seatOf(world, id, absent);
  others(world, id, absent);
  const paid = STAKE - slotOf(state, slot)!.stake;
  // Of the four seats' rounds a quarter is burned, and half of that is its part.
  t.equal(paid, (4n * ROUND_PRICE) / 4n / 2n, "a part of what was burned, where silence cost 0.1 RLC and the slot");
  t.match(slotOf(state, slot), { pause: PAUSE.paused, absences: 1, lot: `0x${"00".repeat(32)}`, drawable: false });
  t.equal(seatOf(world, id, absent).status, SEAT.silent);
  world.advance(8);
  t.same([slotOf(state, slot)!.isPlaced, poolOf(state, pool)!.length], [false, 15], "it is out of the array");
  t.throws(() => resume(world, addressBy("stranger"), slot), /not your slot/);
  t.same(eventNames(resume(world, absent, slot).logs), ["ResumeRequested"]);
  t.same(eventNames(resume(world, absent, slot).logs), [], "twice is once");
  world.advance(3);
  t.equal(slotOf(state, slot)!.drawable, false, "not before the epoch after next");
  world.advance(5);
  t.match(slotOf(state, slot), { pause: PAUSE.none, isPlaced: true, drawable: true });
  t.equal(poolOf(state, pool)!.length, 16);
  balanced(t, world);
  t.end();
});

t.test("who is absent again and again pays twice as much each time, rests longer, and is forgiven in time", (t) => {
  const world = createWorld({
    workers: [
      ["away", 1],
      ["there", 4],
    ],
  });
  const { state } = world;
  const away = addressBy("away");
  const costs: bigint[] = [];
  const rests: number[] = [];
  for (let i = 0; costs.length < 6; i++) {
    const { id } = drawn(world);
    const has = slotOf(state, 0)!.stake;
    others(world, id, away);
    if (seatOf(world, id, away)?.status !== SEAT.silent) continue;
    costs.push((has - slotOf(state, 0)!.stake) / (ROUND_PRICE / 2n));
    const since = world.block().timestamp;
    for (; ; world.advance(1))
      try {
        resume(world, away, 0);
        break;
      } catch (error) {
        t.match((error as Error).message, /rests until/);
      }
    rests.push(world.block().timestamp - since);
    world.advance(9);
    t.equal(slotOf(state, 0)!.drawable, true, `absence ${i}`);
  }
  t.same(costs, [1, 2, 4, 8, 8, 8].map(BigInt));
  t.same(
    [...rests].sort((a, b) => a - b),
    rests,
  );
  t.ok(rests[0] === 0 && rests[5]! > 200, `${rests}`);
  world.advance(6 * 3600 * 4);
  const { id } = drawn(world);
  others(world, id, away);
  if (seatOf(world, id, away)?.round === 0) t.equal(slotOf(state, 0)!.absences, 1);
  balanced(t, world);
  t.end();
});

t.test("a lot whose seats were silent burns what a declined one burns, and nobody is fined", (t) => {
  const { world, id } = drawnApart();
  const { state, requester } = world;
  const before = world.account(requester).stake + world.account(requester).locked;
  const burned = burnedTotal(state);
  world.advance(20);
  t.equal(world.lot(id).status, LOT_STATUS.failed, "two who say nothing are as two who decline");
  for (const { slot } of world.lot(id).seats) t.match(slotOf(state, slot), { stake: STAKE, pause: PAUSE.paused });
  t.ok(eventNames(world.call(requester, HUB, hub("claim"), [id]).logs).includes("TaskClaimed"));
  t.equal(burnedTotal(state) - burned, 2n * ROUND_PRICE, "a round of two seats");
  t.equal(before - world.account(requester).stake, (2n * ROUND_PRICE) / NRLC);
  t.equal(world.account(requester).locked, 0n);
  balanced(t, world);
  t.end();
});

t.test(
  "who has committed and is away when it is time to reveal is as the silent, unless its seal was another's",
  (t) => {
    for (const copies of [false, true]) {
      const { world, id } = drawnApart();
      const { state } = world;
      const [there, away] = workersOf(world, id) as [Address, Address];
      const { slot } = seatOf(world, id, away);
      world.contribute(there, id, RESULT);
      world.contribute(away, id, RESULT, copies ? there : away);
      world.reveal(there, id, RESULT);
      world.advance(19);
      t.throws(() => world.finalize(id), /cannot be finalized/);
      world.advance(1);
      world.finalize(id);
      t.equal(seatOf(world, id, away).status, copies ? SEAT.rejected : SEAT.silent);
      if (copies) t.equal(slotOf(state, slot), undefined);
      else t.match(slotOf(state, slot), { stake: STAKE - ROUND_PRICE / 4n, pause: PAUSE.paused, absences: 1 });
      t.equal(world.account(away).stake, 0n, "nor is it paid");
      balanced(t, world);
    }
    t.end();
  },
);

t.test("what is agreed and shown by nobody is no result: its seats are silent, and no slot is lost", (t) => {
  const { world, id } = drawnApart();
  const [a, b] = workersOf(world, id) as [Address, Address];
  for (const worker of [a, b]) world.contribute(worker, id, RESULT);
  t.equal(world.lot(id).status, LOT_STATUS.revealing);
  world.advance(20);
  t.equal(world.lot(id).status, LOT_STATUS.failed);
  for (const { slot, status } of world.lot(id).seats) {
    t.equal(status, SEAT.silent);
    t.match(slotOf(world.state, slot), { stake: STAKE, pause: PAUSE.paused });
  }
  world.call(world.requester, MARKET, market("claim"), [id]);
  balanced(t, world);
  t.end();
});

t.test("a network that stood still makes nobody silent: a round has ten blocks at least", (t) => {
  const { world, id } = drawnApart();
  const { state } = world;
  const late = world.block();
  // An hour without a block.
  const at = (blocks: number) => ({
    ...late,
    number: late.number + blocks,
    slot: late.slot + 3_600 + blocks,
    timestamp: late.timestamp + 3_600 + blocks,
  });
  for (let blocks = 1; blocks < WINDOW_BLOCKS; blocks++) {
    t.same(marketSystemStep(state, at(blocks)), []);
    t.ok(
      world.lot(id).seats.every(({ status }) => status === SEAT.drawn),
      `block ${blocks}`,
    );
    t.throws(() => claim({ state, block: at(blocks), log: () => {} }, id), /cannot be claimed now/, "long after 10t");
  }
  marketSystemStep(state, at(WINDOW_BLOCKS));
  t.ok(world.lot(id).seats.every(({ status }) => status === SEAT.silent));
  t.end();
});

t.test("slots that pause do not hold up those that stay, and keep their stake", (t) => {
  const world = fresh();
  const { state, pool, call } = world;
  for (const name of ["w0", "w1", "w2"]) {
    const [first, ...more] = slotsOfWorker(state, addressBy(name), 9).map(({ id }) => BigInt(id));
    const { logs } = pause(world, addressBy(name), Number(first), more);
    t.equal(logs.length, 4);
  }
  t.equal(poolOf(state, pool)!.drawable, 4);
  const dealid = world.submit();
  world.advance(3);
  t.throws(() => world.lot(world.lotIdOf(dealid)), /not drawn/, "a fourth of the array is too few");
  world.advance(6);
  t.equal(poolOf(state, pool)!.length, 4);
  t.same(workersOf(world, world.lotIdOf(dealid)), [addressBy("w3")], "and once the others are out of it, all");
  // Who is paused leaves as anybody does.
  const [gone] = slotsOfWorker(state, addressBy("w0"), 1);
  call(addressBy("w0"), MARKET, market("leave"), [[BigInt(gone!.id)]]);
  t.throws(() => resume(world, addressBy("w0"), gone!.id), /the slot leaves/);
  world.advance(9);
  t.equal(state.balance(addressBy("w0")), STAKE);
  t.throws(() => pause(world, addressBy("w1"), 4, Array(32).fill(4n)), /at most 32 slots/);
  const view = call(addressBy("w1"), MARKET, market("viewSlot"), [4n]).values[0] as AbiValue[];
  t.same(view.slice(10), [BigInt(PAUSE.paused), 0n, 0n]);
  balanced(t, world);
  t.end();
});

t.test("whatever a worker pauses and takes up, places change only when they were asked to epochs before", (t) => {
  const placesWith = (asks: readonly (readonly [slot: number, what: "pause" | "resume"])[]) => {
    const world = fresh();
    const w0 = addressBy("w0");
    const seen: string[] = [];
    for (let slot = 0; slot < 24; slot++) {
      for (const [at, what] of asks) if (at === slot) world.call(w0, MARKET, market(what), [0n, [1n, 2n, 3n]]);
      world.advance(1);
      const { length } = poolOf(world.state, world.pool)!;
      seen.push(`${length}`);
      balanced(t, world);
    }
    return seen;
  };
  // Epochs are four slots, changes come two epochs after they are asked for.
  const until = (lengths: readonly (readonly [number, number])[]) =>
    lengths.flatMap(([length, slots]) => Array<string>(slots).fill(`${length}`));
  t.same(
    placesWith([[1, "pause"]]),
    until([
      [16, 7],
      [12, 17],
    ]),
  );
  t.same(
    placesWith([
      [1, "pause"],
      [2, "resume"],
    ]),
    until([[16, 24]]).map((length) => length),
    "out and in at once",
  );
  t.same(
    placesWith([
      [1, "pause"],
      [9, "resume"],
    ]),
    until([
      [16, 7],
      [12, 8],
      [16, 9],
    ]),
  );
  // What is withdrawn at the last moment comes into the array all the same, is not drawn, and goes out again.
  t.same(
    placesWith([
      [1, "pause"],
      [9, "resume"],
      [15, "pause"],
    ]),
    until([
      [16, 7],
      [12, 8],
      [16, 8],
      [12, 1],
    ]),
  );
  t.end();
});
