import t from "tap";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { RLC } from "../../../lib/units.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { jobOf } from "../../../vm/market/deal.ts";
import { budgetOf } from "../../../vm/market/draw.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { waitingCount, waitingPools } from "../../../vm/market/waiting.ts";
import { ATTACKS, measureWaits } from "../../bench/security/waiting.ts";
import { askToJoin, drawn, drawnApart, join, openPool, workersOf } from "./drawn.ts";
import { addressBy, createWorld, hub, market, receiptFor, type World } from "./world.ts";

const isDrawn = (world: World, deal: Hash): boolean => jobOf(world.state, deal)!.next > 0;

t.test("a twentieth of the slots and 1 RLC keep no lot of the shortest category waiting for two minutes", (t) => {
  const { waits, spent } = measureWaits(ATTACKS["inputs that half get, small"]!, "short", RLC, 40);
  t.ok(Math.max(...waits) <= 60, `${Math.max(...waits)} s`);
  t.ok(Math.max(...waits) >= 20, "it is an attack");
  t.ok(spent > RLC / 2n, "and is paid for");
  t.end();
});

t.test("the cheapest wide lots of the longest category bind half of a pool for seconds, not for hours", (t) => {
  const others = Array.from({ length: 19 }, (_, i) => [`h${i}`, 3] as const);
  const world = createWorld({ workers: [...others, ["evil", 3]], params: { maxTrust: "10000" } });
  const { state, pool } = world;
  for (let i = 0; i < 4; i++) world.submit({ category: 6n, gasLimit: 30_000_000n, trust: 10_000n });
  world.advance(3);
  t.ok(2 * poolOf(state, pool)!.drawable < poolOf(state, pool)!.length, "half is bound");
  const honest = world.submit();
  world.advance(16);
  t.notOk(isDrawn(world, honest));
  // nobody answers: rounds of 20 s end, and their slots are out of the pool some epochs later
  world.advance(5 + 8);
  t.ok(isDrawn(world, honest));
  t.end();
});

t.test("wide lots of somebody's own pool leave half of a block's draws to the public pool", (t) => {
  const world = createWorld({ workers: [["h", 60]], params: { maxTrust: "10000", drawsPerBlock: 32 } });
  const { state } = world;
  const own = openPool(world, "own");
  join(world, own, "member", 28);
  world.submit({ pool: own, trust: 10_000n, volume: 100, gasLimit: 2_000_000_000n, value: 500n * RLC });
  const bag = world.submit({ trust: 2n, volume: 20, gasLimit: 2_000_000_000n, value: 500n * RLC });
  for (let i = 0; i < 4 && jobOf(state, bag)!.next === 0; i++) world.advance(1);
  t.equal(jobOf(state, bag)!.next, 9, "16 seats, and what a lot of 14 leaves of the others'");
  t.end();
});

t.test("pools that can draw nothing have no turns, and get them once they can", (t) => {
  const world = createWorld({ workers: [["w0", 8]] });
  const empty = openPool(world, "empty");
  const stuck = world.submit({ pool: empty });
  const honest = world.submit();
  world.advance(2);
  t.ok(isDrawn(world, honest));
  for (const line of [waitingPools.genesis, waitingPools.others])
    t.equal(line.first(world.state), undefined, "no pool has a turn");
  t.equal(waitingCount(world.state, empty), 1);
  join(world, empty, "w1", 4);
  t.ok(isDrawn(world, stuck), "drawn when slots have come");
  t.equal(waitingCount(world.state, empty), 0);
  t.end();
});

t.test("deals whose committees are larger than what a pool has cost its other deals nothing", (t) => {
  const world = createWorld({ workers: [["w0", 6]], params: { drawsPerBlock: 2 } });
  for (let i = 0; i < 39; i++) world.submit({ trust: 100n });
  const honest = world.submit();
  t.ok(budgetOf({ state: world.state, block: world.block(), log: () => {} }).candidates < 39, "fewer than the deals");
  world.advance(6);
  t.ok(isDrawn(world, honest), "eight begin to wait in a block, and it is drawn at once");
  t.end();
});

