import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { type Address, type Hash, word } from "../../lib/bytes.ts";
import { openPoolStore } from "../../node/pool/store.ts";
import { workersFor } from "../../node/pool/trust.ts";
import { type Claim, inTurn, MAX_TASKS, nextInTurn, type UnderWay, worthOf } from "../../node/pool/turns.ts";
import { taskId } from "../../vm/market/deal.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { type DealFacts, POOL, startPoolNode, startScheduler } from "../helpers/pool-node.ts";

t.setTimeout(60_000);

const [BULK, OTHER] = ["b0", "0e"].map((byte): Address => `0x${byte.repeat(20)}`) as [Address, Address];
const addressAt = (i: number): Address => `0x${i.toString(16).padStart(40, "0")}`;
const countOf = (ids: readonly Hash[], id: Hash): number => ids.filter((each) => each === id).length;

/** A deal that pays as the others do, of somebody who is not known. */
const claim = (i: number, requester: Address, worth = 0) => ({ dealid: word(i), requester, isKnown: false, worth });
const underWayOf = (deals: readonly Claim[], isIdle = false): UnderWay[] =>
  deals.map((deal, i) => ({ ...deal, id: taskId(deal.dealid, i), isIdle }));

t.test("deals begin in turn, and none keeps the others out", async (t) => {
  const bulk = [1, 2, 3, 4].map((i) => ({ ...claim(i, BULK), tasks: 1_000 }));
  const alone = nextInTurn(bulk.slice(0, 1), []).begun;
  t.equal(alone.length, 64, "a deal has a bound");
  const all = nextInTurn(bulk, []).begun;
  t.equal(all.length, 128, "so has a requester");
  t.same(
    bulk.map(({ dealid }) => countOf(all, dealid)),
    [32, 32, 32, 32],
  );
  const other = { ...claim(9, OTHER), tasks: 3 };
  const underWay = underWayOf(all.map((id) => bulk.find(({ dealid }) => dealid === id)!));
  t.same(nextInTurn([...bulk, other], underWay).begun, [word(9), word(9), word(9)]);
  t.same(
    nextInTurn([...bulk, other], [])
      .begun.slice(0, 2)
      .sort(),
    [word(1), word(9)],
    "whose fewest are under way is first",
  );
  const many = Array.from({ length: 300 }, (_, i) => ({ ...claim(i, addressAt(i)), tasks: 9 }));
  t.equal(new Set(nextInTurn(many, []).begun).size, MAX_TASKS, "one of each before a second of any");
  const known = { ...claim(300, addressAt(300)), isKnown: true, tasks: 9 };
  t.same(nextInTurn([...many, known], []).begun[0], word(300), "who has paid before comes first of these");
  t.same(nextInTurn([], []), { begun: [], putBack: [] });
});

t.test("what is worth more goes first, and what nobody computes makes way for it", async (t) => {
  const crowd = Array.from({ length: 300 }, (_, i) => ({ ...claim(i, addressAt(i), -3), tasks: 1 }));
  const [first, second] = [7, 8].map((i) => ({ ...claim(1_000 + i, addressAt(1_000 + i), -2), tasks: 1 }));
  t.equal(nextInTurn([...crowd, first!], []).begun[0], first!.dealid);
  const busy = underWayOf(crowd.slice(0, MAX_TASKS));
  t.same(nextInTurn([first!], busy), { begun: [], putBack: [] }, "nothing that somebody computes makes way");
  const [idle] = underWayOf(crowd.slice(0, 1), true);
  t.same(nextInTurn([first!, second!], [idle!, ...busy.slice(1)]), { begun: [first!.dealid], putBack: [idle!.id] });
  const equal = { ...claim(1_009, OTHER, -3), tasks: 1 };
  t.same(nextInTurn([equal], [idle!, ...busy.slice(1)]), { begun: [], putBack: [] }, "nor for what is worth as much");
  const over = { ...idle!, worth: Number.NEGATIVE_INFINITY };
  t.same(nextInTurn([equal], [over, ...busy.slice(1)]).putBack, [idle!.id], "but where its time is over it does");
});

t.test("a deal is worth what it pays for the time that it takes, in vain too", async (t) => {
  const deal = { priceNrlc: 1_000_000n, seconds: 10, workers: 2, begun: 0, vainMs: 0 };
  const worth = worthOf(deal);
  t.equal(worthOf({ ...deal, priceNrlc: 2_000_000n }), worth + 1);
  t.equal(worthOf({ ...deal, priceNrlc: 1_010_000n }), worth, "a little more is not more");
  t.equal(worthOf({ ...deal, begun: 1, vainMs: 40_000 }), worth - 1, "two workers had it as long as it should take");
  t.equal(worthOf({ ...deal, begun: 10, vainMs: 40_000 }), worth, "of ten tasks that is little");
  t.ok(
    worthOf({ ...deal, priceNrlc: 0n, vainMs: 40_000 }) < worthOf({ ...deal, priceNrlc: 0n }),
    "of what is free too",
  );
  t.equal(workersFor(1n), 1);
  t.equal(workersFor(3n), 2);
});

