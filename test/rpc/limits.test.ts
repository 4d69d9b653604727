import { Agent } from "node:http";
import { connect } from "node:net";
import t, { type Test } from "tap";
import { WebSocket } from "ws";
import { bloomOf } from "../../chain/receipt.ts";
import { signTransaction } from "../../chain/transaction.ts";
import { type Hash, toHex, word } from "../../lib/bytes.ts";
import { isLoopback, peerOf } from "../../rpc/connections.ts";
import { method } from "../../rpc/dispatch.ts";
import { logMatcher } from "../../rpc/logs.ts";
import type { RpcServerOptions } from "../../rpc/server.ts";
import type { LogFilter } from "../../rpc/values.ts";
import { accountOf } from "../helpers/chain.ts";
import { raw, startRpc } from "../helpers/rpc.ts";

const alice = accountOf("alice");
const start = async (t: Test, options: Partial<RpcServerOptions>) => {
  const node = await startRpc([alice.address], options);
  t.teardown(() => node.stop());
  return node;
};
const call = (name: string, params: unknown = [], id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: name, params });
const open = async (port: number): Promise<WebSocket> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`);
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return socket;
};
/** Sends a request over a WebSocket and waits for the answer with its id. */
const ask = (socket: WebSocket, text: string): Promise<{ result?: unknown; error?: { message: string } }> =>
  new Promise((resolve) => {
    const { id } = JSON.parse(text) as { id: unknown };
    const take = (data: unknown): void => {
      const message = JSON.parse(String(data));
      if (message.id !== id) return;
      socket.off("message", take);
      resolve(message);
    };
    socket.on("message", take);
    socket.send(text);
  });
const addresses = (count: number) => Array.from({ length: count }, (_, i) => `0x${i.toString(16).padStart(40, "0")}`);

t.test(
  "filters and subscriptions of this machine name so many values together, a quarter of all one client",
  async (t) => {
    const node = await start(t, { limits: { maxFilterValues: 48 } });
    const agents = Array.from({ length: 4 }, () => new Agent({ keepAlive: true, maxSockets: 1 }));
    t.teardown(() => {
      for (const agent of agents) agent.destroy();
    });
    const post = async (agent: Agent, name: string, params: unknown[]) =>
      JSON.parse((await raw(node.port, { body: call(name, params), agent })).body);
    const filter = (agent: Agent, count: number) => post(agent, "eth_newFilter", [{ address: addresses(count) }]);
    const few = { error: { message: /too many addresses and topics in filters: at most 12 of one client/ } };
    const full = {
      error: { message: /too many addresses and topics in filters: at most 36 of all programs on this machine/ },
    };
    t.match(await filter(agents[0]!, 12), few, "an empty topic list counts as well");
    for (const agent of agents.slice(0, 3)) t.match(await filter(agent, 11), { result: /^0x/ });
    t.match(await filter(agents[0]!, 1), few);
    const socket = await open(node.port);
    const subscribe = call("eth_subscribe", ["logs", { address: addresses(4) }]);
    t.match(await ask(socket, subscribe), full);
    const id = (await filter(agents[3]!, 0)).result;
    t.equal(id, undefined);
    socket.terminate();
  },
);

t.test("what a closed connection's subscriptions named is given back", async (t) => {
  const node = await start(t, { limits: { maxFilterValues: 16 } });
  const subscribe = call("eth_subscribe", ["logs", { address: addresses(3) }]);
  for (let i = 0; i < 6; i++) {
    const socket = await open(node.port);
    t.match(await ask(socket, subscribe), { result: /^0x/ });
    t.match(await ask(socket, subscribe), { error: { message: /at most 4 of one client/ } });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.close();
    await closed;
  }
});

t.test("what happens is told to all who follow it, to each under its own id", async (t) => {
  const node = await start(t, {});
  const sockets = await Promise.all([open(node.port), open(node.port)]);
  const seen = sockets.map((socket) => {
    const events: { subscription: string; result: unknown }[] = [];
    socket.on("message", (data) => {
      const { params } = JSON.parse(String(data));
      if (params) events.push(params);
    });
    return events;
  });
  const ids = await Promise.all(
    sockets.flatMap((socket) =>
      ["newHeads", "newPendingTransactions"].map(
        async (kind, i) => (await ask(socket, call("eth_subscribe", [kind, ...(i ? [true] : [])], kind))).result,
      ),
    ),
  );
  t.equal(new Set(ids).size, 4);
  const tx = signTransaction(
    {
      type: 2,
      chainId: 77_216,
      nonce: 0,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 10n ** 10n,
      gasLimit: 21_000,
      to: alice.address,
      value: 0n,
      data: new Uint8Array(0),
      accessList: [],
    },
    alice.key,
  );
  await node.client.call("eth_sendRawTransaction", [toHex(tx.raw)]);
  await node.mine();
  for (let i = 0; i < 200 && seen.some((events) => events.length < 2); i++)
    await new Promise((resolve) => setTimeout(resolve, 10));
  for (const [i, events] of seen.entries()) {
    t.same(
      events.map(({ subscription }) => subscription),
      [ids[2 * i + 1], ids[2 * i]],
    );
    t.match(events[0]!.result, { hash: tx.hash, from: alice.address });
    t.match(events[1]!.result, { number: "0x1", hash: node.engine.head().hash });
  }
});

t.test("waiting transactions are followed by so many at most", async (t) => {
  const node = await start(t, {});
  const socket = await open(node.port);
  for (let i = 0; i < 16; i++) await ask(socket, call("eth_subscribe", ["newPendingTransactions"], i));
  t.match(await ask(socket, call("eth_subscribe", ["newPendingTransactions"], 16)), {
    error: { message: /too many subscriptions of newPendingTransactions: at most 16 of one client/ },
  });
  const other = await open(node.port);
  t.match(await ask(other, call("eth_subscribe", ["newPendingTransactions"])), { result: /^0x/ });
});

t.test("a WebSocket whose requests wait is not read until they are answered, and all are", async (t) => {
  let most = 0;
  let running = 0;
  const slow = method([(value) => value], async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setTimeout(resolve, 5));
    running -= 1;
    return true;
  });
  const node = await start(t, { methods: { slow }, limits: { maxQueuedBytes: 1_000, maxBytesInFlight: 1_000_000 } });
  const socket = await open(node.port);
  socket.setMaxListeners(0);
  const answers = Array.from({ length: 100 }, (_, id) => ask(socket, call("slow", ["x".repeat(50_000)], id)));
  t.equal((await Promise.all(answers)).filter(({ result }) => result === true).length, 100);
  t.equal(most, 1, "one after the other");
});

t.test("the rest of a batch that takes too long is refused, item by item", async (t) => {
  const slow = method([], () => new Promise((resolve) => setTimeout(() => resolve(true), 30)));
  const node = await start(t, { methods: { slow }, limits: { maxBatchMs: 50 } });
  const batch = `[${Array.from({ length: 6 }, (_, id) => call("slow", [], id)).join(",")}]`;
  const answers = JSON.parse((await raw(node.port, { body: batch })).body) as { result?: true; error?: unknown }[];
  t.equal(answers.length, 6);
  t.equal(answers[0]!.result, true);
  t.match(answers[5]!.error, { code: -32003, message: /the batch takes too long/ });
});

t.test("requests of all connections hold so many bytes together", async (t) => {
  const node = await start(t, { limits: { maxBytesInFlight: 8_000 } });
  const large = call("web3_sha3", [`0x${"00".repeat(4_000)}`]);
  t.match(await raw(node.port, { body: large }), { status: 503, body: /too much is under way/ });
  t.match(await raw(node.port, { body: call("eth_chainId") }), { status: 200, body: /0x12da0/ });
  const socket = await open(node.port);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.send(large);
  t.equal(await closed, 1013);
  for (let i = 0; i < 5; i++) t.equal((await raw(node.port, { body: call("eth_chainId") })).status, 200, "given back");
});

t.test("an answer that nobody takes ends the connection", async (t) => {
  const big = method([], () => "x".repeat(24_000_000));
  const limits = { writeTimeoutMs: 100, minWriteBytesPerSecond: 10 ** 9 };
  const node = await start(t, { methods: { big }, limits });
  const socket = connect(node.port, "127.0.0.1");
  socket.on("error", () => undefined);
  const body = call("big");
  const headers = `host: localhost\r\ncontent-type: application/json\r\ncontent-length: ${body.length}`;
  socket.pause();
  socket.write(`POST / HTTP/1.1\r\n${headers}\r\n\r\n${body}`);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  let bytes = 0;
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.on("data", (data) => {
    bytes += data.length;
  });
  socket.resume();
  await closed;
  t.ok(bytes < 24_000_000, `${bytes} bytes came`);
  t.equal((await raw(node.port, { body: call("eth_chainId") })).status, 200);
});

t.test("this machine has so many connections: the one that is silent longest makes room", async (t) => {
  const node = await start(t, { limits: { maxConnectionsOfLoopback: 2 } });
  const first = await open(node.port);
  const closed = new Promise((resolve) => first.once("close", resolve));
  const [second, third] = [await open(node.port), await open(node.port)];
  await closed;
  for (const socket of [second, third]) t.match(await ask(socket, call("eth_chainId")), { result: "0x12da0" });
});

t.test("connections are counted by IPv4 address, and by the network of an IPv6 address", async (t) => {
  t.equal(peerOf("::ffff:192.0.2.7"), "192.0.2.7");
  t.equal(peerOf("192.0.2.7"), "192.0.2.7");
  t.equal(peerOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
  t.equal(peerOf("2001:db8:1:2::6"), "2001:db8:1:2::");
  t.equal(peerOf("2001:db8::1"), "2001:db8:0:0::");
  t.equal(peerOf("fe80::1%eth0"), "fe80:0:0:0::");
  t.equal(peerOf(undefined), "");
  for (const own of ["::1", "127.0.0.1", "::ffff:127.5.0.1"]) t.ok(isLoopback(own), own);
  for (const other of ["::2", "12.7.0.1", "192.0.2.127", undefined]) t.notOk(isLoopback(other));
});

t.test("a filter finds by the bloom whatever it takes", async (t) => {
  const values = (n: number): Hash => word(BigInt(n));
  const logOf = (from: number, ...topics: number[]) => ({
    address: addresses(from + 1)[from]! as Hash,
    topics: topics.map(values),
    data: new Uint8Array(0),
  });
  const matcher = (changes: Partial<LogFilter>) =>
    logMatcher({
      blockHash: undefined,
      fromBlock: undefined,
      toBlock: undefined,
      addresses: [],
      topics: [],
      ...changes,
    });
  const logs = [logOf(1), logOf(2, 5), logOf(2, 5, 6), logOf(3, 7, 6, 8)];
  const cases: [Partial<LogFilter>, number[]][] = [
    [{}, [0, 1, 2, 3]],
    [{ addresses: [logs[1]!.address] }, [1, 2]],
    [{ topics: [[values(5)]] }, [1, 2]],
    [{ topics: [[], [values(6)]] }, [2, 3]],
    [{ topics: [[values(5), values(7)], [values(6)]] }, [2, 3]],
    [{ topics: [[], [], []] }, [3]],
    [{ addresses: [logs[0]!.address, logs[3]!.address], topics: [[values(7)]] }, [3]],
    [{ topics: [[values(9)]] }, []],
  ];
  for (const [changes, wanted] of cases) {
    const { fits, mayHold } = matcher(changes);
    t.same(
      logs.flatMap((log, i) => (fits(log) ? [i] : [])),
      wanted,
    );
    for (const i of wanted) t.ok(mayHold(bloomOf([logs[i]!])));
    if (wanted.length === 0) t.notOk(mayHold(bloomOf(logs)));
  }
});