t.test("who came first is first, however many come after", (t) => {
  const world = createWorld({ workers: [["w0", 4]] });
  const deals = [0, 1, 2].map(() => world.submit());
  const drawnNow = () => deals.map((deal) => isDrawn(world, deal));
  world.advance(2);
  t.strictSame(drawnNow(), [true, true, false], "two lots fill the pool");
  for (let i = 0; i < 4; i++) deals.push(world.submit());
  world.advance(2);
  for (let i = 0; i < 3; i++) {
    const id = world.lotIdOf(deals[i]!);
    world.contribute(addressBy("w0"), id, receiptFor(5));
    world.reveal(addressBy("w0"), id, receiptFor(5));
    world.finalize(id);
    world.advance(1);
    t.equal(drawnNow().lastIndexOf(true), i + 2);
    t.equal(drawnNow().indexOf(false), i + 3);
  }
  t.end();
});

t.test("deals of a pool have as many seats in turn, whatever the size of their committees", (t) => {
  const world = createWorld({ workers: [["w0", 120]], params: { drawsPerBlock: 30 } });
  const wide = world.submit({ trust: 100n, volume: 100, gasLimit: 2_000_000_000n });
  const narrow = [0, 1].map(() => world.submit({ trust: 4n, volume: 100, gasLimit: 2_000_000_000n }));
  world.advance(3);
  const seats = (deal: Hash, each: number): number => jobOf(world.state, deal)!.next * each;
  t.ok(Math.abs(seats(wide, 7) - seats(narrow[0]!, 2)) <= 7);
  t.ok(Math.abs(seats(wide, 7) - seats(narrow[1]!, 2)) <= 7);
  t.end();
});

t.test("a waiting lot is given up by its sponsor, and by others only where its pool has no slots", (t) => {
  const world = createWorld({ workers: [["w0", 4]] });
  const [empty, small] = ["empty", "small"].map((name) => openPool(world, name)) as [Address, Address];
  join(world, small, "w1", 2);
  const stuck = world.submit({ pool: empty });
  const bag = world.submit({ pool: small, trust: 100n, volume: 8, gasLimit: 2_000_000_000n });
  const giveUp = (from: Address, deal: Hash, index: bigint) =>
    world.call(from, HUB, hub("initializeAndClaimArray"), [[deal], [index]]);
  t.throws(() => giveUp(world.requester, bag, 7n), /cannot be claimed now/);
  world.advance(100);
  t.throws(() => giveUp(world.staker, bag, 7n), /only its sponsor/);
  giveUp(world.requester, bag, 7n);
  t.equal(jobOf(world.state, bag)!.givenUp, 1);
  giveUp(world.staker, stuck, 0n);
  t.equal(world.lot(world.lotIdOf(stuck)).status, LOT_STATUS.claimed);
  t.end();
});

t.test(
  "a seat that has proved its result is free, though another does not reveal, and its slot pays to finalize",
  (t) => {
    const { world, id } = drawnApart();
    const { state } = world;
    const [first, second] = workersOf(world, id) as [Address, Address];
    for (const worker of [first, second]) world.contribute(worker, id, receiptFor(5));
    const slotOfSeat = (worker: Address) => slotOf(state, world.lot(id).seats.find((s) => s.worker === worker)!.slot)!;
    world.reveal(first, id, receiptFor(5));
    t.ok(slotOfSeat(first).drawable);
    t.equal(slotOfSeat(second).lot, id);
    world.reveal(second, id, receiptFor(5));
    // drawn again for another lot before this one is over
    const next = drawn(world, { trust: 100n });
    const lot = world.lot(next.id);
    world.finalize(id);
    for (const { slot, status } of lot.seats) {
      t.equal(status, SEAT.drawn);
      t.equal(slotOf(state, slot)!.lot, next.id, "what ends elsewhere leaves it seated");
    }
    t.end();
  },
);

