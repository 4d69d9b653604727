import t from "tap";
import { type Address, EMPTY, type Hash, utf8 } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { NRLC } from "../../../lib/units.ts";
import type { AbiValue } from "../../../vm/abi.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { MARKET_EVENTS } from "../../../vm/market/abi.ts";
import { burnedOfEra, burnedTotal } from "../../../vm/market/burned.ts";
import { finalDeadline, LOT_STATUS, SEAT } from "../../../vm/market/lot.ts";
import { outputCid } from "../../../vm/market/result.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { validators } from "../../../vm/validators.ts";
import { digestOf, encodeLotReceipt, merkleProof } from "../../../vm/wasm/receipt.ts";
import { balanced, drawn, drawnApart, fresh, workersOf } from "./drawn.ts";
import { addressBy, computeHonestly, eventNames, hub, lotReceipt, market, receiptFor, type World } from "./world.ts";

const pendingCredit = ({ state, validators: all }: World): bigint =>
  all.reduce((sum, validator) => sum + validators.find(state, validator)!.pendingContribution, 0n);

t.test("a lot that all agree on pays seats, burns its share, credits validators and unlocks the rest", (t) => {
  const world = fresh();
  const { state, requester, developer } = world;
  const { dealid, id } = drawn(world, { category: 1n, gasLimit: 12_000_000_000n });
  const price = 280_000_000n; // 0.01 RLC a Ggas, two seats, two rounds of 70 s
  t.equal(world.account(requester).locked, price + 100n);
  t.equal(world.lot(id).seats.length, 2);
  const receipt = receiptFor(10_500_000_000);
  const logs = computeHonestly(world, id, receipt);
  t.strictSame(eventNames(logs).slice(0, 3), ["Seize", "Transfer", "Seize"], "the burned share leaves the supply");
  t.ok(eventNames(logs).includes("TaskFinalize"));
  t.ok(eventNames(logs).includes("LotFinalized"));
  t.equal(world.account(requester).locked, 0n);
  t.equal(world.account(requester).stake, price / 4n, "three quarters of what it bought, three quarters of the price");
  t.equal(world.account(developer).stake, 100n);
  const metered = (price / 4n) * 3n;
  const burned = metered / 4n;
  t.equal(burnedOfEra(state, 0), burned);
  const paid = world.lot(id).seats.reduce((sum, { worker }) => sum.add(worker), new Set<Address>());
  const earned = [...paid].reduce((sum, worker) => sum + world.account(worker).stake, 0n);
  t.equal(earned, metered - burned);
  t.equal(pendingCredit(world), burned * NRLC, "at the standing price, credit is what was burned");
  t.ok(world.lot(id).seats.every(({ slot }) => slotOf(state, slot)!.drawable));
  const task = world.call(requester, HUB, hub("viewTask"), [id]).values[0] as AbiValue[];
  t.equal(task[0], 3n);
  t.strictSame(task[14], receipt);
  const location = `/ipfs/${outputCid(keccak256(utf8("output")))}`;
  t.strictSame(JSON.parse(Buffer.from(task[12] as Uint8Array).toString()), { storage: "ipfs", location });
  const deal = world.call(requester, HUB, hub("viewDeal"), [dealid]).values[0] as AbiValue[];
  t.equal(deal[15], requester);
  balanced(t, world);
  t.end();
});

t.test("PoCo's events go with a lot of one", (t) => {
  const world = fresh();
  const { id } = drawn(world);
  const [first] = workersOf(world, id);
  const { logs } = world.contribute(first!, id, receiptFor(7));
  t.strictSame(eventNames(logs).slice(0, 4), ["TaskInitialize", "LotDrawn", "TaskContribute", "LotContributed"]);
  t.end();
});

t.test("the hub's calls serve a lot of one", (t) => {
  const { world, id } = drawnApart();
  const receipt = receiptFor(1_000);
  const [a, b] = workersOf(world, id) as [Address, Address];
  for (const worker of [a, b]) world.contribute(worker, id, receipt);
  const digest = digestOf(receipt);
  t.throws(() => world.call(a, HUB, hub("reveal"), [id, digest]), /receipt is not known/);
  world.reveal(a, id, receipt);
  t.throws(() => world.finalize(id), /cannot be finalized/, "one still has time");
  world.call(b, HUB, hub("reveal"), [id, digest]);
  t.throws(() => world.call(a, HUB, hub("finalize"), [id, utf8("x"), new Uint8Array()]), /chain writes/);
  world.call(a, HUB, hub("finalize"), [id, new Uint8Array(), new Uint8Array()]);
  t.equal(world.lot(id).status, LOT_STATUS.completed);
  t.end();
});

