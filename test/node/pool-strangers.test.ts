import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type Address, fromHex, type Hash, type Hex, toHex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { hubFunction } from "../../node/market-client.ts";
import { createCrew } from "../../node/pool/crew.ts";
import { createScheduler } from "../../node/pool/scheduler.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { silent, testKey } from "../helpers/chain.ts";

t.setTimeout(120_000);

const OWNER = testKey("pool owner");
const POOL: Address = `0x${"0d".repeat(20)}`;
const WORKER: Address = `0x${"aa".repeat(20)}`;
const DEAL: Hash = word(7);
const STAKE = 30n;
const stranger = (i: number): Address => `0x${(i + 1).toString(16).padStart(40, "0")}`;

interface Item {
  readonly id: number;
  readonly method: string;
  readonly params: readonly { to: Address; data: Hex; topics: Hash[] }[];
}

/** A node whose chain has one deal of so many tasks for the pool, open to contributions, and one account with stake. */
const startNode = async (t: Test, tasks = 1n) => {
  const counts = new Map<string, number>();
  const count = (name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const now = (): bigint => BigInt(Math.floor(Date.now() / 1000));
  const none: AbiValue = [ZERO_ADDRESS, ZERO_ADDRESS, 0n];
  const deal = (): AbiValue => [
    ...[none, none, [POOL, addressOf(OWNER), 100n], 1n, 0n, ZERO_HASH, stranger(0), stranger(0), ZERO_ADDRESS, "{}"],
    ...[now(), 0n, tasks, STAKE, 10n, stranger(0)],
  ];
  const task = (): AbiValue => [
    ...[BigInt(TASK_STATUS.active), DEAL, 0n, 60n, now() + 600n, now() + 700n, now() + 800n, ZERO_HASH, 0n, 0n, []],
    ...[ZERO_HASH, new Uint8Array(0), 0n, new Uint8Array(0)],
  ];
  const views: readonly (readonly [AbiFunction, (args: AbiValue[]) => AbiValue])[] = [
    [hubFunction("viewDeal"), deal],
    [hubFunction("viewTask"), task],
    [hubFunction("viewContribution"), () => [0n, ZERO_HASH, ZERO_HASH, ZERO_ADDRESS, 0n]],
    [hubFunction("viewScore"), () => 0n],
    [hubFunction("viewCategory"), () => ["", "", 60n]],
    [hubFunction("viewAccount"), ([of]) => [of === WORKER ? 1_000n : 0n, 0n]],
  ];
  const { topic } = HUB_EVENTS.SchedulerNotice!;
  const answer = ({ method, params: [asked] }: Item): unknown => {
    if (method === "eth_getBlockByNumber") return { number: "0x1", timestamp: `0x${now().toString(16)}` };
    if (method === "eth_getLogs") return asked!.topics[0] === topic ? [{ data: DEAL, blockNumber: "0x1" }] : [];
    const [fn, view] = views.find(([{ selector }]) => asked!.data.startsWith(selector))!;
    count(fn.name);
    return toHex(fn.encodeResult(view(fn.decode(fromHex(asked!.data)))));
  };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as Item | Item[];
    const items = Array.isArray(body) ? body : [body];
    count("requests");
    const answers = items.map((item) => ({ jsonrpc: "2.0", id: item.id, result: answer(item) }));
    response.end(JSON.stringify(Array.isArray(body) ? answers : answers[0]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, counts };
};

/** Makes a scheduler of the pool over a node. */
const schedulerOf = (t: Test, url: string, now = Date.now) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-strangers-"));
  const who = { privateKey: OWNER, pool: POOL, workers: [], noEnclave: false };
  const scheduler = createScheduler({ ...who, node: url, datadir, log: silent, now });
  t.teardown(async () => {
    await scheduler.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  return scheduler;
};

/** Lets strangers and then one worker ask. Gives what it took until the worker had the task. */
const untilAsked = async (t: Test, strangers: number) => {
  const node = await startNode(t);
  const scheduler = schedulerOf(t, node.url);
  let [refused, asks] = [0, 0];
  const ask = (worker: Address) => {
    try {
      return scheduler.ask({ pool: POOL, worker, time: Date.now() + ++asks / 1e3, free: 1, declined: [], results: [] });
    } catch {
      refused += 1;
      return undefined;
    }
  };
  for (let i = 0; i < strangers; i++) ask(stranger(i));
  scheduler.start();
  let workerAsks = 0;
  for (; workerAsks < 300; workerAsks++) {
    if ((ask(WORKER)?.tasks.length ?? 0) > 0) break;
    for (let i = 0; i < strangers; i += 97) ask(stranger((i + workerAsks) % strangers));
    await sleep(100);
  }
  return { stakes: node.counts.get("viewAccount")!, workerAsks, requests: node.counts.get("requests")!, refused };
};

t.test("keys without stake do not stand between a scheduler and a worker", async (t) => {
  const alone = await untilAsked(t, 0);
  const beside = await untilAsked(t, 10_000);
  t.ok(
    alone.workerAsks < 100 && beside.workerAsks < 100,
    `asked at its ask ${alone.workerAsks}, and ${beside.workerAsks}`,
  );
  t.ok(beside.refused > 8_000, "most are not even looked at");
  // Each is looked at once, a hundred in a request, and whoever is to be chosen once more.
  t.ok(alone.stakes <= 2, `${alone.stakes} stakes`);
  t.ok(beside.stakes <= 3_000, `${beside.stakes} stakes`);
  t.ok(beside.requests - alone.requests < 300, `${beside.requests} requests, alone ${alone.requests}`);
});

t.test("strangers make way for each other, never those who have stake", async (t) => {
  let now = 1_000_000;
  const crew = createCrew(() => now);
  const hear = (i: number) => crew.hear(stranger(i), now, 1);
  for (let i = 0; i < 10; i++) crew.checked(hear(i), { stake: 0n, locked: 5n });
  for (let i = 10; i < 1_034; i++) hear(i);
  t.throws(() => hear(2_000), /too many new workers/);
  t.same(
    crew.toCheck(2).map(({ address }) => address),
    [10, 11].map(stranger),
    "who is new is looked at first",
  );
  for (let i = 10; i < 1_034; i++) crew.checked(crew.get(stranger(i))!, { stake: 0n, locked: 0n });
  t.same(crew.toCheck(100), []);
  for (let i = 2_000; i < 2_100; i++) hear(i);
  t.equal(crew.size, 1_034);
  for (let i = 0; i < 10; i++) t.ok(crew.isAlive(stranger(i)), "what is bound counts as well");
  const [away] = Array.from({ length: 1_024 }, (_, i) => i + 10).filter((i) => !crew.get(stranger(i)));
  t.throws(() => hear(away!), /account deposit/, "who made way is not looked at again at once");
  now += 5_000;
  t.equal(crew.toCheck(5_000).length, 1_024, "those without stake are looked at again, the new ones first");
  t.equal(crew.toCheck(1)[0]!.address, stranger(2_000));
  now += 60_000;
  t.ok(hear(away!), "after a minute it is heard");
});

t.test("a worker that takes a task and is silent is put off, and then asked again", async (t) => {
  const node = await startNode(t, 3n);
  let later = 0;
  const now = () => Date.now() + later;
  const scheduler = schedulerOf(t, node.url, now);
  let asks = 0;
  const ask = (free: number, declined: Hash[] = []) =>
    scheduler.ask({ pool: POOL, worker: WORKER, time: now() + ++asks / 1e3, free, declined, results: [] });
  scheduler.start();
  /** Asks with one place until what is answered is so. */
  const until = async (free: number, isSo: (answer: ReturnType<typeof ask>) => boolean) => {
    for (let i = 0; i < 100; i++) {
      const answer = ask(free);
      if (isSo(answer)) return answer;
      await sleep(100);
    }
    return ask(0);
  };
  const first = await until(1, ({ tasks }) => tasks.length > 0);
  const { taskid } = first.tasks[0]!;
  t.equal(first.tasks.length, 1, "it is asked");
  later += 121_000;
  const silentOne = await until(0, ({ note }) => note !== null);
  t.match(silentOne.note, /silent when it was asked: asked again in \d+ s/);
  later += 1_000;
  for (let i = 0; i < 8; i++, await sleep(200)) ask(8);
  t.equal(ask(0).tasks.length, 1, "it gets no other task");
  later += 3_600_000;
  for (let i = 0; i < 8; i++, await sleep(200)) ask(8);
  t.equal(ask(0).tasks.length, 1, "nor while it lets that one lie");
  ask(8, [taskid]);
  t.ok((await until(8, ({ tasks }) => tasks.length > 0)).tasks.length > 0, "then it does");
});
