import t, { type Test } from "tap";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { dealOf } from "../../../vm/market/deal.ts";
import { LOT_STATUS, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { PAUSE, slotOf } from "../../../vm/market/slot.ts";
import { askToJoin, balanced, drawn, openPool, workersOf } from "./drawn.ts";
import { addressBy, createWorld, eventNames, market, receiptFor, type World } from "./world.ts";

const SINGLES = Array.from({ length: 24 }, (_, w) => [`w${w}`, 1] as const);
const FREE = `0x${"00".repeat(32)}`;
const TRUTH = receiptFor(1_000_000_000);
const LIE = receiptFor(1_000_000_000, { code: 1 });

/** What some workers do; all others compute, and reveal. */
interface Roles {
  readonly liars?: readonly Address[];
  readonly absent?: readonly Address[];
  readonly hiding?: readonly Address[];
}
/** Plays a lot until it is agreed, and reveals it. */
const play = (world: World, id: Hash, { liars = [], absent = [], hiding = [] }: Roles): void => {
  for (let i = 0; i < 80 && world.lot(id).status !== LOT_STATUS.revealing; i++) {
    const open = world.lot(id).seats.filter(({ status }) => status === SEAT.drawn);
    for (const worker of new Set(open.map((seat) => seat.worker)))
      if (!absent.includes(worker)) world.contribute(worker, id, liars.includes(worker) ? LIE : TRUTH);
    if (world.lot(id).status !== LOT_STATUS.revealing) world.advance(1);
  }
  const { seats, consensus } = world.lot(id);
  const agreed = seats.filter(({ resultHash, status }) => resultHash === consensus && status === SEAT.committed);
  for (const worker of new Set(agreed.map((seat) => seat.worker)))
    if (!hiding.includes(worker)) world.reveal(worker, id, TRUTH);
};
const slotsOf = (world: World, id: Hash, worker: Address) =>
  world
    .lot(id)
    .seats.filter((seat) => seat.worker === worker)
    .map((seat) => slotOf(world.state, seat.slot)!);
/** More than the time to reveal, and ten blocks. */
const REVEAL_SLOTS = 21;

t.test(
  "a slot that was silent is free once the time to reveal is over, for what it would have paid, though nobody finalizes",
  (t) => {
    const left = [0, REVEAL_SLOTS].map((slots) => {
      const world = createWorld({ workers: SINGLES });
      const { id } = drawn(world, { trust: 16n });
      const [absent] = workersOf(world, id) as [Address];
      play(world, id, { absent: [absent] });
      const seated = slotsOf(world, id, absent);
      t.ok(seated.length > 0 && seated.every(({ lot }) => lot === id), "bound until then");
      world.advance(slots);
      if (slots > 0) {
        t.equal(world.lot(id).status, LOT_STATUS.revealing);
        for (const slot of slotsOf(world, id, absent)) t.match(slot, { lot: FREE, pause: PAUSE.paused });
        t.ok(world.lot(id).seats.some(({ fined }) => fined > 0n));
        balanced(t, world);
      }
      const logs = eventNames(world.finalize(id).logs);
      t.equal(logs.filter((name) => name === "SlotFault").length, seated.length, "what it paid is logged with the end");
      balanced(t, world);
      return slotsOf(world, id, absent).map(({ stake }) => stake);
    });
    t.same(left[0], left[1]);
    t.end();
  },
);

t.test(
  "who hides what was agreed is free too, and who was wrong leaves its pool's array, though nobody finalizes",
  (t) => {
    const world = createWorld({ workers: SINGLES });
    const { id } = drawn(world, { trust: 16n });
    const [liar, hider] = workersOf(world, id) as [Address, Address];
    play(world, id, { liars: [liar], hiding: [hider] });
    const [wrong, hidden] = [liar, hider].map((worker) => slotsOf(world, id, worker)[0]!.id) as [number, number];
    world.advance(REVEAL_SLOTS);
    t.match(slotOf(world.state, hidden), { lot: FREE, pause: PAUSE.paused, absences: 1 });
    t.match(slotOf(world.state, wrong), { lot: id, pause: PAUSE.paused, absences: 0 });
    world.advance(8);
    t.equal(poolOf(world.state, world.pool)!.length, SINGLES.length - 2);
    t.throws(() => world.call(liar, MARKET, market("resume"), [BigInt(wrong), []]), /the slot leaves/);
    t.throws(() => world.call(liar, MARKET, market("leave"), [[BigInt(wrong)]]), /leaves already/);
    world.finalize(id);
    t.equal(slotOf(world.state, wrong), undefined, "and is thrown out with the lot");
    balanced(t, world);
    t.end();
  },
);

/** What the requester paid for a lot, and what its proved seats earned, each, in nRLC. */
const outcome = (t: Test, roles: (workers: readonly Address[]) => Roles, stakeRatio?: bigint) => {
  const world = createWorld({ workers: SINGLES });
  const pool = stakeRatio === undefined ? world.pool : openPool(world, "own", stakeRatio);
  const own = stakeRatio === undefined ? [] : SINGLES.map(([name]) => `own ${name}`);
  for (const name of own) askToJoin(world, pool, name, 1);
  world.advance(20);
  const before = world.state.balance(world.requester);
  const dealid = world.submit({ trust: 16n, pool });
  world.advance(2);
  const id = world.lotIdOf(dealid);
  play(world, id, roles(workersOf(world, id)));
  world.advance(REVEAL_SLOTS);
  const has = new Map(world.lot(id).seats.map(({ worker }) => [worker, world.account(worker).stake]));
  world.finalize(id);
  const { seats } = world.lot(id);
  const { stake, locked } = world.account(world.requester);
  t.equal(locked, 0n);
  const cap = dealOf(world.state, dealid)!.price;
  const paid = (before - world.state.balance(world.requester)) / 10n ** 9n - stake - 100n;
  t.ok(paid <= cap, "never above its cap");
  const earned = seats
    .filter(({ status }) => status === SEAT.proved)
    .map(({ worker }) => world.account(worker).stake - has.get(worker)!);
  for (const [name, [owed, has]] of Object.entries(world.books(own.map(addressBy)))) t.equal(owed, has, name);
  return { paid, seats: seats.length, each: earned.reduce((a, b) => (a < b ? a : b)) };
};

t.test(
  "liars pay for the seats that are drawn against them: not the requester, and not those who prove the result",
  (t) => {
    const honest = outcome(t, () => ({}));
    const enlarged = outcome(t, ([liar]) => ({ liars: [liar!] }));
    t.ok(enlarged.seats > honest.seats);
    t.equal(enlarged.paid, honest.paid);
    t.ok(enlarged.each > honest.each);
    const hidden = outcome(t, ([liar, hider]) => ({ liars: [liar!], hiding: [hider!] }));
    t.equal(hidden.seats, enlarged.seats);
    t.equal(hidden.paid, honest.paid, "one that hides makes it no dearer");
    t.ok(hidden.each > honest.each);
    const away = outcome(t, ([, absent]) => ({ absent: [absent!] }));
    t.ok(away.paid > honest.paid, "seats that stand in for who is away are the requester's");
    t.ok(away.each >= honest.each);
    const both = outcome(t, ([liar, absent]) => ({ liars: [liar!], absent: [absent!] }));
    t.ok(both.seats > away.seats);
    t.equal(both.paid, away.paid, "and those against liars beside it are not");
    t.ok(both.each >= away.each);
    t.end();
  },
);

t.test(
  "a pool in which workers answer for nothing of a price has its liars pay for the seats against them all the same",
  (t) => {
    const honest = outcome(t, () => ({}), 0n);
    const enlarged = outcome(t, ([liar]) => ({ liars: [liar!] }), 0n);
    t.ok(enlarged.seats > honest.seats);
    t.equal(enlarged.paid, honest.paid);
    t.ok(enlarged.each >= honest.each);
    t.end();
  },
);
