import t from "tap";
import {
  type Address,
  concat,
  fromHex,
  type Hash,
  toHex,
  uint32,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../../../lib/bytes.ts";
import { keccak256Bytes } from "../../../lib/keccak.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { MARKET, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { candidateIndex, drawSeed } from "../../../vm/market/draw.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { slotAtIndex, slotOf } from "../../../vm/market/slot.ts";
import { waitingCount } from "../../../vm/market/waiting.ts";
import { addressBy, computeHonestly, createWorld, market, receiptFor } from "./world.ts";

const registry = functionsOf(WORKERPOOL_REGISTRY_ABI);
const WORKERS = [
  ["w0", 5],
  ["w1", 5],
] as const;

t.test("candidates are hashes of the block's own mix, the deal, the lot and the round", (t) => {
  const mix: Hash = `0x${"ab".repeat(32)}`;
  const deal: Hash = `0x${"cd".repeat(32)}`;
  const seed = drawSeed(mix, deal, 7, 2);
  const inner = keccak256Bytes(concat(utf8("rolec/draw"), fromHex(mix), fromHex(deal), uint32(7), Uint8Array.of(2)));
  t.strictSame(seed, inner);
  const outer = BigInt(toHex(keccak256Bytes(concat(inner, uint32(3)))));
  t.equal(candidateIndex(seed, 3, 10), Number(outer % 10n));
  t.end();
});

t.test(
  "a lot is drawn two slots after it is ready, the same everywhere, from candidates in order without busy ones",
  (t) => {
    const run = () => {
      const world = createWorld({ workers: WORKERS });
      const first = world.submit();
      const second = world.submit();
      world.advance(1);
      t.equal(lotOf(world.state, world.lotIdOf(first)), undefined, "not before");
      const ids = Array.from({ length: 10 }, (_, i) => slotAtIndex(world.state, world.pool, i)!);
      world.advance(1);
      return { world, first, second, ids };
    };
    const { world, first, second, ids } = run();
    const again = run();
    const busy = new Set<number>();
    for (const deal of [first, second]) {
      const seed = drawSeed(world.block().mixHash, deal, 0, 0);
      const expected: number[] = [];
      for (let j = 0; expected.length < 2; j++) {
        const slot = ids[candidateIndex(seed, j, 10)]!;
        if (!busy.has(slot)) expected.push(slot);
        busy.add(slot);
      }
      const lot = world.lot(world.lotIdOf(deal));
      t.strictSame(
        lot.seats.map(({ slot }) => slot),
        expected,
      );
      t.strictSame(again.world.lot(world.lotIdOf(deal)).seats, lot.seats);
      for (const { slot } of lot.seats) t.equal(slotOf(world.state, slot)!.lot, world.lotIdOf(deal));
    }
    t.end();
  },
);

t.test("lots wait while less than half of the slots are free, each deal in its turn", (t) => {
  const world = createWorld({ workers: WORKERS });
  const bag = world.submit({ volume: 6, gasLimit: 2_000_000_000n });
  const one = world.submit({ gasLimit: 2_000_000_000n });
  world.advance(2);
  const drawnOf = (deal: Hash) =>
    (world.call(world.requester, MARKET, market("viewJob"), [deal]).values[0] as AbiValue[])[6];
  // 10 free: a lot of each deal, then the bag's second; with 4 free of 10 no more
  t.equal(drawnOf(bag), 2n);
  t.equal(drawnOf(one), 1n);
  t.equal(poolOf(world.state, world.pool)!.drawable, 4);
  world.advance(3);
  t.equal(drawnOf(bag), 2n, "it waits");
  computeHonestly(world, world.lotIdOf(one), receiptFor(5));
  world.advance(1);
  t.equal(drawnOf(bag), 3n);
  t.end();
});

t.test("what exceeds a block's draws waits for the next block", (t) => {
  const world = createWorld({ workers: [["w0", 40]], params: { drawsPerBlock: 4 } });
  const bag = world.submit({ volume: 8, gasLimit: 2_000_000_000n });
  world.advance(2);
  const statuses = () => world.call(world.requester, MARKET, market("lotsOf"), [bag, 0n]).values[1] as bigint[];
  t.equal(statuses().filter((s) => s !== 0n).length, 2);
  world.advance(1);
  t.equal(statuses().filter((s) => s !== 0n).length, 4);
  world.advance(2);
  t.equal(statuses().filter((s) => s !== 0n).length, 8);
  t.end();
});

t.test("what exceeds a block's ends of rounds waits, and nothing is lost", (t) => {
  const world = createWorld({ workers: [["w0", 40]], params: { closesPerBlock: 1 } });
  const bag = world.submit({ volume: 5, gasLimit: 2_000_000_000n });
  world.advance(2 + 20);
  const silent = () =>
    [0, 1, 2, 3, 4].filter((i) => world.lot(world.lotIdOf(bag, i)).seats.some(({ status }) => status === SEAT.silent));
  t.equal(silent().length, 1);
  world.advance(2);
  t.equal(silent().length, 3);
  world.advance(2);
  t.equal(silent().length, 5);
  t.end();
});

t.test("after a standstill, what was due is done", (t) => {
  const world = createWorld({ workers: WORKERS });
  const id = world.lotIdOf(world.submit());
  world.advance(2);
  t.equal(world.lot(id).status, LOT_STATUS.computing);
  world.advance(200);
  t.equal(world.lot(id).status, LOT_STATUS.failed, "no answer within five times the category's time");
  t.end();
});

t.test("a pool that runs dry makes an escalation wait until it fails", (t) => {
  const world = createWorld({
    workers: [
      ["w0", 1],
      ["w1", 1],
    ],
  });
  const id = world.lotIdOf(world.submit());
  world.advance(2);
  world.contribute(addressBy("w0"), id, receiptFor(1));
  world.contribute(addressBy("w1"), id, receiptFor(2));
  t.equal(world.lot(id).status, LOT_STATUS.escalating);
  world.advance(50);
  t.equal(world.lot(id).status, LOT_STATUS.escalating);
  world.advance(1);
  t.equal(world.lot(id).status, LOT_STATUS.failed);
  t.equal(poolOf(world.state, world.pool)!.drawable, 2, "both are free again");
  t.end();
});

t.test("a worker finds what it is drawn for", (t) => {
  const world = createWorld({ workers: WORKERS });
  const id = world.lotIdOf(world.submit());
  world.advance(2);
  const seats = ["w0", "w1"].flatMap((name) => {
    const [slots, lots] = world.call(world.requester, MARKET, market("seatsOf"), [addressBy(name), 0n]).values as [
      bigint[],
      Hash[],
    ];
    t.ok(lots.every((lot) => lot === id));
    return slots.map(Number);
  });
  t.strictSame(
    seats.toSorted(),
    world
      .lot(id)
      .seats.map(({ slot }) => slot)
      .toSorted(),
  );
  t.not(id, ZERO_HASH);
  t.end();
});

t.test("a flood of deals in a pool without slots delays no deal of another pool", (t) => {
  const world = createWorld({ workers: WORKERS });
  const { values } = world.call(world.developer, WORKERPOOL_REGISTRY, registry("createWorkerpool"), [
    world.developer,
    "empty",
  ]);
  const empty = values[0] as Address;
  world.call(world.developer, MARKET, market("openPool"), [empty, ZERO_ADDRESS, ZERO_ADDRESS]);
  for (let i = 0; i < 600; i++) world.submit({ pool: empty });
  const honest = world.submit();
  world.advance(2);
  t.ok(lotOf(world.state, world.lotIdOf(honest)), "drawn as soon as it is ready");
  t.equal(waitingCount(world.state, empty), 600);
  t.end();
});

t.test("a job has at least the gas that a task starts with", (t) => {
  const world = createWorld({ workers: WORKERS });
  t.throws(() => world.submit({ gasLimit: 29_999_999n }), /gasLimit must be from 30000000/);
  t.ok(world.submit({ gasLimit: 30_000_000n }));
  t.end();
});
