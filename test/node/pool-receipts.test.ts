import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type Address, type Hash, toHex, utf8, word, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import type { DealView, TaskView } from "../../node/market-client.ts";
import { createReceipts } from "../../node/pool/receipts.ts";
import { resultHashOf } from "../../vm/market/contribution.ts";
import { taskId } from "../../vm/market/deal.ts";
import { resultsOf } from "../../vm/market/result.ts";
import { CONTRIBUTION_STATUS, TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { digestOf } from "../../vm/wasm/receipt.ts";
import { startPoolNode, startScheduler, unixNow } from "../helpers/pool-node.ts";
import { receiptFor } from "../vm/market/world.ts";

t.setTimeout(60_000);

const [A, B, C, BUYER] = ["aa", "bb", "cc", "ee"].map((byte): Address => `0x${byte.repeat(20)}`) as [
  Address,
  Address,
  Address,
  Address,
];
const DEAL = word(7);
const TASK = taskId(DEAL, 0);
const DATA = utf8("42");
const place = (seed: string): Uint8Array =>
  receiptFor(1_000, { callbackData: DATA, outputRoot: keccak256(utf8(seed)) });
const viewOf = (digest: Hash, contributors: readonly Address[]): TaskView =>
  ({ consensus: resultHashOf(TASK, digest), contributors }) as TaskView;
const PLAIN = { callback: ZERO_ADDRESS } as DealView;
const CALLBACK = { callback: BUYER } as DealView;
const proved = (...workers: readonly Address[]) =>
  workers.map((worker) => ({ worker, status: CONTRIBUTION_STATUS.proved, score: 0n }));
const NOTHING = new Uint8Array(0);

t.test("a receipt is taken of who contributed, once, where it is what was agreed on", async (t) => {
  const receipts = createReceipts();
  const honest = receiptFor(1_000);
  receipts.take(TASK, A, honest);
  receipts.expect(TASK, viewOf(digestOf(honest), [A, B]), PLAIN);
  t.equal(receipts.outcomeOf(TASK, []), undefined, "before anybody has agreed nothing is taken");
  receipts.take(TASK, C, honest);
  for (let i = 0; i < 8; i++) receipts.take(TASK, B, receiptFor(i + 5));
  receipts.take(TASK, A, utf8("no receipt"));
  t.equal(receipts.outcomeOf(TASK, []), undefined);
  t.same(
    receipts.lateOutcomeOf(TASK, []),
    { results: NOTHING, callback: NOTHING },
    "the workers are paid all the same",
  );
  receipts.take(TASK, A, honest);
  t.same(receipts.outcomeOf(TASK, []), { results: resultsOf(honest), callback: NOTHING });
  receipts.forget(TASK);
  t.equal(receipts.outcomeOf(TASK, []), undefined, "reopened, it has agreed on nothing");
});

t.test("where a callback's data alone is agreed on, most of the proved weight names the place", async (t) => {
  const make = (said: readonly (readonly [Address, Uint8Array])[]) => {
    const receipts = createReceipts();
    receipts.expect(TASK, viewOf(keccak256(DATA), [A, B, C]), CALLBACK);
    for (const [worker, receipt] of said) receipts.take(TASK, worker, receipt);
    return receipts;
  };
  const [good, evil] = [place("good"), place("evil")];
  const all = proved(A, B, C);
  const [goodEnd, noPlace] = [resultsOf(good), NOTHING].map((results) => ({ results, callback: DATA }));
  t.equal(make([]).lateOutcomeOf(TASK, all), undefined, "a callback without data is none");
  t.equal(make([[B, evil]]).outcomeOf(TASK, all), undefined, "one of three decides nothing");
  t.same(make([[B, evil]]).lateOutcomeOf(TASK, all), noPlace);
  t.same(
    make([
      [B, evil],
      [A, good],
      [C, good],
    ]).outcomeOf(TASK, all),
    goodEnd,
  );
  t.same(
    make([
      [A, good],
      [B, evil],
      [B, good],
      [C, place("other")],
    ]).outcomeOf(TASK, all),
    noPlace,
  );
  t.same(
    make([
      [A, good],
      [B, evil],
    ]).outcomeOf(TASK, proved(A)),
    goodEnd,
    "who has proved nothing weighs nothing",
  );
  const heavy = [...proved(A), { worker: B, status: CONTRIBUTION_STATUS.proved, score: 300n }];
  t.same(
    make([
      [A, evil],
      [B, good],
    ]).outcomeOf(TASK, heavy),
    goodEnd,
    "a score weighs",
  );
});

/** Lets a worker that never contributes bring receipts, then the honest one its own. Gives what the task ends with. */
const endOf = async (t: Test, junk: readonly Uint8Array[], honest: Uint8Array, callback: Address) => {
  const digest = callback === ZERO_ADDRESS ? digestOf(honest) : keccak256(DATA);
  const open = { status: TASK_STATUS.active as number, dealid: DEAL, timeref: 60 };
  let task: Parameters<typeof startPoolNode>[1]["task"] = () => open;
  const node = await startPoolNode(t, {
    deals: new Map([[DEAL, { tasks: 1, requester: BUYER, trust: 3n, callback }]]),
    task: (id) => task(id),
    contribution: (_, worker) => (worker === A ? CONTRIBUTION_STATUS.proved : CONTRIBUTION_STATUS.unset),
  });
  const { ask } = startScheduler(t, node.url);
  for (let i = 0; i < 100; i++, await sleep(50)) if (ask(A).tasks.length > 0 && ask(B).tasks.length > 0) break;
  const results = (all: readonly Uint8Array[]) => all.map((each) => ({ taskid: TASK, receipt: toHex(each) }));
  ask(B, { results: results(junk) });
  const revealed = { consensus: resultHashOf(TASK, digest), reveals: 1, contributors: [A] };
  task = () => ({ ...open, status: TASK_STATUS.revealing, revealDeadline: unixNow() + 120, ...revealed });
  for (let i = 0; i < 100 && node.sent.length === 0; i++, await sleep(50)) {
    ask(B, { results: results(junk) });
    ask(A, { results: results([honest]) });
  }
  return node.sent.map(({ name, args }) => [name, ...args]);
};

t.test("who never contributes does not keep the honest receipt out", async (t) => {
  const junk = Array.from({ length: 8 }, (_, i) => receiptFor(i + 5));
  const honest = receiptFor(1_000);
  t.same(await endOf(t, junk, honest, ZERO_ADDRESS), [["finalize", TASK, resultsOf(honest), NOTHING]]);
  const good = place("good");
  t.same(await endOf(t, [place("evil")], good, BUYER), [["finalize", TASK, resultsOf(good), DATA]]);
});