t.test(
  "a lot of several pays its owners at once for what is not INVALID; settling makes records and moves nothing",
  (t) => {
    const world = fresh();
    const { dealid, id } = drawn(world, { volume: 3, gasLimit: 500_000_000n });
    t.equal(world.lot(id).count, 3);
    const receipts = [receiptFor(100), receiptFor(200, { status: 5 }), receiptFor(300)];
    const receipt = lotReceipt(receipts);
    t.throws(() => {
      for (const worker of workersOf(world, id)) world.contribute(worker, id, receipts[0]!);
      world.reveal(workersOf(world, id)[0]!, id, receipts[0]!);
    }, /not a receipt/);
    const other = fresh();
    const again = drawn(other, { volume: 3, gasLimit: 500_000_000n });
    computeHonestly(other, again.id, receipt);
    const { requester, developer } = other;
    t.equal(other.account(developer).stake, 200n, "one was INVALID");
    t.equal(other.account(requester).locked, 0n);
    const paid = other.account(requester);
    const leaves = receipts.map(digestOf);
    const settle = (i: number, what = receipts[i]!) =>
      other.call(requester, MARKET, market("settle"), [again.id, BigInt(i), what, merkleProof(leaves, i)]);
    t.throws(() => settle(1, receipts[0]), /not a receipt of this lot/);
    for (const i of [0, 1]) settle(i);
    t.throws(() => settle(1), /settled already/);
    const { serveSeconds } = other.block().params;
    other.advance(finalDeadline(other.lot(again.id)) + serveSeconds - other.block().timestamp);
    t.throws(() => settle(2, EMPTY), /not a receipt of this lot/, "what is lost pays nobody back");
    settle(2);
    t.equal(other.account(developer).stake, 200n);
    t.same(other.account(requester), paid);
    t.same(dealid, again.dealid);
    balanced(t, other);
    t.end();
  },
);

t.test("an INVALID task pays for its gas, but not its app", (t) => {
  const world = fresh();
  const { id } = drawn(world);
  computeHonestly(world, id, receiptFor(1_000_000, { status: 5 }));
  t.equal(world.account(world.developer).stake, 0n);
  t.equal(world.account(world.requester).locked, 0n);
  balanced(t, world);
  t.end();
});

t.test("only what was executed earns credit, in lots of one and of several", (t) => {
  const credits = (receipts: readonly Uint8Array[]): { credit: bigint; burned: bigint } => {
    const world = fresh();
    // More gas than a round's time is worth, so that what is paid is for gas.
    const { id } = drawn(world, { category: 1n, volume: receipts.length, gasLimit: 3_000_000_000n });
    computeHonestly(world, id, lotReceipt(receipts));
    balanced(t, world);
    return { credit: pendingCredit(world), burned: burnedTotal(world.state) };
  };
  const GAS = 3_000_000_000;
  const full = credits([receiptFor(GAS)]);
  t.equal(full.credit, full.burned);
  for (const [name, changes, share] of [
    ["half of it slept", { gasExecuted: GAS / 2 }, 2n],
    ["a trap that costs the limit", { status: 2, gasExecuted: GAS / 8 }, 8n],
  ] as const) {
    const { credit, burned } = credits([receiptFor(GAS, changes)]);
    t.same([credit, burned], [full.burned / share, full.burned], name);
  }
  t.same(credits([receiptFor(GAS, { gasExecuted: 0 })]), { credit: 0n, burned: full.burned }, "all of it slept");
  t.same(credits([receiptFor(GAS, { status: 5 })]), { credit: 0n, burned: full.burned }, "INVALID");
  const bag = credits([receiptFor(GAS), receiptFor(GAS, { gasExecuted: 0 }), receiptFor(GAS, { status: 5 })]);
  t.same(bag, { credit: full.burned, burned: 3n * full.burned });
  t.end();
});

