import t from "tap";
import { type Address, type Hash, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { functionsOf, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { jobOf } from "../../../vm/market/deal.ts";
import { budgetOf } from "../../../vm/market/draw.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { waitingCount, waitingPools } from "../../../vm/market/waiting.ts";
import { HUB, MARKET, WORKERPOOL_REGISTRY } from "../../../vm/tables.ts";
import { ATTACKS, measureWaits } from "../../bench/security/waiting.ts";
import { drawn, drawnApart, workersOf } from "./drawn.ts";
import { addressBy, createWorld, hub, market, RLC, receiptFor, type World } from "./world.ts";

const registry = functionsOf(WORKERPOOL_REGISTRY_ABI);
const openPool = (world: World, name: string): Address => {
  const { developer } = world;
  const [pool] = world.call(developer, WORKERPOOL_REGISTRY, registry("createWorkerpool"), [developer, name]).values;
  world.call(developer, MARKET, market("openPool"), [pool!, ZERO_ADDRESS, ZERO_ADDRESS]);
  return pool as Address;
};
/** Puts slots into a pool, and waits until they are there. */
const join = (world: World, pool: Address, name: string, slots: number): void => {
  const { developer, validators, genesis } = world;
  const stake = genesis.params.slotStakeNrlc * 10n ** 9n * BigInt(slots);
  world.state.credit(addressBy(name), stake);
  world.state.debit(developer, stake);
  world.call(addressBy(name), MARKET, market("join"), [pool, validators[0]!, BigInt(slots)], stake);
  world.advance(4 * 4 + 4);
};
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

t.test("full lots are not given up before a last one of fewer tasks, whose time they pay for", (t) => {
  const world = createWorld({ workers: [["w0", 40]] });
  const [small] = [openPool(world, "small")] as [Address];
  join(world, small, "w1", 2);
  world.advance(12);
  const cheap = 30_000_000n;
  const bag = world.submit({ pool: small, trust: 100n, volume: 2 * 66 + 1, gasLimit: cheap });
  const giveUp = (...lots: bigint[]) =>
    world.call(world.requester, HUB, hub("initializeAndClaimArray"), [lots.map(() => bag), lots.map((i) => 66n * i)]);
  world.advance(100);
  t.throws(() => giveUp(0n, 1n), /the last lot has fewer tasks/);
  t.throws(() => giveUp(1n), /the last lot has fewer tasks/);
  giveUp(2n, 1n, 0n);
  t.match(jobOf(world.state, bag), { next: 3, lots: 3, failed: 3 });
  t.equal(world.account(world.requester).locked, 0n);
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
