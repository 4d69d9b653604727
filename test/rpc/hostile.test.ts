import { EventEmitter } from "node:events";
import { Agent } from "node:http";
import { connect } from "node:net";
import t, { type Test } from "tap";
import { WebSocket } from "ws";
import { createSpending } from "../../lib/spending.ts";
import { createTurns } from "../../lib/turns.ts";
import { createClients } from "../../rpc/clients.ts";
import { type Method, method } from "../../rpc/dispatch.ts";
import { inOrder } from "../../rpc/in-order.ts";
import { RPC_ALLOWANCES, RPC_LIMITS } from "../../rpc/limits.ts";
import { createMeter } from "../../rpc/meter.ts";
import { createRoom } from "../../rpc/room.ts";
import type { RpcServerOptions } from "../../rpc/server.ts";
import { writeJson } from "../../rpc/write-json.ts";
import { raw, startRpc } from "../helpers/rpc.ts";

const start = async (t: Test, options: Partial<RpcServerOptions> = {}) => {
  const node = await startRpc([], options);
  t.teardown(() => node.stop());
  return node;
};
const call = (name: string, params: unknown = [], id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: name, params });
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
/** Keeps the thread busy. */
const spin = (ms: number): void => {
  const end = performance.now() + ms;
  while (performance.now() < end);
};
const open = async (port: number): Promise<WebSocket> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
  return socket;
};
const next = (socket: WebSocket) =>
  new Promise<string>((resolve) => socket.once("message", (data) => resolve(String(data))));
/** Sends bytes as they are and gives what comes until the connection ends. */
const send = (port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (data) => {
      answer += data;
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
  });

const busy = (ms: number): Method => method([], () => spin(ms));
const TIGHT = { ...RPC_ALLOWANCES, local: { perSecond: 100, burst: 50 } };

t.test("who has spent too much is refused before its request is read, and others are served", async (t) => {
  const node = await start(t, { methods: { busy: busy(200) }, allowances: TIGHT, limits: { maxWaitMs: 300 } });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  t.match(await raw(node.port, { body: call("busy"), agent }), { status: 200, body: /"result":null/ });
  t.match(await raw(node.port, { method: "GET", path: "/health", agent }), { status: 429 });
  t.match(await raw(node.port, { body: call("busy"), agent }), { status: 200 }, "the refusal ended the connection");
  t.match(await raw(node.port, { body: call("eth_chainId"), agent }), {
    status: 429,
    headers: { "retry-after": /^[12]$/ },
    body: /^\{"jsonrpc":"2.0","id":null,"error":\{"code":-32005,"message":"limit exceeded: try again in [12] s"\}\}$/,
  });
  t.match(await raw(node.port, { body: call("eth_chainId") }), { status: 200, body: /0x12da0/ });

  const socket = await open(node.port);
  socket.send(call("busy"));
  await next(socket);
  socket.send(call("eth_chainId"));
  t.match(JSON.parse(await next(socket)), { id: null, error: { code: -32005 } });
  socket.terminate();

  const batch = `[${Array.from({ length: 5 }, (_, id) => call("busy", [], id)).join(",")}]`;
  const items = JSON.parse((await raw(node.port, { body: batch, agent: new Agent() })).body);
  t.match(items[0], { id: 0, result: null });
  t.match(items[4], { id: 4, error: { code: -32005 } });
  t.equal(items.length, 5);
});

t.test("who asks one thing after another becomes slower and is never refused", async (t) => {
  const allowances = { ...RPC_ALLOWANCES, local: { perSecond: 200, burst: 20 } };
  const node = await start(t, { methods: { busy: busy(20) }, allowances });
  const started = performance.now();
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  for (let i = 0; i < 12; i++) t.equal((await raw(node.port, { body: call("busy"), agent })).status, 200);
  t.ok(performance.now() - started > 900, "240 ms of work at 200 a second");
});

const HEALTH = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";

