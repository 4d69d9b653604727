import fc from "fast-check";
import t from "tap";
import { type Address, ZERO_HASH } from "../../../lib/bytes.ts";
import { NRLC } from "../../../lib/units.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { jobOf } from "../../../vm/market/deal.ts";
import { LOT_STATUS, lotOf, SEAT } from "../../../vm/market/lot.ts";
import { slotAtIndex, slotOf } from "../../../vm/market/slot.ts";
import { balanced, drawn, fresh } from "./drawn.ts";
import { market, receiptFor, type World } from "./world.ts";

/** The requester's wei, in its balance and in the hub, locked or free. */
const wealth = ({ state, account, requester }: World): bigint => {
  const { stake, locked } = account(requester);
  return state.balance(requester) + (stake + locked) * NRLC;
};
const slotsOf = ({ state, pool }: World) =>
  Array.from({ length: 16 }, (_, i) => slotOf(state, slotAtIndex(state, pool, i)!)!);

t.test("a bag whose inputs nobody can fetch costs its requester for each lot, and workers nothing", (t) => {
  const world = fresh();
  const before = wealth(world);
  const { dealid } = drawn(world, { volume: 12, gasLimit: 1_000_000_000n });
  const job = () => jobOf(world.state, dealid)!;
  for (let i = 0; i < 60 && job().failed < 6; i++) {
    for (let index = 0; index < job().next; index++) {
      const id = world.lotIdOf(dealid, index);
      for (const { worker } of world.lot(id).seats)
        if (world.lot(id).seats.some((seat) => seat.worker === worker && seat.status === SEAT.drawn))
          world.call(worker, MARKET, market("decline"), [id]);
    }
    world.advance(1);
  }
  t.equal(job().failed, 6);
  for (let index = 0; index < 6; index++)
    world.call(world.staker, MARKET, market("claim"), [world.lotIdOf(dealid, index)]);
  t.equal(world.account(world.requester).locked, 0n);
  t.equal(before - wealth(world), 6n * 40_000_000n * NRLC, "a round of each lot's seats");
  t.ok(
    slotsOf(world).every(({ stake, lot, drawable }) => drawable && lot === ZERO_HASH && stake === 10n ** 19n),
    "each slot is free, with all of its stake",
  );
  balanced(t, world);
  t.end();
});

/** What a seat does with a program that does with it as it likes: one of four results, or it fails, or it hangs. */
const answer = fc.constantFrom<number | "decline" | "silence">(0, 1, 2, 3, "decline", "silence");

t.test("whatever a program makes its workers say, its lot ends in time, and its requester gains nothing", (t) => {
  fc.assert(
    fc.property(fc.array(answer, { minLength: 4, maxLength: 64 }), fc.constantFrom(1n, 4n, 100n), (answers, trust) => {
      const world = fresh();
      const before = wealth(world);
      const { id } = drawn(world, { trust });
      const said = new Map<Address, number>();
      let next = 0;
      for (let i = 0; i < 110; i++) {
        const lot = world.lot(id);
        if (lot.status === LOT_STATUS.computing)
          for (const worker of new Set(
            lot.seats.filter(({ status }) => status === SEAT.drawn).map((seat) => seat.worker),
          )) {
            const what = answers[next++ % answers.length]!;
            if (what === "silence" || world.lot(id).status !== LOT_STATUS.computing) continue;
            if (what === "decline") world.call(worker, MARKET, market("decline"), [id]);
            else world.contribute(worker, id, receiptFor(1_000 + (what as number)));
            if (typeof what === "number") said.set(worker, what);
          }
        if (world.lot(id).status === LOT_STATUS.revealing) {
          for (const [worker, what] of said)
            try {
              world.reveal(worker, id, receiptFor(1_000 + what));
            } catch {
              // It said something else than what was agreed.
            }
          try {
            world.finalize(id);
          } catch {
            // Some have time yet.
          }
        }
        world.advance(1);
      }
      const { status, seats } = lotOf(world.state, id)!;
      if (status !== LOT_STATUS.completed) world.call(world.staker, MARKET, market("claim"), [id]);
      if (seats.length > 64) throw new Error(`${seats.length} seats`);
      const { locked } = world.account(world.requester);
      if (locked !== 0n) throw new Error(`${locked} nRLC are bound`);
      const cost = before - wealth(world);
      if (cost < 0n) throw new Error(`the requester gained ${-cost} wei`);
      for (const [name, [owed, has]] of Object.entries(world.books([])))
        if (owed !== has) throw new Error(`${name} owes ${owed} and has ${has}`);
    }),
    { numRuns: 40, seed: 1 },
  );
  t.end();
});
