import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type Address, fromHex, type Hash, toHex, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { boundlessDisk } from "../../lib/disk.ts";
import { hubFunction, marketFunction } from "../../node/market-client.ts";
import type { Ask } from "../../node/pool/messages.ts";
import type { Means } from "../../node/worker/compute.ts";
import type { DealRooms } from "../../node/worker/deals.ts";
import { defaultPolicy } from "../../node/worker/policy.ts";
import { createScheduled } from "../../node/worker/scheduled.ts";
import type { RpcClient } from "../../rpc/client.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";
import { testKey } from "../helpers/chain.ts";

t.setTimeout(60_000);

const POOL: Address = `0x${"0d".repeat(20)}`;
const OTHER: Address = `0x${"0e".repeat(20)}`;
const TASKS = Array.from({ length: 60 }, (_, i): Hash => word(i + 1));

/** A chain on which every task of the pool is open, of a deal of this pool. */
const chainOf = (pool: Address): RpcClient => {
  const now = BigInt(Math.floor(Date.now() / 1000));
  const none: AbiValue = [ZERO_ADDRESS, ZERO_ADDRESS, 0n];
  const deal: AbiValue = [
    ...[none, none, [pool, OTHER, 100n], 1n, 0n, ZERO_HASH, OTHER, OTHER, ZERO_ADDRESS, "{}"],
    ...[now, 0n, 1n, 0n, 10n, OTHER],
  ];
  const task: AbiValue = [
    ...[BigInt(TASK_STATUS.active), word(7), 0n, 60n, now + 600n, now + 700n, now + 800n, ZERO_HASH, 0n, 0n, []],
    ...[ZERO_HASH, new Uint8Array(0), 0n, new Uint8Array(0)],
  ];
  const views: readonly (readonly [AbiFunction, AbiValue])[] = [
    [hubFunction("viewDeal"), deal],
    [hubFunction("viewTask"), task],
    [hubFunction("viewContribution"), [0n, ZERO_HASH, ZERO_HASH, ZERO_ADDRESS, 0n]],
    [hubFunction("viewScore"), 0n],
    [marketFunction("vmVersionOf"), BigInt(VM_VERSION)],
    [hubFunction("viewAccount"), [0n, 0n]],
  ];
  const call: RpcClient["call"] = async (method, params = []) => {
    if (method === "eth_blockNumber") return "0x1";
    const { data } = params[0] as { data: `0x${string}` };
    const [fn, value] = views.find(([{ selector }]) => data.startsWith(selector))!;
    fn.decode(fromHex(data));
    return toHex(fn.encodeResult(value));
  };
  return { call, batch: (items) => Promise.all(items.map(({ method, params }) => call(method, params))) } as RpcClient;
};

/** A worker's part for a scheduler that answers each ask by `answer`; and what it logs. */
const workerOf = async (
  t: Test,
  answer: (response: ServerResponse, ask: Ask) => void,
  pool = POOL,
  room: DealRooms["of"] = () => new Promise<never>(() => {}),
) => {
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    if (request.url === "/pool") response.end(JSON.stringify({ pool: POOL, owner: OTHER }));
    else answer(response, JSON.parse(text) as Ask);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const datadir = mkdtempSync(join(tmpdir(), "rolec-scheduled-"));
  const stopped = new AbortController();
  t.teardown(() => {
    stopped.abort();
    server.close();
    server.closeAllConnections();
    rmSync(datadir, { recursive: true, force: true });
  });
  const lines: string[] = [];
  const note = (_: object, line: string): void => void lines.push(line);
  const outputs = { begin: () => {}, lack: async () => undefined, release: async () => {}, keep: async () => {} };
  const scheduled = createScheduled({
    access: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, noEnclave: false },
    privateKey: testKey("worker"),
    datadir,
    // What a task needs never comes, unless it is said.
    means: {
      client: chainOf(pool),
      node: "",
      outputs,
      rooms: { of: room, close: () => {} },
      signal: stopped.signal,
    } as unknown as Means,
    policy: { ...defaultPolicy(2), cores: 2, memoryMib: 4_096 },
    machine: { othersLoad: () => 0, onMains: () => true } as never,
    disk: boundlessDisk,
    log: { info: note, warn: note } as never,
  });
  return { scheduled, lines };
};
const listing = (tasks: readonly Hash[], note: unknown = null, waitMs: unknown = 20_000): string =>
  JSON.stringify({
    tasks: tasks.map((taskid) => ({
      taskid,
      enclaveChallenge: ZERO_ADDRESS,
      authorization: toHex(new Uint8Array(65)),
      waitMs,
    })),
    note,
  });
