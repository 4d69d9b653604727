import t from "tap";
import { type Address, EMPTY, type Hash, utf8, word, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { RLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { functionsOf, GROUP_ABI, WORKERPOOL_ABI } from "../../../vm/market/abi.ts";
import { taskId } from "../../../vm/market/deal.ts";
import { KITTY } from "../../../vm/market/kitty.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { digestOf } from "../../../vm/wasm/receipt.ts";
import { createScene } from "./scene.ts";
import { addressBy, computeHonestly, eventNames, hub, market, receiptFor } from "./world.ts";

const PRICE = 80_000_000n;
const GPU = word(1n << 8n);
const SLOTS = [
  ["w0", 4],
  ["w1", 4],
  ["w2", 4],
] as const;
/** A deal with the genesis pool made of signed orders. */
const matched = (request: Partial<Parameters<ReturnType<typeof createScene>["requestOrder"]>[0]> = {}) => {
  const scene = createScene([], SLOTS);
  scene.stake(scene.requester, 1_000_000_000n);
  const dealid = scene.match({
    workerpool: scene.standingOrder(),
    request: { workerpoolmaxprice: PRICE, trust: 4n, ...request },
  });
  return { scene, dealid };
};

t.test("a deal of signed orders with the genesis pool is drawn, computed, paid and shown task by task", (t) => {
  const { scene, dealid } = matched({ volume: 2n });
  const { call, requester, view } = scene;
  const start = scene.account(requester);
  t.equal(start.locked, 2n * (PRICE + 50n));
  scene.advance(2);
  for (const index of [0, 1]) {
    const task = taskId(dealid, index);
    t.equal((view("viewTask", task) as AbiValue[])[0], 1n, "tools find each by PoCo's id");
    const logs = computeHonestly(scene.world, task, receiptFor(1_000_000_000));
    t.ok(eventNames(logs).includes("TaskFinalize"));
    const shown = view("viewTask", task) as AbiValue[];
    t.strictSame([shown[0], shown[1], shown[2]], [3n, dealid, BigInt(index)]);
    t.match(Buffer.from(shown[12] as Uint8Array).toString(), /"storage":"ipfs"/);
    t.equal(shown[11], digestOf(receiptFor(1_000_000_000)));
  }
  const end = scene.account(requester);
  t.equal(end.locked, 0n);
  t.equal(end.stake - start.stake, PRICE, "of two rounds one was bound");
  t.strictSame(scene.has("developer"), [100n, 0n]);
  t.strictSame(scene.account(KITTY), { stake: 0n, locked: 0n });
  for (const [name, [owed, has]] of Object.entries(scene.books([scene.scheduler]))) t.equal(owed, has, name);
  t.throws(() => call(requester, HUB, hub("claim"), [taskId(dealid, 0)]), /cannot be claimed/);
  t.end();
});

t.test("what PoCo's scheduler would do is refused where the chain schedules", (t) => {
  const { scene, dealid } = matched();
  const { call, requester } = scene;
  scene.advance(2);
  const task = taskId(dealid, 0);
  const worker = scene.lot(task).seats[0]!.worker;
  const authorized = [task, task, task, ZERO_ADDRESS, EMPTY, new Uint8Array(65)];
  t.throws(() => call(worker, HUB, hub("contribute"), authorized), /carries no signature/);
  t.throws(() => call(requester, HUB, hub("reopen"), [task]), /the chain schedules/);
  t.throws(
    () => call(worker, HUB, hub("contributeAndFinalize"), [task, task, EMPTY, EMPTY, ZERO_ADDRESS, EMPTY, EMPTY]),
    /the chain schedules/,
  );
  t.throws(() => call(requester, HUB, hub("initialize"), [dealid, 0n]), /the chain schedules/);
  const plain = [task, ...scene.commitmentOf("w0", task, "x"), ZERO_ADDRESS, EMPTY, EMPTY];
  call(worker, HUB, hub("contribute"), plain);
  t.equal((scene.view("viewContribution", task, worker) as AbiValue[])[0], 1n);
  t.end();
});

t.test("a callback's data is what the receipt has for it", (t) => {
  const { scene, dealid } = matched({ callback: addressBy("consumer") });
  scene.advance(2);
  const task = taskId(dealid, 0);
  const receipt = receiptFor(5, { callbackData: utf8("42") });
  computeHonestly(scene.world, task, receipt);
  t.strictSame(scene.view("resultFor", task), utf8("42"));
  t.strictSame((scene.view("viewTask", task) as AbiValue[])[14], receipt);
  t.end();
});

t.test("a sponsor of a drawn deal pays, and takes back what was not drawn", (t) => {
  const scene = createScene([], SLOTS);
  const { call, requester, staker } = scene;
  scene.stake(staker, 1_000_000_000n);
  const orders = scene.orders({
    workerpool: scene.standingOrder(),
    request: { workerpoolmaxprice: PRICE, trust: 4n, volume: 3n },
  });
  const dealid = call(staker, HUB, hub("sponsorMatchOrders"), orders).values[0] as Hash;
  t.equal(scene.account(staker).locked, 3n * (PRICE + 50n));
  t.equal(scene.account(requester).locked, 0n);
  t.throws(() => call(requester, MARKET, market("cancel"), [dealid]), /not the sponsor/);
  call(staker, MARKET, market("cancel"), [dealid]);
  t.strictSame(scene.account(staker), { stake: 1_000_000_000n, locked: 0n });
  t.end();
});

t.test("a drawn pool takes workers and requesters of its groups alone", (t) => {
  const scene = createScene(["w0"]);
  const { call, scheduler, pool, requester, staker } = scene;
  const group = functionsOf(GROUP_ABI);
  const create = (members: Address[]) => call(scheduler, MARKET, market("createGroup"), [members]).values[0] as Address;
  const [workers, requesters] = [create([addressBy("w0")]), create([])];
  call(scheduler, pool, functionsOf(WORKERPOOL_ABI)("changePolicy"), [100n, 10n]);
  call(scheduler, MARKET, market("openPool"), [pool, workers, requesters]);
  const validator = scene.validators[0]!;
  const join = [pool, validator, 2n];
  t.throws(() => call(staker, MARKET, market("join"), join, 20n * RLC), /does not take this worker/);
  scene.state.credit(addressBy("w0"), 20n * RLC);
  call(addressBy("w0"), MARKET, market("join"), join, 20n * RLC);
  t.throws(() => scene.match(), /0x1b/);
  call(scheduler, requesters, group("addMembers"), [[requester]]);
  t.throws(() => scene.match(), /the pool has 0 slots, and a committee takes 2/, "they are not there yet");
  scene.advance(12);
  const dealid = scene.match();
  scene.advance(2);
  const task = taskId(dealid, 0);
  t.equal(scene.lot(task).status, LOT_STATUS.computing);
  computeHonestly(scene.world, task, receiptFor(2_000_000_000));
  const pay = 500n - 125n;
  const each = (pay * 90n) / 100n / 2n;
  t.strictSame(scene.has("w0"), [1_000_000n + 2n * each, 0n]);
  t.strictSame(scene.has("scheduler"), [1_000_000n + pay - 2n * each, 0n], "its ratio of what is paid");
  t.end();
});

t.test("whoever matches has no say in what the public pool costs", (t) => {
  const scene = createScene([], SLOTS);
  scene.stake(scene.requester, 10_000_000_000n);
  const most = 1_000_000_000n;
  const fill = (pool: { workerpoolprice: bigint; trust: bigint }, trust: bigint) =>
    scene.match({
      workerpool: scene.standingOrder(pool),
      request: { workerpool: scene.genesisPool, workerpoolmaxprice: most, trust },
    });
  const refused = (pool: { workerpoolprice: bigint; trust: bigint }, trust: bigint, why: RegExp) =>
    t.throws(() => fill(pool, trust), why, `${pool.workerpoolprice} at ${pool.trust} for ${trust}`);
  const PRICE_OF_64 = 3n * PRICE;
  for (const workerpoolprice of [0n, PRICE - 1n, PRICE + 1n, PRICE_OF_64, most])
    refused({ workerpoolprice, trust: 4n }, 4n, /0x41/);
  refused({ workerpoolprice: PRICE, trust: 64n }, 4n, /0x41/);
  for (const trust of [0n, 1n, 4n])
    refused({ workerpoolprice: PRICE_OF_64, trust: 64n }, trust, /the pool's price for this trust is 80000000/);
  for (const [trust, asked] of [
    [4n, 0n],
    [4n, 1n],
    [1n, 1n],
    [4n, 3n],
    [4n, 4n],
  ] as const)
    t.equal((scene.view("viewDeal", fill({ workerpoolprice: PRICE, trust }, asked)) as AbiValue[][])[2]![2], PRICE);
  t.equal((scene.view("viewDeal", fill({ workerpoolprice: PRICE_OF_64, trust: 64n }, 64n)) as bigint[])[3], 64n);
  t.end();
});

t.test("a request is not filled in a drawn pool that can seat no committee", (t) => {
  const scene = createScene([], [["w0", 3]]);
  const { call, scheduler, pool, requester } = scene;
  scene.stake(requester, 10_000_000_000n);
  call(scheduler, MARKET, market("openPool"), [pool, ZERO_ADDRESS, ZERO_ADDRESS]);
  const before = scene.account(requester);
  t.throws(() => scene.match(), /the pool has 0 slots, and a committee takes 2/);
  const publicly = (workerpoolprice: bigint, trust: bigint) => ({
    workerpool: scene.standingOrder({ workerpoolprice, trust }),
    request: { workerpoolmaxprice: workerpoolprice, trust },
  });
  t.throws(() => scene.match(publicly(2n * PRICE, 16n)), /the pool has 3 slots, and a committee takes 4/);
  t.strictSame(scene.account(requester), before, "nothing is used up or locked");
  scene.match(publicly((3n * PRICE) / 2n, 8n));
  t.end();
});

t.test("a drawn pool has bounds that a scheduled one has not", (t) => {
  const scene = createScene(["w0"]);
  const { call, scheduler, pool } = scene;
  call(addressBy("owner"), HUB, hub("createCategory"), ["long", "more than a year", 31_536_001n]);
  const asked = [
    [{ workerpool: { category: 7n }, request: { category: 7n } }, /too long for a drawn pool/],
    [{ request: { params: "x".repeat(65_537) } }, /params are at most/],
    [{ workerpool: { trust: 101n }, request: { trust: 101n } }, /trust is at most/],
    [{ app: { tag: GPU }, workerpool: { tag: GPU } }, /0x06/],
  ] as const;
  for (const [options] of asked) scene.match(options);
  call(scheduler, MARKET, market("openPool"), [pool, ZERO_ADDRESS, ZERO_ADDRESS]);
  for (const [options, reason] of asked) t.throws(() => scene.match(options), reason);
  const many = 1n << 33n;
  const free = {
    app: { appprice: 0n, volume: many },
    workerpool: { workerpoolprice: 0n, volume: many },
    request: { volume: many },
  };
  t.throws(() => scene.match(free), /volume is at most/);
  t.end();
});