t.test("more seats than were paid for do not make credit of gas that was not executed", (t) => {
  const { world, id } = drawnApart();
  const [liar] = workersOf(world, id);
  const half = receiptFor(1_000_000_000, { gasExecuted: 500_000_000 });
  world.contribute(liar!, id, receiptFor(1));
  for (const worker of workersOf(world, id)) if (worker !== liar) world.contribute(worker, id, half);
  for (let i = 0; i < 40 && world.lot(id).status !== LOT_STATUS.revealing; i++) {
    world.advance(1);
    const drawn = world.lot(id).seats.filter(({ status }) => status === SEAT.drawn);
    for (const worker of new Set(drawn.map(({ worker }) => worker))) world.contribute(worker, id, half);
  }
  const agreed = world.lot(id).seats.filter(({ resultHash }) => resultHash === world.lot(id).consensus);
  for (const worker of new Set(agreed.map(({ worker }) => worker))) world.reveal(worker, id, half);
  const before = burnedTotal(world.state);
  const { logs } = world.finalize(id);
  const proved = world.lot(id).seats.filter(({ status }) => status === SEAT.proved).length;
  t.ok(proved > 2, `${proved} seats`);
  const finalized = MARKET_EVENTS.LotFinalized!;
  const event = finalized.decode(logs.find(({ topics }) => topics[0] === finalized.topic)!) as AbiValue[];
  const [, , used, executed, burned, , credit] = event as [Hash, Hash, bigint, bigint, bigint, bigint, bigint];
  t.same([used, executed], [1_000_000_000n, 500_000_000n]);
  t.ok(burned * NRLC <= burnedTotal(world.state) - before);
  // What is burned is for two gigagas of a round's time, a quarter of which was executed.
  t.ok(credit <= (burned * NRLC) / 4n && credit > (burned * NRLC) / 4n - BigInt(proved), `${credit} of ${burned}`);
  t.end();
});

t.test("a receipt that claims more tasks than the lot has, or more work than gas, is none", (t) => {
  const world = fresh();
  const { id } = drawn(world, { volume: 2, gasLimit: 500_000_000n });
  const root = keccak256(utf8("root"));
  const [first] = workersOf(world, id);
  const receipt = encodeLotReceipt({ gasUsed: 10, gasExecuted: 10, valid: 3, root });
  for (const worker of workersOf(world, id)) world.contribute(worker, id, receipt);
  t.throws(() => world.reveal(first!, id, receipt), /not a receipt/);
  t.end();
});

t.test("a lot pays for a round of its seats' time, however little gas it uses", (t) => {
  const world = fresh();
  const { id } = drawn(world, { gasLimit: 30_000_000n });
  t.equal(world.account(world.requester).locked, 80_000_000n + 100n, "two rounds of 20 s at 10^8 gas a second");
  computeHonestly(world, id, receiptFor(30_000_000));
  t.equal(world.account(world.requester).stake, 40_000_000n);
  balanced(t, world);
  t.end();
});

t.test("a lot's clock is that of its gas, and its rounds and deadlines go by it", (t) => {
  const world = fresh();
  const { dealid, id } = drawn(world, { category: 6n, gasLimit: 4_000_000_000n });
  const { drawTime, roundEnd, timeref } = world.lot(id);
  t.equal(timeref, 20, "not the ten hours of its category");
  t.equal(roundEnd - drawTime, 30);
  t.equal(finalDeadline(world.lot(id)) - drawTime, 200);
  const job = world.call(world.requester, MARKET, market("viewJob"), [dealid]).values[0] as AbiValue[];
  t.equal(job[11], 20n, "what workers go by");
  t.end();
});

