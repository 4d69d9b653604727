import t from "tap";
import { WebSocket } from "ws";
import { raw, startRpc } from "../helpers/rpc.ts";

const node = await startRpc();
t.teardown(() => node.stop());
const ask = async (body: unknown) => {
  const answer = await raw(node.port, { body: typeof body === "string" ? body : JSON.stringify(body) });
  return { ...answer, json: answer.body === "" ? undefined : JSON.parse(answer.body) };
};
const call = (method: unknown, params: unknown = [], id: unknown = 1) => ({ jsonrpc: "2.0", id, method, params });

t.test("ids come back as they were, numbers or text", async (t) => {
  for (const id of [7, "seven", null, 0, ""]) t.equal((await ask(call("eth_chainId", [], id))).json.id, id);
  t.equal((await ask(call("eth_chainId"))).json.result, "0x12da0");
});

t.test("what is no JSON-RPC gets the code that the standard says", async (t) => {
  const refused = async (code: number, body: unknown) => t.equal((await ask(body)).json.error.code, code);
  await refused(-32700, "{");
  await refused(-32700, "");
  await refused(-32600, "1");
  await refused(-32600, "null");
  await refused(-32600, "[]");
  await refused(-32600, { id: 1, method: "eth_chainId" });
  await refused(-32600, { jsonrpc: "1.0", id: 1, method: "eth_chainId" });
  await refused(-32600, call(7));
  await refused(-32600, call("eth_chainId", [], { deep: 1 }));
  await refused(-32601, call("eth_nothing"));
  await refused(-32601, call("constructor"));
  await refused(-32601, call("__proto__"));
  await refused(-32602, call("eth_chainId", { a: 1 }));
  await refused(-32602, call("eth_chainId", [1]));
});

t.test("parameters of the wrong kind are refused by name", async (t) => {
  const address = `0x${"00".repeat(20)}`;
  const refused = async (method: string, ...params: unknown[]) => {
    const { json } = await ask(call(method, params));
    t.equal(json.error?.code, -32602, `${method} ${JSON.stringify(params).slice(0, 60)}: ${json.error?.message}`);
  };
  await refused("eth_getBalance");
  await refused("eth_getBalance", 5);
  await refused("eth_getBalance", "0x12");
  await refused("eth_getBalance", address, "0x01");
  await refused("eth_getBalance", address, "0x");
  await refused("eth_getBalance", address, "soon");
  await refused("eth_getBalance", address, 1);
  await refused("eth_getBalance", address, { blockHash: "0x1" });
  await refused("eth_getBalance", address, { blockHash: node.engine.genesisHash, blockNumber: "0x0" });
  await refused("eth_getBalance", address, "0xffffffffffffffffff");
  await refused("eth_sendRawTransaction", "0x123");
  await refused("eth_sendRawTransaction", {});
  await refused("eth_call", "0x");
  await refused("eth_call", { to: address, data: "0x01", input: "0x02" });
  await refused("eth_call", { data: "0x01" });
  await refused("eth_getLogs", { topics: [[[]]] });
  await refused("eth_getLogs", { topics: [[], [], [], [], []] });
  await refused("eth_getLogs", { fromBlock: "0x5" });
  await refused("eth_getLogs", { fromBlock: "0x1", toBlock: "0x0" });
  await refused("eth_getLogs", { blockHash: node.engine.genesisHash, fromBlock: "0x0" });
  await refused("eth_getProof", address, new Array(257).fill("0x0"));
  await refused("eth_feeHistory", "0x0", "latest", []);
  await refused("eth_feeHistory", "0x1", "latest", [50, 20]);
  await refused("eth_feeHistory", "0x1", "latest", [101]);
});

t.test("a batch is answered item by item, a notification not at all", async (t) => {
  const { json } = await ask([
    call("eth_chainId", [], 1),
    call("eth_nothing", [], "b"),
    5,
    { jsonrpc: "2.0", method: "eth_chainId" },
  ]);
  t.equal(json.length, 3);
  t.equal(json[0].result, "0x12da0");
  t.equal(json[1].error.code, -32601);
  t.match(json[2], { id: null, error: { code: -32600 } });
  const silence = await ask({ jsonrpc: "2.0", method: "eth_chainId", params: [] });
  t.match(silence, { status: 204, body: "" });
  t.match(await ask([{ jsonrpc: "2.0", method: "eth_nothing" }]), { status: 204, body: "" });
  const many = await ask(new Array(1_001).fill(call("eth_chainId")));
  t.equal(many.json.error.code, -32600);
  t.equal((await ask(new Array(1_000).fill(call("eth_chainId")))).json.length, 1_000);
});

