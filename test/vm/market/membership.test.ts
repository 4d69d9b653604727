import t from "tap";
import { fromHex, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { signCompact } from "../../../lib/secp256k1.ts";
import { RLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { MARKET, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { joinHash } from "../../../vm/market/membership.ts";
import { poolOf } from "../../../vm/market/pool.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { askToJoin, balanced, drawn, openPool } from "./drawn.ts";
import { addressBy, createWorld, keyOf, market, receiptFor } from "./world.ts";

const STAKE = 10n * RLC;
const lengthOf = (world: ReturnType<typeof createWorld>) => poolOf(world.state, world.pool)!.length;

t.test("a join takes effect at the first block of the epoch after next", (t) => {
  const world = createWorld({ workers: [["w0", 1]] });
  const { pool, validators, staker, call, state } = world;
  world.advance(3);
  const before = state.balance(staker);
  call(staker, MARKET, market("join"), [pool, validators[1]!, 3n], 3n * STAKE);
  t.equal(state.balance(staker), before - 3n * STAKE);
  world.advance(4); // slot 7, epoch 1
  t.equal(lengthOf(world), 1);
  world.advance(1); // slot 8, epoch 2
  t.equal(lengthOf(world), 4);
  const slots = call(staker, MARKET, market("slotsOf"), [staker, 0n]).values[0] as bigint[];
  t.equal(slots.length, 3);
  const view = call(staker, MARKET, market("viewSlot"), [slots[0]!]).values[0] as AbiValue[];
  t.equal(view[5], validators[1]);
  t.strictSame(world.books([]).market[0], world.books([]).market[1]);
  t.end();
});

t.test("what does not fit is no join", (t) => {
  const { call, pool, staker, validators, app } = createWorld({ workers: [["w0", 1]] });
  const join = (value: bigint, args: AbiValue[]) => () => call(staker, MARKET, market("join"), args, value);
  t.throws(join(STAKE - 1n, [pool, validators[0]!, 1n]), /the value must be/);
  t.throws(join(2n * STAKE, [pool, validators[0]!, 1n]), /the value must be/);
  t.throws(join(0n, [pool, validators[0]!, 0n]), /1 to 4096/);
  t.throws(join(STAKE, [app, validators[0]!, 1n]), /no drawn pool/);
  t.throws(join(STAKE, [pool, staker, 1n]), /unknown validator/);
  t.end();
});

t.test("a staker puts in slots for a worker that signed for them, once", (t) => {
  const world = createWorld({ workers: [["w0", 1]] });
  const { call, pool, staker, validators, state } = world;
  const worker = addressBy("newcomer");
  const join = { pool, worker, staker, validator: validators[0]!, count: 2n };
  const signed = (nonce: number, key = keyOf("newcomer"), what = join) =>
    fromHex(signCompact(joinHash(ZERO_HASH, what, nonce), key));
  const ask = (signature: Uint8Array) => () =>
    call(staker, MARKET, market("joinFor"), [pool, worker, validators[0]!, 2n, signature], 2n * STAKE);
  t.throws(ask(signed(0, keyOf("staker"))), /not the worker's signature/);
  t.throws(ask(signed(1)), /not the worker's signature/);
  t.throws(ask(signed(0, keyOf("newcomer"), { ...join, validator: validators[1]! })), /not the worker's signature/);
  ask(signed(0))();
  t.throws(ask(signed(0)), /not the worker's signature/, "it serves once");
  world.advance(8);
  t.equal(lengthOf(world), 3);
  const slot = slotOf(state, 1)!;
  t.match(slot, { worker, staker });
  t.end();
});

t.test("a leave frees the stake two epochs later; a seated slot stays until its lot ends", (t) => {
  const world = createWorld({
    workers: [
      ["w0", 2],
      ["w1", 1],
    ],
  });
  const { call, state } = world;
  const w0 = addressBy("w0");
  const id = world.lotIdOf(world.submit());
  world.advance(2);
  const seated = world.lot(id).seats.find(({ worker }) => worker === w0)!.slot;
  t.throws(() => call(addressBy("w1"), MARKET, market("leave"), [[BigInt(seated)]]), /not your slot/);
  t.throws(() => call(w0, MARKET, market("leave"), [[99n]]), /no such slot/);
  call(w0, MARKET, market("leave"), [[BigInt(seated)]]);
  t.throws(() => call(w0, MARKET, market("leave"), [[BigInt(seated)]]), /leaves already/);
  world.advance(8);
  t.ok(slotOf(state, seated)!.leaving);
  const workers = [...new Set(world.lot(id).seats.map(({ worker }) => worker))];
  for (const worker of workers) world.contribute(worker, id, receiptFor(1_000_000));
  for (const worker of workers) world.reveal(worker, id, receiptFor(1_000_000));
  world.finalize(id);
  t.equal(slotOf(state, seated), undefined);
  t.equal(state.balance(w0), STAKE);
  const left = call(w0, MARKET, market("slotsOf"), [w0, 0n]).values[0] as bigint[];
  call(w0, MARKET, market("leave"), [left]);
  world.advance(12);
  t.equal(state.balance(w0), 2n * STAKE);
  t.equal(lengthOf(world), 1);
  t.strictSame(world.books([]).drawable[0], world.books([]).drawable[1]);
  t.end();
});

t.test("an owner opens a pool of its own, which takes whom it restricts to and earns no credit", (t) => {
  const world = createWorld({ workers: [["w0", 1]] });
  const { call, staker, requester, validators, state } = world;
  const create = functionsOf(WORKERPOOL_REGISTRY_ABI)("createWorkerpool");
  const pool = call(staker, WORKERPOOL_REGISTRY, create, [staker, "mine"]).values[0] as `0x${string}`;
  t.throws(
    () => call(requester, MARKET, market("openPool"), [pool, ZERO_ADDRESS, ZERO_ADDRESS]),
    /not the pool's owner/,
  );
  call(staker, MARKET, market("openPool"), [pool, staker, requester]);
  t.throws(() => call(staker, MARKET, market("openPool"), [pool, staker, requester]), /drawn already/);
  t.throws(
    () => call(requester, MARKET, market("join"), [pool, validators[0]!, 1n], STAKE),
    /does not take this worker/,
  );
  t.equal(poolOf(state, pool)!.isGenesis, false);
  t.end();
});

t.test("a slot that was absent leaves with its stake only once that is forgotten, however it leaves", (t) => {
  for (const asksFirst of [true, false]) {
    const world = createWorld({ workers: [["away", 2]], params: { slotSeconds: 60, workShareSeconds: 15 } });
    const { call, state } = world;
    const away = addressBy("away");
    const leave = () => call(away, MARKET, market("leave"), [[0n, 1n]]);
    if (asksFirst) leave();
    const { id } = drawn(world);
    world.advance(20);
    t.equal(world.lot(id).status, LOT_STATUS.failed, "both were silent");
    if (!asksFirst) leave();
    world.advance(20);
    t.equal(lengthOf(world), 0);
    t.match(slotOf(state, 0), { leaving: true, isPlaced: false, absences: 1, lot: ZERO_HASH });
    t.equal(state.balance(away), 0n);
    t.throws(leave, /leaves already/);
    t.throws(() => call(away, MARKET, market("resume"), [0n, []]), /the slot leaves/);
    balanced(t, world);
    world.advance(6 * 60);
    t.same([slotOf(state, 0), slotOf(state, 1)], [undefined, undefined]);
    t.equal(state.balance(away), 2n * STAKE);
    balanced(t, world);
  }
  t.end();
});

t.test("whoever fills the queues of pools of its own holds up no join, leave, pause or resumption elsewhere", (t) => {
  const world = createWorld({ workers: [["w0", 4]], params: { slotStakeNrlc: "1000000000", silencePenaltyNrlc: "1" } });
  const { call, state } = world;
  const w0 = addressBy("w0");
  const pools = ["a", "b", "small"].map((name) => openPool(world, name));
  const lengths = () => [world.pool, ...pools].map((pool) => poolOf(state, pool)!.length);
  call(w0, MARKET, market("pause"), [3n, []]);
  world.advance(8);
  t.same(lengths(), [3, 0, 0, 0]);
  for (const pool of pools.slice(0, 2)) askToJoin(world, pool, "stranger", 1_000);
  askToJoin(world, pools[2]!, "other", 2);
  askToJoin(world, world.pool, "honest", 3);
  call(w0, MARKET, market("leave"), [[0n]]);
  call(w0, MARKET, market("resume"), [3n, []]);
  world.advance(8);
  t.same(lengths(), [6, 512, 505, 2], "1,024 in all: those of the public pool, and pools in turn");
  world.advance(4);
  t.same(lengths(), [6, 1_000, 1_000, 2]);
  world.advance(4);
  for (const [name, [owed, has]] of Object.entries(world.books(["stranger", "other", "honest"].map(addressBy))))
    t.equal(owed, has, name);
  t.end();
});

t.test("half of an epoch's changes are for the public pool, the rest for all others", (t) => {
  const world = createWorld({ workers: [["w0", 4]], params: { slotStakeNrlc: "1000000000", silencePenaltyNrlc: "1" } });
  const own = openPool(world, "own");
  askToJoin(world, own, "stranger", 600);
  askToJoin(world, world.pool, "crowd", 700);
  world.advance(8);
  t.same([lengthOf(world), poolOf(world.state, own)!.length], [4 + 512, 512]);
  world.advance(4);
  t.same([lengthOf(world), poolOf(world.state, own)!.length], [704, 600]);
  t.end();
});