t.test("where seats declined a lot has one more round at most, and twice its seats", (t) => {
  const { world, id } = drawnApart({ trust: 16n });
  const half = (round: number) => {
    const seats = world.lot(id).seats.filter((seat) => seat.round === round && seat.status === SEAT.drawn);
    const workers = [...new Set(seats.map(({ worker }) => worker))];
    for (const [i, worker] of workers.entries())
      if (i % 2 === 0) world.call(worker, MARKET, market("decline"), [id]);
      else world.contribute(worker, id, receiptFor(5));
  };
  world.advance(19);
  half(0);
  t.equal(world.lot(id).status, LOT_STATUS.escalating);
  world.advance(2);
  t.ok(world.lot(id).seats.length <= 10, "k is four: at most ten");
  world.advance(19);
  half(1);
  const lot = world.lot(id);
  t.not(lot.status, LOT_STATUS.escalating, "40 s are over, of 30");
  if (lot.status === LOT_STATUS.failed) t.ok(lot.isUnserved);
  t.ok(lotOf(world.state, id));
  t.end();
});

t.test("a crowd of other rounds in somebody's own pool leaves first rounds of others their part of each block", (t) => {
  const params = { drawsPerBlock: 32, slotStakeNrlc: "1000000000", silencePenaltyNrlc: "100000000" };
  const world = createWorld({ workers: [["h", 8]], params });
  const [own, other] = ["own", "other"].map((name) => openPool(world, name)) as [Address, Address];
  for (const name of ["m0", "m1"]) askToJoin(world, own, name, 100);
  join(world, other, "w", 8);
  const crowd = Array.from({ length: 32 }, () => world.submit({ pool: own, trust: 4n }));
  world.advance(6);
  const split = crowd.map((deal) => world.lotIdOf(deal)).filter((id) => workersOf(world, id).length === 2);
  for (const id of split) {
    world.contribute(addressBy("m0"), id, receiptFor(5));
    world.call(addressBy("m1"), MARKET, market("decline"), [id]);
    t.match(world.lot(id), { status: LOT_STATUS.escalating, wanted: 3 });
  }
  t.ok(3 * split.length > 32, "more seats than a block draws");
  const honest = [world.submit({ trust: 4n }), world.submit({ pool: other, trust: 4n })];
  world.advance(2);
  for (const deal of honest) t.ok(isDrawn(world, deal));
  const left = split.filter((id) => world.lot(id).status === LOT_STATUS.escalating).length;
  t.equal(split.length - left, 9, "28 seats of the block are for other rounds, of which the last goes over");
  world.advance(2);
  for (const id of split) t.not(world.lot(id).status, LOT_STATUS.escalating, "and those come too");
  t.end();
});

t.test("a lot that waits for another round in a pool that is busy holds up no other of its pool, or of others", (t) => {
  const world = createWorld({ workers: [["h", 8]] });
  const own = openPool(world, "own");
  for (const name of ["m0", "m1"]) askToJoin(world, own, name, 2);
  world.advance(20);
  const stuck = Array.from({ length: 2 }, () => world.submit({ pool: own, trust: 4n }));
  const wide = world.submit({ trust: 4n });
  world.advance(2);
  t.equal(poolOf(world.state, own)!.drawable, 0);
  for (const deal of stuck) {
    const id = world.lotIdOf(deal);
    const [first, second] = workersOf(world, id);
    if (!second) continue;
    world.contribute(first!, id, receiptFor(5));
    world.contribute(second, id, receiptFor(6));
  }
  t.ok(isDrawn(world, wide));
  const before = world.submit({ trust: 4n });
  world.advance(2);
  t.ok(isDrawn(world, before));
  world.advance(60);
  for (const deal of stuck) t.not(world.lot(world.lotIdOf(deal)).status, LOT_STATUS.escalating, "it fails in time");
  t.end();
});
