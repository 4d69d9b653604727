import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import t from "tap";
import { type Address, fromHex, type Hash, type Hex, utf8, word } from "../../lib/bytes.ts";
import { addressOf, recoverOfWallet } from "../../lib/secp256k1.ts";
import type { TaskView } from "../../node/market-client.ts";
import { createAnswers } from "../../node/pool/answers.ts";
import { createCrew, STANDING } from "../../node/pool/crew.ts";
import { type Ask, readAsk, SIGNATURE_HEADER, signAsk, signMessage } from "../../node/pool/messages.ts";
import { createScheduler } from "../../node/pool/scheduler.ts";
import { createPoolServer } from "../../node/pool/server.ts";
import { createSilences, type Silence } from "../../node/pool/silences.ts";
import { newTask, type OpenTask, openPoolStore } from "../../node/pool/store.ts";
import { isEnough } from "../../node/pool/trust.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { recoverSigner, signedMessageHash } from "../../vm/market/signature.ts";
import { silent, testKey } from "../helpers/chain.ts";

const KEY = testKey("pool worker");
const WORKER = addressOf(KEY);
const POOL: Address = `0x${"0d".repeat(20)}`;
const ask = (changes: Partial<Record<keyof Ask, unknown>> = {}): string =>
  JSON.stringify({ pool: POOL, worker: WORKER, time: Date.now(), free: 1, declined: [], results: [], ...changes });

