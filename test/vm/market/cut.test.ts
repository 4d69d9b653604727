import fc from "fast-check";
import t from "tap";
import type { Hash } from "../../../lib/bytes.ts";
import { HUB, MARKET } from "../../../vm/addresses.ts";
import { dealOf, jobOf, lotCount, lotOfTask, lotTasks, tasksBefore } from "../../../vm/market/deal.ts";
import { LOT_STATUS } from "../../../vm/market/lot.ts";
import { balanced } from "./drawn.ts";
import { addressBy, computeHonestly, createWorld, hub, lotReceipt, market, receiptFor } from "./world.ts";

t.test("lots of a bag are as few as its gas allows, and differ by a task at most", (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 256 }), (tasks, most) => {
      const lots = Math.ceil(tasks / most);
      const cut = { tasks, lotSize: Math.ceil(tasks / lots) };
      if (lotCount(cut) !== lots) throw new Error("not as few");
      const sizes = Array.from({ length: lots }, (_, lot) => lotTasks(cut, lot));
      if (Math.max(...sizes) > most || Math.max(...sizes) - Math.min(...sizes) > 1) throw new Error("not even");
      if (sizes[0] !== cut.lotSize || tasksBefore(cut, lots) !== tasks) throw new Error("not all");
      for (let lot = 0; lot < lots; lot += Math.max(1, lots >> 4))
        for (const at of [tasksBefore(cut, lot), tasksBefore(cut, lot + 1) - 1])
          if (lotOfTask(cut, at) !== lot) throw new Error(`task ${at} is not of lot ${lot}`);
    }),
    { numRuns: 300 },
  );
  t.end();
});

t.test("the last lot of a bag earns its workers what the others earn", (t) => {
  const world = createWorld({ workers: [["w0", 20]] });
  const worker = addressBy("w0");
  const deal = world.submit({ volume: 2 * 66 + 1, gasLimit: 30_000_000n });
  world.advance(2);
  const earned = [0, 1, 2].map((index) => {
    const id = world.lotIdOf(deal, index);
    const before = world.account(worker).stake;
    computeHonestly(world, id, lotReceipt(Array.from({ length: world.lot(id).count }, () => receiptFor(1_000))));
    return world.account(worker).stake - before;
  });
  t.match(jobOf(world.state, deal), { lots: 3, completed: 3, lotSize: 45 });
  t.ok(earned[2]! * 100n >= earned[0]! * 97n, `${earned}, of 45, 44 and 44 tasks; a last one of one task earned 1/66`);
  balanced(t, world);
  t.end();
});

t.test("whatever is given up or cancelled of an uneven bag, all of its money comes back", (t) => {
  const world = createWorld({ workers: [["w0", 4]] });
  const { requester, state } = world;
  const price = (deal: Hash): bigint => dealOf(state, deal)!.price + dealOf(state, deal)!.appPrice;
  const bag = { trust: 4n, volume: 7, gasLimit: 900_000_000n };
  const deal = world.submit(bag);
  t.match(jobOf(state, deal), { lots: 4, lotSize: 2, tasks: 7 });
  t.equal(world.account(requester).locked, 7n * price(deal));
  world.advance(100);
  const first = jobOf(state, deal)!.next;
  t.ok(first < 4, "no slot is free for the last");
  // The last task is alone in the last lot, the one before stands in the third.
  world.call(requester, HUB, hub("initializeAndClaimArray"), [[deal], [6n]]);
  t.equal(world.lot(world.lotIdOf(deal, 3)).count, 1);
  world.call(requester, MARKET, market("cancel"), [deal]);
  for (let lot = 0; lot < first; lot++)
    if (world.lot(world.lotIdOf(deal, lot)).status === LOT_STATUS.failed)
      world.call(requester, MARKET, market("claim"), [world.lotIdOf(deal, lot)]);
  t.equal(world.account(requester).locked, 0n);
  t.throws(() => world.call(requester, HUB, hub("initializeAndClaimArray"), [[deal], [7n]]), /no such task/);
  balanced(t, world);
  t.end();
});