t.test("free workers are looked for in the same order", async (t) => {
  const entries = [...Array.from({ length: 20 }, () => claim(1, BULK)), claim(2, OTHER), claim(3, BULK, 1)];
  const order = inTurn(entries, (each) => each).map(({ requester }) => requester);
  t.equal(order.length, 22);
  t.equal(inTurn(entries, (each) => each)[0]!.dealid, word(3));
  t.ok(order.indexOf(OTHER) < 3);
  const firsts = Array.from({ length: 100 }, () => inTurn(entries.slice(0, 21), (each) => each)[0]!.requester);
  t.ok(firsts.filter((each) => each === OTHER).length > 20, "who has one task is as often first as who has many");
});

t.test("a deal of 256 tasks that nobody does leaves room for another buyer's", async (t) => {
  const [bad, good] = [word(7), word(8)];
  const deals = new Map([
    [bad, { tasks: 256, requester: BULK }],
    [good, { tasks: 1, requester: OTHER }],
  ]);
  const dealOf = new Map(
    [...deals].flatMap(([id, { tasks }]) => Array.from({ length: tasks }, (_, i) => [taskId(id, i), id] as const)),
  );
  const task = (id: Hash) => ({ status: TASK_STATUS.active, dealid: dealOf.get(id)!, timeref: 10 });
  const node = await startPoolNode(t, { deals, task });
  const { ask } = startScheduler(t, node.url);
  const worker: Address = `0x${"aa".repeat(20)}`;
  let [given, refused]: [boolean, Hash[]] = [false, []];
  let refusals = 0;
  for (let i = 0; i < 100 && !given; i++, await sleep(100)) {
    const { tasks } = ask(worker, { free: 1, declined: refused });
    given = tasks.some(({ taskid }) => dealOf.get(taskid) === good);
    refused = tasks.map(({ taskid }) => taskid);
    refusals += refused.length;
  }
  t.ok(given);
  t.ok(refusals < 64, `${refusals} tasks were declined before`);
});

t.test("who has answered is asked before keys that never did", async (t) => {
  const deal = word(7);
  const given = new Set<Hash>();
  const worker: Address = `0x${"aa".repeat(20)}`;
  const node = await startPoolNode(t, {
    deals: new Map([[deal, { tasks: 9, requester: OTHER }]]),
    task: (id) => ({
      ...{ status: TASK_STATUS.active, dealid: deal, timeref: 60 },
      contributors: given.has(id) ? [worker] : [],
    }),
  });
  const { ask } = startScheduler(t, node.url);
  const until = async (isSo: () => boolean): Promise<void> => {
    for (let i = 0; i < 100 && !isSo(); i++) await sleep(100);
  };
  await until(() => {
    for (const { taskid } of ask(worker, { free: given.size === 0 ? 1 : 0 }).tasks) given.add(taskid);
    return given.size > 0;
  });
  // The scheduler sees that, and other keys, before anybody has a place.
  const keys = Array.from({ length: 20 }, (_, i): Address => `0x${(i + 1).toString(16).padStart(40, "0")}`);
  await until(() => {
    for (const key of keys) ask(key, { free: 0 });
    return ask(worker, { free: 0 }).tasks.length === 0;
  });
  await sleep(1_000);
  for (const who of [...keys, worker]) ask(who, { free: 8 });
  const had = (who: Address): number => ask(who, { free: 8 }).tasks.length;
  await until(() => had(worker) + keys.map(had).reduce((a, b) => a + b) === 8);
  t.equal(had(worker), 8);
});

t.test("a crowd of keys with a free deal each does not keep out who pays", async (t) => {
  const crowd = Array.from({ length: 300 }, (_, i) => i + 100);
  const good = word(8);
  const deals = new Map<Hash, DealFacts>([
    ...crowd.map((i) => [word(i), { tasks: 1, price: 0n, requester: addressAt(i) }] as const),
    [good, { tasks: 1, requester: OTHER }],
  ]);
  const dealOf = new Map([...deals.keys()].map((id) => [taskId(id, 0), id]));
  let status: number = TASK_STATUS.active;
  const looked = new Set<Hash>();
  const task = (id: Hash) => {
    looked.add(id);
    return { status, dealid: dealOf.get(id)!, timeref: 60 };
  };
  const node = await startPoolNode(t, { deals, task });
  const { ask } = startScheduler(t, node.url);
  const worker: Address = `0x${"aa".repeat(20)}`;
  // All places are taken before anybody is there.
  await sleep(2_000);
  let first: Hash | undefined;
  for (let i = 0; i < 100 && first === undefined; i++, await sleep(100)) first = ask(worker).tasks[0]?.taskid;
  t.equal(dealOf.get(first!), good);
  looked.clear();
  status = TASK_STATUS.failed;
  for (let i = 0; i < 100 && looked.size < deals.size; i++) await sleep(100);
  t.equal(looked.size, deals.size, "what gave way has its place again");
});

t.test("workers that are asked because others disagree count as asked in vain", async (t) => {
  const [deal, contributors] = [word(7), [addressAt(1), addressAt(2)]];
  const node = await startPoolNode(t, {
    deals: new Map([[deal, { tasks: 1, requester: OTHER, trust: 3n }]]),
    task: () => ({ status: TASK_STATUS.active, dealid: deal, timeref: 60, contributors }),
    result: (_, worker) => word(BigInt(worker)),
  });
  const { ask, scheduler, datadir } = startScheduler(t, node.url);
  const third = addressAt(3);
  for (let i = 0; i < 100 && ask(third).tasks.length === 0; i++) await sleep(100);
  await scheduler.stop();
  t.match(openPoolStore(datadir, POOL).deals.get(deal), { vainMs: 60_000 });
});