t.test("an ask is what its worker signed, or it is refused with the reason", async (t) => {
  const body = utf8(ask({ declined: [word(1)], results: [{ taskid: word(2), receipt: "0x0102" }] }));
  t.equal(readAsk(body, signAsk(body, KEY)).worker, WORKER);
  t.throws(() => readAsk(body, signAsk(body, testKey("another"))), /signature/);
  t.throws(() => readAsk(body, "0x"), /signature/);
  const wrong: [Partial<Record<keyof Ask, unknown>>, RegExp][] = [
    [{ pool: "0x1" }, /pool/],
    [{ worker: 1 }, /worker/],
    [{ time: "now" }, /time/],
    [{ free: -1 }, /free/],
    [{ free: 1e9 }, /free/],
    [{ declined: [1] }, /declined/],
    [{ declined: Array.from({ length: 17 }, () => word(1)) }, /declined/],
    [{ results: [null] }, /results/],
    [{ results: [{ taskid: word(1), receipt: "0x1" }] }, /results/],
    [{ results: [{ taskid: word(1), receipt: `0x${"00".repeat(2_049)}` }] }, /results/],
    [{ results: {} }, /results/],
  ];
  for (const [changes, reason] of wrong) {
    const bytes = utf8(ask(changes));
    t.throws(() => readAsk(bytes, signAsk(bytes, KEY)), reason);
  }
  for (const text of ["", "null", "[]", "{", "7"])
    t.throws(() => readAsk(utf8(text), signAsk(utf8(text), KEY)), /ask's/, text);
  fc.assert(
    fc.property(fc.json(), fc.string(), (json, signature) => {
      t.throws(() => readAsk(utf8(json), signature), /ask's/);
    }),
    { numRuns: 100 },
  );
});

t.test("what is signed for a contract is what the contract recovers", async (t) => {
  const parts: Hash[] = [word(1), word(2)];
  const signature = signMessage(KEY, ...parts);
  t.equal(recoverSigner(signedMessageHash(...parts), Buffer.from(signature.slice(2), "hex")), WORKER);
  t.equal(recoverOfWallet(signedMessageHash(...parts), fromHex(signature)), WORKER);
});

t.test("workers are asked until their agreement would have the deal's trust, by PoCo's own rule", async (t) => {
  const word1 = word(1) as Hash;
  const say = (result: Hash, score = 0n) => ({ resultHash: result, score });
  t.notOk(isEnough(1n, [], []), "somebody has to say something");
  t.ok(isEnough(1n, [], [0n]));
  t.notOk(isEnough(3n, [], [0n]), "2 * 3 > 3 * 2 is false");
  t.ok(isEnough(3n, [], [0n, 0n]));
  t.ok(isEnough(3n, [say(word1)], [0n]), "one said it, one is asked");
  t.notOk(isEnough(3n, [say(word1), say(word(2))], [0n]), "another word stands against it");
  t.ok(isEnough(3n, [say(word1), say(word(2))], [0n, 0n]));
  t.ok(isEnough(100n, [], [300n, 300n]), "scores weigh");
  // Whatever was said: what is called enough is agreed once the pending all say it.
  fc.assert(
    fc.property(
      fc.bigInt(1n, 10_000n),
      fc.array(fc.record({ result: fc.nat(2), score: fc.bigInt(0n, 200n) }), { maxLength: 8 }),
      fc.array(fc.bigInt(0n, 200n), { maxLength: 8 }),
      (trust, said, pending) => {
        const words = said.map(({ result, score }) => say(word(result), score));
        if (!isEnough(trust, words, pending)) return;
        const weight = (score: bigint) => (score / 3n > 3n ? score / 3n : 3n) - 1n;
        const sums = new Map<Hash, bigint>();
        for (const each of words) sums.set(each.resultHash, (sums.get(each.resultHash) ?? 1n) * weight(each.score));
        const [top] = [...sums].sort(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0));
        const leader = top?.[0] ?? word(9);
        for (const score of pending) sums.set(leader, (sums.get(leader) ?? 1n) * weight(score));
        const total = [...sums.values()].reduce((sum, each) => sum + each, 1n);
        if (!(sums.get(leader)! * trust > total * (trust - 1n))) throw new Error("not agreed");
      },
    ),
  );
});

t.test("a crew hears each message once, in time, and forgets who is silent", async (t) => {
  let now = 1_000_000;
  const crew = createCrew(() => now);
  t.notOk(crew.hasFree(0n));
  const member = crew.hear(WORKER, now, 2);
  t.notOk(crew.hasFree(0n), "its stake was not looked at");
  crew.checked(member, { stake: 5n, locked: 0n });
  t.ok(crew.hasFree(5n));
  t.notOk(crew.hasFree(6n));
  t.same(
    crew.free().map(({ address }) => address),
    [WORKER],
  );
  t.throws(() => crew.hear(WORKER, now, 2), /older/);
  t.throws(() => crew.hear(WORKER, now + 60_000, 2), /too far/);
  now += 11_000;
  t.notOk(crew.isAlive(WORKER));
  t.notOk(crew.hasFree(0n));
  crew.hear(WORKER, now, 1);
  member.promised = 3n;
  t.same([crew.hasFree(2n), crew.hasFree(3n)], [true, false], "the stake is for all tasks that it has");
  now += 1;
  crew.hear(WORKER, now, 0);
  t.ok(crew.isAlive(WORKER));
  t.notOk(crew.hasFree(0n), "it is there, and busy");
});

t.test("who is silent again and again rests longer each time, up to an hour, until it answers", (t) => {
  let now = 1_000_000;
  const counts = new Map();
  const silences = createSilences(counts, () => now);
  const crew = createCrew(
    () => now,
    (worker) => silences.restOf(worker) > 0,
  );
  crew.checked(crew.hear(WORKER, now, 1), { stake: 5n, locked: 0n });
  const rests = Array.from({ length: 9 }, () => {
    now += silences.restOf(WORKER);
    silences.silent(WORKER, now);
    return silences.restOf(WORKER) / 1000;
  });
  crew.hear(WORKER, now, 1);
  t.same(rests, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
  t.same([crew.hasFree(0n), crew.free().length], [false, 0], "it is not asked");
  now += 3_600_000;
  crew.hear(WORKER, now, 1);
  t.equal(crew.free().length, 1);
  for (let i = 0; i < 4; i++) silences.answered(WORKER);
  t.equal(counts.size, 0, "four answers, and all is well");
  silences.silent(WORKER, now);
  t.equal(silences.restOf(WORKER), 30_000);
  for (let i = 0; i < 20_000; i++) silences.silent(`0x${i.toString(16).padStart(40, "0")}`, now);
  t.equal(counts.size, 16_384);
  now += 25 * 3_600_000;
  silences.silent(WORKER, now);
  t.equal(counts.size, 1, "what is a day old is forgotten");
  t.end();
});

t.test("what was asked for at one time is one silence, and a late answer or a decline takes it back", async (t) => {
  let now = 1_000_000;
  const counts = new Map<Address, Silence>();
  const silences = createSilences(counts, () => now);
  const crew = createCrew(() => now);
  let vainMs = 0;
  const tookInVain = (_: OpenTask, ms: number): void => {
    vainMs += ms;
  };
  const answers = createAnswers({ silences, crew, tookInVain, startedAt: now, now: () => now, log: silent });
  const member = crew.hear(WORKER, now, 16);
  const tasks = Array.from({ length: 16 }, (_, i) => newTask(word(1), i));
  const view = (contributors: readonly Address[] = []): TaskView =>
    ({ status: TASK_STATUS.active, timeref: 10, contributors }) as unknown as TaskView;
  const countAll = (contributors?: readonly Address[]): void => {
    for (const task of tasks) answers.count(word(2), task, view(contributors));
  };
  for (const [i, task] of tasks.entries()) task.assigned.set(WORKER, now + 100 * i);
  now += 19_000;
  countAll();
  t.equal(counts.size, 0, "there is time left");
  for (; now < 1_030_000; now += 500) countAll();
  t.same([counts.get(WORKER)?.count, silences.restOf(WORKER)], [1, 20_000], "sixteen tasks, one silence");
  answers.count(word(2), tasks[0]!, view([WORKER]));
  t.equal(counts.size, 0, "a late answer takes it back");
  for (let i = 0; i < 3; i++) answers.count(word(2), tasks[0]!, view([WORKER]));
  t.equal(member.standing, STANDING.unproven, "and is no answer in time");

  const late = newTask(word(1), 16);
  late.assigned.set(WORKER, now);
  now += 20_000;
  answers.count(word(2), late, view());
  t.equal(counts.get(WORKER)?.count, 1);
  vainMs = 0;
  answers.declined(late, member, 20_000);
  t.equal(vainMs, 0, "its time is counted once");
  t.equal(counts.size, 0, "so does a decline");
  t.equal(member.restsUntil, now + 20_000, "but for as long as it had the task");
  t.same([late.assigned.size, late.refused.get(WORKER)], [0, { times: 1, until: now + 10_000 }]);
  answers.declined(late, member, 20_000);
  t.same(late.refused.get(WORKER), { times: 2, until: now + 20_000 }, "it is asked again later each time");

  late.assigned.set(WORKER, now);
  now += 20_000;
  answers.count(word(2), late, view());
  const until = late.late.get(WORKER)!;
  now = until;
  silences.silent(WORKER, now);
  answers.count(word(2), late, view([WORKER]));
  t.same([counts.get(WORKER)?.count, silences.restOf(WORKER)], [1, 60_000], "a later silence keeps its rest");
  const next = newTask(word(1), 17);
  next.assigned.set(WORKER, now);
  answers.count(word(2), next, view([WORKER]));
  t.equal(member.standing, STANDING.prompt);
});

t.test("who holds a task and gives it back late rests as long, comes last, and has fewer", async (t) => {
  let now = 1_000_000;
  const silences = createSilences(new Map(), () => now);
  const crew = createCrew(() => now);
  const rest = { silences, crew, tookInVain: () => {}, startedAt: now, now: () => now, log: silent };
  const answers = createAnswers(rest);
  const member = crew.hear(WORKER, now, 1_024);
  const view = (contributors: readonly Address[]): TaskView =>
    ({ status: TASK_STATUS.active, timeref: 10, contributors }) as unknown as TaskView;
  const ask = (index: number) => {
    const task = newTask(word(1), index);
    task.assigned.set(WORKER, now);
    return task;
  };
  t.same([member.standing, member.most], [STANDING.unproven, 8], "a key that nobody knows has few tasks at a time");
  for (let i = 0; i < 3; i++) answers.count(word(2), ask(i), view([WORKER]));
  t.same([member.standing, member.most], [STANDING.prompt, 11], "one more with each answer in time");
  const slow = ask(3);
  now += 15_000;
  answers.count(word(2), slow, view([WORKER]));
  t.same([member.standing, member.most], [STANDING.slow, 12], "late, but in time");
  crew.hear(WORKER, now, 1_024);

  const soon = ask(4);
  now += 9_000;
  answers.declined(soon, member, 20_000);
  t.same(
    [crew.free().length, member.standing],
    [1, STANDING.slow],
    "what cannot be had is given back in half of the time",
  );
  const [first, second] = [ask(5), ask(6)];
  now += 19_900;
  crew.hear(WORKER, now, 1_024);
  answers.declined(first, member, 20_000);
  answers.declined(second, member, 20_000);
  t.same([member.standing, member.most], [STANDING.unproven, 6], "two at one time are one fault");
  now += 19_800;
  crew.hear(WORKER, now, 1_024);
  t.equal(crew.free().length, 0, "it rests");
  now += 200;
  t.equal(crew.free().length, 1, "as long as it had them");
  const never = ask(7);
  now += 20_000;
  answers.count(word(2), never, view([]));
  t.same([member.standing, member.most], [STANDING.unproven, 3], "silence is no better");
});

t.test("a store remembers who was asked for what", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-pool-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const store = openPoolStore(folder, POOL);
  store.scanned = 7;
  store.deals.set(word(1), { block: 5, next: 2, back: [0], vainMs: 7, over: false });
  const who = { assigned: new Map([[WORKER, 99]]), counted: new Set([WORKER]), late: new Map([[WORKER, 5]]) };
  const task = { ...newTask(word(1), 1), ...who };
  store.silences.set(WORKER, { count: 2, until: 5 });
  store.tasks.set(word(2), task);
  store.save();
  const again = openPoolStore(folder, POOL);
  t.equal(again.scanned, 7);
  t.same(again.deals, store.deals);
  t.same(again.tasks, store.tasks);
  t.same(again.silences, store.silences);
});

t.test("the service answers wrong requests with the reason, and goes on", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-pool-"));
  const owner: Hex = testKey("pool owner");
  const only: Address = `0x${"0e".repeat(20)}`;
  const options = { privateKey: owner, pool: POOL, node: "http://127.0.0.1:1", datadir: folder, noEnclave: false };
  const make = (workers: readonly Address[]) => createScheduler({ ...options, workers, log: silent });
  const server = createPoolServer({ scheduler: make([]), host: "127.0.0.1", port: 0, log: silent });
  const closed = createPoolServer({ scheduler: make([only]), host: "127.0.0.1", port: 0, log: silent });
  const [{ port }, strict] = [await server.start(), await closed.start()];
  t.teardown(async () => {
    await server.stop();
    await closed.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const post = async (body: string, signature?: string, at = port): Promise<[number, { error?: string }]> => {
    const headers = { [SIGNATURE_HEADER]: signature ?? signAsk(utf8(body), KEY) };
    const response = await fetch(`http://127.0.0.1:${at}/ask`, { method: "POST", body, headers });
    return [response.status, (await response.json()) as { error?: string }];
  };
  t.same(await (await fetch(`http://127.0.0.1:${port}/pool`)).json(), { pool: POOL, owner: addressOf(owner) });
  t.equal((await fetch(`http://127.0.0.1:${port}/else`)).status, 404);
  t.equal((await fetch(`http://127.0.0.1:${port}/ask`)).status, 405);
  const first = ask();
  t.same(await post(first), [200, { tasks: [], note: null }]);
  t.match(await post(first), [403, { error: /older than the last/ }], "a message counts once");
  t.match(await post(ask({ time: 1 })), [403, { error: /too far/ }]);
  t.match(await post(ask({ pool: WORKER })), [403, { error: /scheduler of pool/ }]);
  t.match(await post(ask(), "0x00"), [400, { error: /signature/ }]);
  t.match(await post("{"), [400, { error: /JSON/ }]);
  t.equal((await post("x".repeat(70_000)))[0], 413);
  t.match(await post(ask(), undefined, strict.port), [403, { error: /not let in/ }]);
  t.match((await post(ask({ time: Date.now() + 5 })))[0], 200, "and it goes on");
});