t.test("a body that is too large, deep or of another type does not harm", async (t) => {
  const tooLarge = Buffer.alloc(2 * 1024 * 1024 + 1, " ");
  t.equal((await raw(node.port, { body: tooLarge })).status, 413);
  const chunked = { "transfer-encoding": "chunked" };
  t.equal((await raw(node.port, { headers: chunked, body: tooLarge })).status, 413);
  const deep = (open: string, close: string, levels: number) => `${open.repeat(levels)}1${close.repeat(levels)}`;
  const inside = (text: string) => `{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":[${text}]}`;
  const isRefused = async (body: string, message: RegExp) =>
    t.match((await ask(body)).json.error, { code: -32700, message });
  await isRefused(deep("[", "]", 1_000_000), /more than 64 levels deep/);
  await isRefused("[".repeat(2_000_000), /more than 64 levels deep/);
  await isRefused(inside(deep("[", "]", 63)), /more than 64 levels deep/);
  await isRefused(inside(deep('{"a":', "}", 300_000)), /more than 64 levels deep/);
  await isRefused(`[${"{},".repeat(600_000)}{}]`, /more than 65536 items/);
  await isRefused(`{${'"a":1,'.repeat(20_000)}"b":2}`, /more than 16384 fields/);
  for (const shallow of [deep("[", "]", 62), deep('{"fromBlock":', "}", 62), `"${'[\\"{'.repeat(300)}"`])
    t.equal((await ask(inside(shallow))).json.error.code, -32602, "brackets in text do not count");
  t.equal((await raw(node.port, { headers: { "content-type": "text/plain" }, body: "{}" })).status, 415);
  t.equal(
    (await raw(node.port, { headers: { "content-type": "application/json; charset=utf-8" }, body: "[]" })).status,
    200,
  );
  t.equal((await ask(call("eth_chainId"))).status, 200, "and it answers on");
});

t.test("GET is a health check; other verbs and paths are refused", async (t) => {
  t.match(await raw(node.port, { method: "GET" }), { status: 200, body: "" });
  t.equal((await raw(node.port, { method: "PUT", body: "{}" })).status, 405);
  t.equal((await raw(node.port, { method: "DELETE" })).status, 405);
  t.equal((await raw(node.port, { path: "/other", body: "{}" })).status, 404);
});

t.test("a page that rebinds its name is refused, and no page may read answers by default", async (t) => {
  const body = JSON.stringify(call("eth_chainId"));
  t.equal((await raw(node.port, { headers: { host: "evil.example" }, body })).status, 403);
  t.equal((await raw(node.port, { headers: { host: `localhost:${node.port}` }, body })).status, 200);
  t.equal((await raw(node.port, { headers: { host: "[::1]:1" }, body })).status, 200);
  const page = await raw(node.port, { headers: { origin: "https://evil.example" }, body });
  t.equal(page.headers["access-control-allow-origin"], undefined);
  const socket = new WebSocket(`ws://127.0.0.1:${node.port}`, { origin: "https://evil.example" });
  const refused = await new Promise((resolve) => socket.on("error", (error) => resolve(error.message)));
  t.match(refused, "403");
});

t.test("an operator may allow names and origins", async (t) => {
  const open = await startRpc([], { hosts: ["node.example"], origins: ["https://wallet.example"] });
  t.teardown(() => open.stop());
  const headers = { host: "node.example", origin: "https://wallet.example" };
  const answer = await raw(open.port, { headers, body: JSON.stringify(call("eth_chainId")) });
  t.equal(answer.status, 200);
  t.equal(answer.headers["access-control-allow-origin"], "https://wallet.example");
  t.equal((await raw(open.port, { method: "OPTIONS", headers })).status, 204);
});

t.test("WebSocket answers requests and batches, and drops who sends too much", async (t) => {
  const socket = new WebSocket(`ws://127.0.0.1:${node.port}`);
  await new Promise((resolve) => socket.on("open", resolve));
  const next = () => new Promise<string>((resolve) => socket.once("message", (data) => resolve(String(data))));
  socket.send(JSON.stringify([call("eth_chainId", [], 1), call("net_version", [], 2)]));
  t.strictSame(
    JSON.parse(await next()).map((each: { result: string }) => each.result),
    ["0x12da0", "77216"],
  );
  socket.send("{");
  t.equal(JSON.parse(await next()).error.code, -32700);
  socket.send(JSON.stringify(call("eth_subscribe", ["nothing"])));
  t.equal(JSON.parse(await next()).error.code, -32602);
  const closed = new Promise<number>((resolve) => socket.on("close", resolve));
  socket.send("[".repeat(2 * 1024 * 1024));
  t.match(JSON.parse(await next()).error, { code: -32700, message: /64 levels/ });
  socket.send(" ".repeat(2 * 1024 * 1024 + 1));
  t.equal(await closed, 1009);
  t.equal((await ask(call("eth_subscribe", ["newHeads"]))).json.error.code, -32601, "not over HTTP");
});