t.test("a liar loses its slot, the honest result is agreed, and who refutes the lie is paid by it", (t) => {
  const { world, id } = drawnApart();
  const { state } = world;
  const [liar, honest] = workersOf(world, id) as [Address, Address];
  const liarSlot = world.lot(id).seats.find(({ worker }) => worker === liar)!.slot;
  const truth = receiptFor(400_000_000);
  const lie = receiptFor(400_000_001);
  world.contribute(liar, id, lie);
  world.contribute(honest, id, truth);
  t.equal(world.lot(id).status, LOT_STATUS.escalating);
  t.equal(world.lot(id).wanted, 3, "against one, four settle trust 4: 8*4 > 11*3 does not hold, 16*4 > 19*3 does");
  // whoever is drawn next tells the truth
  while (world.lot(id).status === LOT_STATUS.escalating || world.lot(id).status === LOT_STATUS.computing) {
    world.advance(1);
    for (const { worker, status } of world.lot(id).seats)
      if (status === SEAT.drawn && world.lot(id).seats.some((s) => s.worker === worker && s.status === SEAT.drawn))
        world.contribute(worker, id, truth);
  }
  t.equal(world.lot(id).status, LOT_STATUS.revealing);
  for (const worker of workersOf(world, id))
    if (world.lot(id).seats.some((s) => s.worker === worker && s.resultHash === world.lot(id).consensus))
      world.reveal(worker, id, truth);
  t.throws(() => world.reveal(liar, id, lie), /not the result agreed on/);
  world.finalize(id);
  t.equal(slotOf(state, liarSlot), undefined, "the liar's slot is gone");
  t.equal(world.lot(id).seats.find(({ slot }) => slot === liarSlot)!.status, SEAT.rejected);
  const price = 80_000_000n;
  const metered = price / 2n;
  const proved = world.lot(id).seats.filter(({ status }) => status === SEAT.proved);
  const each = (metered - metered / 4n + price) / BigInt(proved.length);
  t.ok(world.account(honest).stake >= each, "the worker stake is shared by those who proved");
  balanced(t, world);
  t.end();
});

t.test("a result that was shown is paid for, however late: the sponsor cannot claim its money back", (t) => {
  const { world, id } = drawnApart();
  const receipt = receiptFor(5_000_000);
  for (const worker of workersOf(world, id)) world.contribute(worker, id, receipt);
  const [shows] = workersOf(world, id);
  world.reveal(shows!, id, receipt);
  world.advance(finalDeadline(world.lot(id)) + 100 - world.block().timestamp);
  t.throws(() => world.call(world.requester, MARKET, market("claim"), [id]), /cannot be claimed/);
  t.throws(() => world.call(world.requester, HUB, hub("claim"), [id]), /cannot be claimed/);
  world.finalize(id);
  t.ok(world.account(shows!).stake > 0n);
  t.equal(world.account(world.developer).stake, 100n);
  balanced(t, world);
  t.end();
});

t.test("open disagreement without end unlocks commitments and gives the money back", (t) => {
  const world = fresh();
  const { state } = world;
  const { id } = drawn(world, { trust: 100n });
  const slots: number[] = [];
  for (let i = 0; world.lot(id).status !== LOT_STATUS.failed; i++) {
    const lot = world.lot(id);
    if (lot.status === LOT_STATUS.computing)
      for (const worker of new Set(lot.seats.filter((s) => s.status === SEAT.drawn).map((s) => s.worker)))
        world.contribute(worker, id, receiptFor(1_000 + i++));
    else world.advance(1);
    if (i > 500) break;
  }
  t.equal(world.lot(id).status, LOT_STATUS.failed);
  for (const { slot } of world.lot(id).seats) slots.push(slot);
  t.ok(
    slots.every((slot) => slotOf(state, slot)!.lot === `0x${"00".repeat(32)}`),
    "nobody is punished",
  );
  world.call(world.requester, MARKET, market("claim"), [id]);
  t.equal(world.account(world.requester).locked, 0n);
  balanced(t, world);
  t.end();
});