t.test("requests that come all at once on one connection are run one after the other", async (t) => {
  let runs = 0;
  let running = 0;
  let most = 0;
  const slow = method([], async () => {
    runs += 1;
    running += 1;
    most = Math.max(most, running);
    await sleep(5);
    running -= 1;
  });
  const node = await start(t, { methods: { slow } });
  const body = call("slow");
  const request = (more: string) =>
    `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;
  const answers = await send(node.port, `${request("").repeat(15)}${request("connection: close\r\n")}`);
  t.equal(answers.split('"result":null').length, 17);
  t.same({ runs, most }, { runs: 16, most: 1 });
  await send(node.port, request("").repeat(17));
  t.ok(runs <= 17, "who sends more ahead is not served beyond what had begun");
});

t.test("a connection with too many requests ahead ends, whatever they ask for", async (t) => {
  const node = await start(t);
  const post = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/html\r\ncontent-length: 0\r\n\r\n";
  const floods = [
    HEALTH,
    HEALTH.replace("GET", "OPTIONS"),
    HEALTH.replace("GET /", "GET /nothing"),
    HEALTH.replace("GET", "PUT"),
    HEALTH.replace("localhost", "example.com"),
    "GET / HTTP/1.1\r\n\r\n",
    HEALTH.replace("host:", "expect: nothing\r\nhost:"),
    post,
  ];
  for (const flood of floods) {
    const answers = (await send(node.port, flood.repeat(1_600))).split("HTTP/1.1 ").length - 1;
    t.ok(answers <= RPC_LIMITS.maxPipelined, `${answers} answers: ${flood.slice(0, 40)}`);
  }
  t.match(await send(node.port, "GET / HTTP/1.1\r\n\r\n"), /^HTTP\/1.1 400/);
  t.equal((await raw(node.port, { method: "GET", body: "" })).status, 200);
});

t.test("an account pays for each request, also for one that is dropped, a page that is not there, or health", (t) => {
  const paid: boolean[] = [];
  const served: number[] = [];
  const socket = new EventEmitter() as EventEmitter & { destroyed: boolean; destroy(): void };
  Object.assign(socket, { destroyed: false, destroy: () => Object.assign(socket, { destroyed: true }) });
  const take = inOrder({
    max: 3,
    takeMs: 1_000,
    pay: (_, isDropped) => paid.push(isDropped),
    serve: async () => void served.push(1),
  });
  for (let i = 0; i < 10; i++) take({ socket } as never, {} as never);
  t.same(paid, [...Array(3).fill(false), ...Array(7).fill(true)]);
  t.ok(socket.destroyed);
  setImmediate(() => {
    t.same(served, [], "nothing is done for a connection that has ended");
    t.end();
  });
});

t.test("health that is asked again and again on one connection comes slower, and then not", async (t) => {
  const allowances = { ...RPC_ALLOWANCES, local: { perSecond: 0.1, burst: 0.55 } };
  const node = await start(t, { allowances, limits: { maxWaitMs: 100 } });
  const answers = await send(node.port, HEALTH.repeat(16));
  t.equal(answers.split("HTTP/1.1 429").length, 2);
  t.ok(answers.split("HTTP/1.1 200").length <= 6);
});

t.test("all of this machine's addresses are one, and whoever is silent makes room", async (t) => {
  const limits = { maxConnectionsOfLoopback: 6 };
  const node = await start(t, { limits });
  const ended: string[] = [];
  const holders = ["127.0.0.2", "127.0.0.3"].flatMap((localAddress) =>
    Array.from({ length: 3 }, () => {
      const socket = connect({ port: node.port, host: "127.0.0.1", localAddress });
      socket.on("error", () => undefined).on("close", () => ended.push(localAddress));
      return socket;
    }),
  );
  await Promise.all(holders.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  for (let i = 0; i < 2; i++)
    t.equal((await raw(node.port, { body: call("eth_chainId"), agent: new Agent() })).status, 200);
  for (let i = 0; i < 100 && ended.length === 0; i++) await sleep(10);
  t.ok(ended.length >= 1 && ended.length <= 2, `${ended.length} ended`);
  for (const socket of holders) socket.destroy();
});

t.test("one client takes a quarter of what all share, and is told how much that is", (t) => {
  const room = createRoom("things", 8);
  const clients = Array.from({ length: 5 }, () => ({}));
  for (const client of clients.slice(0, 4)) {
    t.same([room.take(client), room.take(client)], [undefined, undefined]);
    t.equal(room.take(client), "too many things: at most 2 of one client");
  }
  t.equal(room.take(clients[4]!), "too many things: at most 8 on this node");
  room.give(clients[0]!);
  t.equal(room.take(clients[4]!), undefined);
  t.end();
});

t.test("all programs of this machine together leave a quarter of what all share to others", (t) => {
  const room = createRoom("things", 8);
  const [first, second, third, fourth] = Array.from({ length: 4 }, () => ({ isLocal: true }));
  for (const client of [first!, second!, third!])
    t.same([room.take(client), room.take(client)], [undefined, undefined]);
  t.equal(room.take(fourth!), "too many things: at most 6 of all programs on this machine");
  const remote = {};
  t.same([room.take(remote), room.take(remote)], [undefined, undefined]);
  room.give(first!);
  t.equal(room.take(fourth!), undefined);

  const limits = { ...RPC_LIMITS, maxBytesInFlight: 1_000, maxBytesOfClient: 400, smallBytes: 100 };
  const clients = createClients(limits, RPC_ALLOWANCES);
  const hold = (remoteAddress: string) => clients.of({ remoteAddress, once: () => undefined } as never).hold();
  t.ok(hold("127.0.0.1").take(400));
  t.notOk(hold("127.0.0.1").take(150), "what is large leaves a half of all");
  t.ok(hold("192.0.2.1").take(150), "others' does not have to");
  for (let i = 0; i < 3; i++) t.ok(hold("::1").take(100));
  t.notOk(hold("127.0.0.1").take(100), "and what is small leaves a quarter");
  t.ok(hold("192.0.2.1").take(100));
  t.end();
});

t.test("filters and subscriptions of one client leave room for others", async (t) => {
  const node = await start(t);
  const filters = (count: number) =>
    `[${Array.from({ length: count }, (_, id) => call("eth_newBlockFilter", [], id)).join(",")}]`;
  const items = JSON.parse((await raw(node.port, { body: filters(300), agent: new Agent() })).body);
  t.equal(items.filter(({ result }: { result?: string }) => result).length, 256);
  t.match(items[299].error, { message: "too many filters: at most 256 of one client" });
  t.match(await raw(node.port, { body: call("eth_newBlockFilter"), agent: new Agent() }), { body: /"result":"0x/ });
});

t.test("an address of the network has one account and one share of memory, a local connection its own", (t) => {
  const limits = { ...RPC_LIMITS, maxBytesInFlight: 1_000, maxBytesOfClient: 600, smallBytes: 100 };
  const clients = createClients(limits, RPC_ALLOWANCES);
  const socketOf = (remoteAddress: string) => ({ remoteAddress, once: () => undefined }) as never;
  const of = (address: string) => clients.of(socketOf(address));
  const [first, second] = [of("192.0.2.1"), of("192.0.2.1")];
  first.account.spend(20_000);
  t.ok(second.account.waitMs() > 0);
  t.equal(of("192.0.2.2").account.waitMs(), 0);
  t.ok(of("2001:db8::1").account.waitMs() === 0);
  of("2001:db8::1").account.spend(20_000);
  t.ok(of("2001:db8::2").account.waitMs() > 0, "of the same /64");
  of("127.0.0.1").account.spend(60_000);
  t.equal(of("127.0.0.1").account.waitMs(), 0);

  const [large, other, small] = [first.hold(), second.hold(), of("192.0.2.2").hold()];
  t.ok(large.take(500));
  t.notOk(other.take(150), "more than the address may have");
  t.notOk(small.take(300), "what is large leaves a quarter of all");
  t.ok(small.take(90));
  large.give(400);
  t.ok(other.take(400));
  other.free();
  large.free();
  t.ok(of("192.0.2.3").hold().take(600));
  t.end();
});

t.test("an account pays for what is computed, not for what is waited for", async (t) => {
  const spending = createSpending({ ...RPC_ALLOWANCES, nowMs: () => 0 });
  const account = spending.account(undefined, RPC_ALLOWANCES.local);
  const meter = createMeter(createTurns(), account, 40);
  await meter.turn();
  await meter.run(async () => {
    spin(10);
    await sleep(200);
  });
  t.ok(account.spent() >= 10 && account.spent() < 150, `${account.spent()}`);
  const before = account.spent();
  const over = { code: -32000, message: /query timeout: more than 40 ms of work/ };
  await meter.turn();
  const long = async (turn: () => Promise<void>) => {
    for (let i = 0; i < 100; i++) {
      await turn();
      spin(10);
    }
  };
  await t.rejects(Promise.resolve(meter.run(long)), over);
  t.ok(account.spent() - before >= 40, `${account.spent() - before}`);
  await meter.turn();
  t.equal(
    meter.run(() => 7),
    7,
    "the next call has its own time",
  );
});

t.test("a request that comes slowly ends with 408", async (t) => {
  const node = await start(t, { limits: { requestTimeoutMs: 100, headersTimeoutMs: 500 } });
  const head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
  const late = [`${head}content-length: 100\r\n\r\n{`, `${head}transfer-encoding: chunked\r\n\r\n1\r\n{\r\n`, head, ""];
  for (const answer of await Promise.all(late.map((text) => send(node.port, text))))
    t.match(answer, /^HTTP\/1.1 408 Request Timeout/);
  const many = `${head}${Array.from({ length: 20 }, (_, i) => `x-${i}: ${"y".repeat(1_000)}\r\n`).join("")}\r\n`;
  t.match(await send(node.port, many), /^HTTP\/1.1 431/);
});

t.test("a batch of large answers holds no more than its client may, and answers each item", async (t) => {
  const big = method([], () => "x".repeat(100_000));
  const node = await start(t, { methods: { big }, limits: { maxBytesOfClient: 2_000_000 } });
  const batch = `[${Array.from({ length: 1_000 }, (_, id) => call("big", [], id)).join(",")}]`;
  const items = JSON.parse((await raw(node.port, { body: batch })).body) as { id: number; error?: { code: number } }[];
  t.same(
    items.map(({ id }) => id),
    Array.from({ length: 1_000 }, (_, id) => id),
  );
  const whole = items.filter(({ error }) => !error);
  t.ok(whole.length >= 15 && whole.length <= 20, `${whole.length} answers`);
  t.ok(items.every(({ error }) => !error || error.code === -32003));
  t.match(await node.client.call("big"), /^x+$/, "and it is given back");
});

t.test("who does not read large answers takes no room from small ones", async (t) => {
  const big = method([], () => "x".repeat(8_000_000));
  const limits = { maxBytesInFlight: 32_000_000, writeTimeoutMs: 60_000 };
  const node = await start(t, { methods: { big }, limits });
  const body = call("big");
  const request = `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const slow = Array.from({ length: 8 }, () => {
    const socket = connect(node.port, "127.0.0.1");
    socket.on("error", () => undefined).pause();
    socket.write(request);
    return socket;
  });
  await sleep(500);
  t.match(await raw(node.port, { body }), { status: 200, body: /-32003/ });
  for (let i = 0; i < 20; i++)
    t.match(await raw(node.port, { body: call("eth_chainId") }), { status: 200, body: /0x/ });
  for (const socket of slow) socket.destroy();
  let last = "";
  for (let i = 0; i < 100 && !/xxx/.test(last); i++) {
    await sleep(20);
    last = (await raw(node.port, { body })).body;
  }
  t.match(last, /xxx/, "what they held is given back");
});

t.test("who does not read events is dropped, at its own bound or where all have left too much", async (t) => {
  const flood = method([], async (_, { connection }) => {
    let sent = 0;
    for (; sent < 300 && connection!.send(`"${"x".repeat(100_000)}"`); sent++) await sleep(1);
    return sent;
  });
  const own = await start(t, { methods: { flood } });
  const slow = await open(own.port);
  const ended = new Promise((resolve) => slow.once("close", resolve));
  slow.pause();
  slow.send(call("flood"));
  await sleep(800);
  slow.resume();
  await ended;

  const node = await start(t, { methods: { flood }, limits: { maxBytesInFlight: 4_000_000, maxUnsentBytes: 1e9 } });
  const [idle, reading] = [await open(node.port), await open(node.port)];
  const gone = new Promise((resolve) => idle.once("close", resolve));
  idle.pause();
  idle.send(call("flood"));
  const done = new Promise<number>((resolve) =>
    reading.on("message", (data) => {
      const text = String(data);
      if (text.startsWith("{")) resolve(JSON.parse(text).result);
    }),
  );
  reading.send(call("flood"));
  t.equal(await done, 300, "who reads gets all");
  idle.resume();
  await gone;
});

t.test("a long list is written as JSON.stringify writes it, in turns", async (t) => {
  let turns = 0;
  let held = 0;
  const options = {
    turn: async () => void turns++,
    hold: (chars: number) => {
      held += chars;
    },
    maxChars: 1_000_000,
  };
  const items = Array.from({ length: 4_000 }, (_, i) => ({ i, text: `"${i}"`, none: undefined }));
  const cases: unknown[] = [null, 1, "a", [], {}, [1, [2]], items, { a: 1, b: items, c: undefined, d: { items } }];
  for (const value of cases) t.equal(Buffer.concat(await writeJson(value, options)).toString(), JSON.stringify(value));
  t.equal(turns, 4, "one for each list, and one after each 64 KiB");
  t.ok(held > 50_000);
  await t.rejects(async () => writeJson(items, { ...options, maxChars: 5_000 }), { code: -32003 });
});