const ticks = async (scheduled: ReturnType<typeof createScheduled>, count: number): Promise<Error[]> => {
  const errors: Error[] = [];
  for (let i = 0; i < count; i++) await scheduled.tick(i, 2, 60).catch((error: Error) => errors.push(error));
  return errors;
};

t.test("a scheduler that is slow holds up nothing else of a worker", async (t) => {
  const open: ServerResponse[] = [];
  const { scheduled } = await workerOf(t, (response) => open.push(response));
  t.same(await ticks(scheduled, 3), [], "ticks end while the ask is under way");
  t.equal(open.length, 1, "one ask at a time");
  open[0]!.end(listing(TASKS.slice(0, 1)));
  for (let i = 0; i < 50 && scheduled.computing.size === 0; i++) await ticks(scheduled, 1);
  t.equal(scheduled.computing.size, 1, "a late answer counts");
});

t.test("a scheduler gives no more tasks than there are places", async (t) => {
  const { scheduled } = await workerOf(t, (response) => response.end(listing(TASKS.slice(0, 16))));
  await ticks(scheduled, 1);
  t.equal(scheduled.computing.size, 2);
  const { scheduled: other } = await workerOf(t, (response) => response.end(listing(TASKS)));
  t.match((await ticks(other, 1))[0]?.message, /answer/, "more than are ever listed is no answer");
  t.equal(other.computing.size, 0);
});

t.test("a scheduler that lies fills no log", async (t) => {
  let asks = 0;
  const { scheduled, lines } = await workerOf(
    t,
    (response) => response.end(listing(TASKS.slice(0, 1), `${++asks} ${"x".repeat(250)}`)),
    OTHER,
  );
  await ticks(scheduled, 20);
  t.ok(asks >= 10);
  t.same(lines.filter((line) => line === "declined").length, 1, "a task is declined once");
  t.ok(lines.length <= 3, `${lines.length} lines`);
  t.ok(lines.join("").length < 2_000);
  t.ok((scheduled.note ?? "").length < 500);
});

t.test("what is no answer is said to be none", async (t) => {
  for (const text of [
    "{}",
    "null",
    '{"tasks":7,"note":null}',
    '{"tasks":[null],"note":null}',
    '{"tasks":[],"note":7}',
    listing(TASKS.slice(0, 1), null, -1),
    listing(TASKS.slice(0, 1), null, "long"),
  ]) {
    const { scheduled } = await workerOf(t, (response) => response.end(text));
    t.match((await ticks(scheduled, 1))[0]?.message, /no answer/, text);
  }
});

t.test("what drips is declined while the scheduler waits, and begun again where it asks again", async (t) => {
  const [declined, untils, lasts]: [Hash[], number[], number[]] = [[], [], []];
  const { scheduled } = await workerOf(
    t,
    (response, ask) => {
      declined.push(...ask.declined);
      response.end(listing(TASKS.slice(0, 1), null, 3_400));
    },
    POOL,
    (_id, _version, { signal, until, lasts: wanted }) => {
      untils.push(until - Date.now());
      lasts.push(wanted! - Date.now());
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    },
  );
  for (let i = 0; i < 60 && untils.length < 2; i++, await sleep(50)) await ticks(scheduled, 1);
  t.same(declined.slice(0, 1), TASKS.slice(0, 1));
  t.equal(untils.length, 2, "it had no other fault than the time");
  t.ok(
    untils.every((ms) => ms <= 400),
    `what is left after fetching is for computing, and a message: ${untils}`,
  );
  t.ok(
    lasts.every((ms) => ms > 500_000),
    "what it needs is wanted as long as the task takes contributions",
  );
});

t.test("of one deal no more tasks wait for data than have a place; the others are declined at once", async (t) => {
  const declined = new Set<Hash>();
  const listed = TASKS.slice(0, 8);
  const { scheduled, lines } = await workerOf(t, (response, ask) => {
    for (const id of ask.declined) declined.add(id);
    response.end(listing(listed.filter((id) => !declined.has(id))));
  });
  for (let i = 0; i < 4; i++) await scheduled.tick(i, 8, 60);
  t.equal(scheduled.computing.size, 2);
  t.same([...declined].sort(), listed.slice(2).sort());
  t.same(lines, [], "that is no news");
});
