import t from "tap";
import { type Address, EMPTY, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { LOT_STATUS, SEAT } from "../../../vm/market/lot.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { balanced, drawn, drawnApart, fresh, workersOf } from "./drawn.ts";
import { createScene, resultOf } from "./scene.ts";
import { addressBy, hub, market, receiptFor } from "./world.ts";

const TRUTH = receiptFor(1_000_000);

t.test("drawn: who commits twice keeps its first word, whatever the second says", (t) => {
  const { world, id } = drawnApart();
  const [twice, honest] = workersOf(world, id) as [Address, Address];
  world.contribute(twice, id, TRUTH);
  const before = world.state.commit().root;
  for (const receipt of [TRUTH, receiptFor(2)])
    t.throws(() => world.contribute(twice, id, receipt), /no seat of yours asks for this/);
  t.throws(() => world.call(twice, MARKET, market("decline"), [id]), /no seat of yours asks for this/);
  t.equal(world.state.commit().root, before);
  world.contribute(honest, id, TRUTH);
  t.throws(() => world.contribute(twice, id, receiptFor(2)), /no round is open/);
  for (const worker of [twice, honest]) world.reveal(worker, id, TRUTH);
  t.throws(() => world.reveal(twice, id, TRUTH), /no seat of yours asks for this/, "nor does it reveal twice");
  world.finalize(id);
  t.equal(world.account(twice).stake, world.account(honest).stake, "it is paid once");
  balanced(t, world);
  t.end();
});

t.test("scheduled: who contributes twice is refused, and locks one stake", (t) => {
  const scene = createScene();
  const task = scene.initialize(scene.match());
  scene.contribute("w0", task, "right");
  const has = scene.has("w0");
  for (const result of ["right", "wrong"]) t.throws(() => scene.contribute("w0", task, result), /reverted/);
  t.strictSame(scene.has("w0"), has);
  t.end();
});

t.test("drawn: a commitment copied from the chain cannot be revealed, and costs the slot's stake", (t) => {
  const { world, id } = drawnApart();
  const [victim, copier] = workersOf(world, id) as [Address, Address];
  world.contribute(victim, id, TRUTH);
  const { resultHash, resultSeal } = world.lot(id).seats.find(({ worker }) => worker === victim)!;
  const copied = world.lot(id).seats.find(({ worker }) => worker === copier)!.slot;
  world.call(copier, MARKET, market("contribute"), [id, resultHash, resultSeal, ZERO_HASH]);
  world.reveal(victim, id, TRUTH);
  // Now everybody knows the receipt.
  t.throws(() => world.reveal(copier, id, TRUTH), /not your seal/);
  t.throws(() => world.call(copier, HUB, hub("reveal"), [id, keccak256(TRUTH)]), /not your seal/);
  world.advance(20);
  world.finalize(id);
  t.equal(world.lot(id).seats.find(({ worker }) => worker === copier)!.status, SEAT.rejected);
  t.equal(slotOf(world.state, copied), undefined, "its slot is gone");
  t.equal(world.state.balance(copier), 0n, "and nothing of its stake came back");
  t.equal(world.account(copier).stake, 0n);
  t.ok(world.account(victim).stake > 0n, "who was copied is paid");
  balanced(t, world);
  t.end();
});

t.test("scheduled: a contribution copied from another loses its stake to it", (t) => {
  const scene = createScene();
  const task = scene.initialize(scene.match());
  scene.contribute("w0", task, "right");
  const [, hash, seal] = scene.view("viewContribution", task, addressBy("w0")) as [bigint, Hash, Hash];
  const copy = [task, hash, seal, ZERO_ADDRESS, EMPTY];
  const contribute = (authorization: Uint8Array) =>
    scene.call(addressBy("w1"), HUB, hub("contribute"), [...copy, authorization]);
  t.throws(() => contribute(scene.authorize("w0", task)), /reverted/, "nor is the other's authorization its own");
  contribute(scene.authorize("w1", task));
  scene.reveal("w0", task, "right");
  t.throws(() => scene.reveal("w1", task, "right"), /reverted/);
  scene.advance(20);
  const [before] = scene.has("w0");
  scene.finalize(task);
  t.strictSame(scene.has("w1"), [1_000_000n - 300n, 0n], "the stake of 30 % of the price is gone");
  t.ok(scene.has("w0")[0] > before + 300n, "and with who was copied");
  t.end();
});

t.test("nobody reveals what it did not commit to: another's digest, or without a seat", (t) => {
  const world = fresh();
  const { id } = drawn(world, { trust: 2n });
  const receipts = new Map<Address, Uint8Array>();
  for (let i = 0; world.lot(id).status !== LOT_STATUS.revealing && i < 50; i++) {
    const seat = world.lot(id).seats.find(({ status }) => status === SEAT.drawn);
    if (!seat) {
      world.advance(1);
      continue;
    }
    // The first of them finds something else.
    const receipt = receipts.size === 0 ? receiptFor(2) : TRUTH;
    receipts.set(seat.worker, receipt);
    world.contribute(seat.worker, id, receipt);
  }
  const [odd] = [...receipts.keys()] as [Address];
  t.equal(world.lot(id).status, LOT_STATUS.revealing);
  t.throws(() => world.reveal(odd, id, TRUTH), /no seat of yours asks for this|not your seal/);
  t.throws(() => world.reveal(odd, id, receiptFor(2)), /not the result agreed on/);
  t.throws(() => world.reveal(addressBy("stranger"), id, TRUTH), /no seat of yours asks for this/);

  const scene = createScene();
  const task = scene.initialize(scene.match());
  for (const [worker, result] of [
    ["w0", "wrong"],
    ["w1", "right"],
    ["w2", "right"],
    ["w3", "right"],
  ] as const)
    if ((scene.view("viewTask", task) as bigint[])[0] === 1n) scene.contribute(worker, task, result);
  for (const worker of ["w0", "w4"]) t.throws(() => scene.reveal(worker, task, "right"), /reverted/, worker);
  t.throws(() => scene.reveal("w1", task, "wrong"), /reverted/, "nor another one's than the agreed");
  scene.call(addressBy("w1"), HUB, hub("reveal"), [task, resultOf("right")]);
  t.end();
});
