/**
 * How long a scheduler lets a buyer wait whose deal comes after those of a crowd of keys, a task each, whose inputs never come:
 *   node test/bench/security/crowd.ts [--keys 300] [--price 1000000] [--workers 4] [--known]
 * The buyer pays 1,000,000 nRLC, the crowd `price`. Workers fetch for eight tasks at a time, and give back after 8.5 of the 20 s that a
 * scheduler waits for in the shortest category, of whose task 70 s are for contributions. `--known`: the buyer has paid for a task before.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { word } from "../../../lib/bytes.ts";
import { taskId } from "../../../vm/market/deal.ts";
import { TASK_STATUS } from "../../../vm/market/scheduled/task.ts";
import { type DealFacts, startPoolNode, startScheduler } from "../../helpers/pool-node.ts";

const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "300" },
    price: { type: "string", default: "1000000" },
    workers: { type: "string", default: "4" },
    known: { type: "boolean", default: false },
  },
});
const PLACES = 8;
const FETCH_MS = 8_500;
const MOST_MS = 180_000;
const addressAt = (i: number): Address => `0x${i.toString(16).padStart(40, "0")}`;
const [BUYER, PAID, WANTED] = [addressAt(1), word(1), word(2)];

const deals = new Map<Hash, DealFacts>();
if (values.known) deals.set(PAID, { tasks: 1, requester: BUYER });
for (let i = 0; i < Number(values.keys); i++)
  deals.set(word(1_000 + i), { tasks: 1, price: BigInt(values.price), requester: addressAt(1_000 + i) });
deals.set(WANTED, { tasks: 1, requester: BUYER });
const dealOf = new Map([...deals.keys()].map((id) => [taskId(id, 0), id]));

const node = await startPoolNode(
  { teardown: () => {} },
  {
    deals,
    task: (id) => {
      const dealid = dealOf.get(id)!;
      return { status: dealid === PAID ? TASK_STATUS.completed : TASK_STATUS.active, dealid, timeref: 10 };
    },
  },
);
const { ask } = startScheduler({ teardown: () => {} }, node.url);
const workers = Array.from({ length: Number(values.workers) }, (_, i) => ({
  address: addressAt(1_000_000 + i),
  since: new Map<Hash, number>(),
}));
const begin = Date.now();
let [waitedMs, inVain]: [number | undefined, number] = [undefined, 0];
for (; waitedMs === undefined && Date.now() - begin < MOST_MS; await sleep(500))
  for (const { address, since } of workers) {
    const declined = [...since.keys()].filter((id) => Date.now() - since.get(id)! > FETCH_MS);
    for (const id of declined) since.delete(id);
    for (const { taskid } of ask(address, { free: PLACES - since.size, declined }).tasks) {
      if (declined.includes(taskid) || since.has(taskid)) continue;
      since.set(taskid, Date.now());
      if (dealOf.get(taskid) === WANTED) waitedMs ??= Date.now() - begin;
      else inVain += 1;
    }
  }
const waited = waitedMs === undefined ? "never" : `after ${(waitedMs / 1_000).toFixed(0)} s`;
console.log(`the buyer's task was given ${waited}, ${inVain} of the crowd's before`);
process.exit(0);