t.test("who declines dissents: others may outvote it, or fail the lot, which burns what its seats' time costs", (t) => {
  const { world, id } = drawnApart();
  const receipt = receiptFor(500_000_000);
  const { state } = world;
  const [a, b] = workersOf(world, id) as [Address, Address];
  world.call(a, MARKET, market("decline"), [id]);
  t.equal(world.lot(id).status, LOT_STATUS.computing);
  world.contribute(b, id, receipt);
  t.equal(world.lot(id).status, LOT_STATUS.escalating);
  t.equal(world.lot(id).wanted, 3, "one against one that declined: trust 4 asks for four");
  world.advance(2);
  const more = new Set(
    world
      .lot(id)
      .seats.slice(2)
      .map(({ worker }) => worker),
  );
  for (const worker of more) world.contribute(worker, id, receipt);
  const slot = world.lot(id).seats.find(({ status }) => status === SEAT.declined)!.slot;
  const before = slotOf(state, slot)!.stake;
  for (const worker of new Set([b, ...more])) world.reveal(worker, id, receipt);
  world.finalize(id);
  const burned = 80_000_000n / 4n; // five seats of two: both rounds
  t.equal(slotOf(state, slot)!.stake, before - (burned / 2n) * NRLC, "agreed after all: who declined pays its share");
  t.equal(pendingCredit(world), 0n, "what could not be had by all gives no credit");
  t.equal(burnedOfEra(state, 0), 0n);
  balanced(t, world);

  const other = fresh();
  const next = drawn(other);
  for (let i = 0; other.lot(next.id).status !== LOT_STATUS.failed && i < 40; i++) {
    const seat = other.lot(next.id).seats.find(({ status }) => status === SEAT.drawn);
    if (seat) other.call(seat.worker, MARKET, market("decline"), [next.id]);
    else other.advance(1);
  }
  t.equal(other.lot(next.id).status, LOT_STATUS.failed);
  t.equal(other.lot(next.id).seats.filter(({ status }) => status === SEAT.declined).length, 2, "as many as agree");
  const stake = other.account(other.requester).stake;
  other.call(other.requester, MARKET, market("claim"), [next.id]);
  t.equal(other.account(other.requester).stake - stake, 80_000_000n + 100n - 40_000_000n);
  t.equal(burnedOfEra(other.state, 0), 0n, "burned without credit");
  balanced(t, other);
  t.end();
});

t.test("a lot with no more than k - 2 declines gives its credit", (t) => {
  for (const declines of [2, 3]) {
    const { world, id } = drawnApart({ trust: 16n });
    const declining = workersOf(world, id).slice(0, declines);
    for (const worker of declining) world.call(worker, MARKET, market("decline"), [id]);
    const receipt = receiptFor(500_000_000);
    const seated = (status: number) =>
      new Set(
        world
          .lot(id)
          .seats.filter((seat) => seat.status === status)
          .map(({ worker }) => worker),
      );
    while (world.lot(id).status < LOT_STATUS.revealing) {
      for (const worker of seated(SEAT.drawn)) world.contribute(worker, id, receipt);
      world.advance(1);
    }
    const isAgreed = world.lot(id).status === LOT_STATUS.revealing;
    t.equal(isAgreed, declines === 2, "twice the committee does not outvote three");
    if (isAgreed) {
      for (const worker of seated(SEAT.committed)) world.reveal(worker, id, receipt);
      world.finalize(id);
    } else world.call(world.requester, MARKET, market("claim"), [id]);
    t.equal(pendingCredit(world) > 0n, declines === 2);
    t.equal(burnedOfEra(world.state, 0) > 0n, declines === 2, "nor is it counted for issuance");
    balanced(t, world);
  }
  t.end();
});

t.test("a contribution is for seats, once, in an open round", (t) => {
  const { world, id } = drawnApart();
  const [a] = workersOf(world, id) as [Address];
  t.throws(() => world.contribute(addressBy("stranger"), id, receiptFor(1)), /no seat of yours/);
  t.throws(() => world.contribute(a, `0x${"11".repeat(32)}`, receiptFor(1)), /no such lot/);
  world.contribute(a, id, receiptFor(1));
  t.throws(() => world.contribute(a, id, receiptFor(1)), /no seat of yours/);
  t.throws(() => world.call(a, MARKET, market("decline"), [id]), /no seat of yours/);
  t.throws(() => world.reveal(a, id, receiptFor(1)), /nothing is to be revealed/);
  t.throws(() => world.finalize(id), /cannot be finalized/);
  t.throws(() => world.call(a, MARKET, market("claim"), [id]), /cannot be claimed/);
  t.end();
});

t.test("more gas than the limit cannot be revealed", (t) => {
  const world = fresh();
  const { id } = drawn(world);
  const greedy = receiptFor(1_000_000_001);
  const workers = workersOf(world, id);
  for (const worker of workers) world.contribute(worker, id, greedy);
  t.throws(() => world.reveal(workers[0]!, id, greedy), /more gas/);
  t.end();
});
