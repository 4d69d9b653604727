import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { type Address, type Hash, word } from "../../lib/bytes.ts";
import { inTurn, MAX_TASKS, nextInTurn } from "../../node/pool/turns.ts";
import { taskId } from "../../vm/market/deal.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { startPoolNode, startScheduler } from "../helpers/pool-node.ts";

t.setTimeout(60_000);

const [BULK, OTHER] = ["b0", "0e"].map((byte): Address => `0x${byte.repeat(20)}`) as [Address, Address];
const countOf = (ids: readonly Hash[], id: Hash): number => ids.filter((each) => each === id).length;

t.test("deals begin in turn, and none keeps the others out", async (t) => {
  const bulk = [1, 2, 3, 4].map((i) => ({ dealid: word(i), requester: BULK, tasks: 1_000 }));
  const alone = nextInTurn(bulk.slice(0, 1), []);
  t.equal(alone.length, 64, "a deal has a bound");
  const all = nextInTurn(bulk, []);
  t.equal(all.length, 128, "so has a requester");
  t.same(
    bulk.map(({ dealid }) => countOf(all, dealid)),
    [32, 32, 32, 32],
  );
  const other = { dealid: word(9), requester: OTHER, tasks: 3 };
  const underWay = all.map((dealid) => ({ dealid, requester: BULK }));
  t.same(nextInTurn([...bulk, other], underWay), [word(9), word(9), word(9)]);
  t.same(
    nextInTurn([...bulk, other], [])
      .slice(0, 2)
      .sort(),
    [word(1), word(9)],
    "whose fewest are under way is first",
  );
  const many = Array.from({ length: 300 }, (_, i) => ({
    dealid: word(i),
    requester: `0x${i.toString(16).padStart(40, "0")}` as Address,
    tasks: 9,
  }));
  t.equal(new Set(nextInTurn(many, [])).size, MAX_TASKS, "one of each before a second of any");
  t.same(nextInTurn([], []), []);
});

t.test("free workers are looked for in turn of requesters", async (t) => {
  const entries = [...Array.from({ length: 20 }, () => BULK), OTHER];
  const order = inTurn(entries, (requester) => requester);
  t.equal(order.length, 21);
  t.ok(order.indexOf(OTHER) < 2);
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
