import { Worker } from "node:worker_threads";
import t from "tap";
import { raw, startRpc } from "../helpers/rpc.ts";
import { watchStretches } from "../helpers/stretches.ts";

const call = (name: string, params: unknown = [], id: unknown = 1) =>
  JSON.stringify({ jsonrpc: "2.0", id, method: name, params });

/** Another thread that sends a body over and over, by HTTP and WebSocket on several connections. */
const ATTACKER = `
  const { workerData: { port, bodies, rounds }, parentPort } = require("node:worker_threads");
  const http = require("node:http");
  const { WebSocket } = require("ws");
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const answers = {};
  const count = (what) => { answers[what] = (answers[what] ?? 0) + 1; };
  const post = (body) => new Promise((resolve) => {
    const sent = http.request({ port, host: "127.0.0.1", agent, method: "POST", headers: { "content-type": "application/json", "content-length": body.length } }, (response) => {
      let text = "";
      response.on("data", (data) => { text += data; });
      response.on("end", () => { count(response.statusCode + " " + (/"code":(-?\\d+)/.exec(text)?.[1] ?? "")); resolve(); });
    });
    sent.on("error", () => { count("ended"); resolve(); });
    sent.end(body);
  });
  const socket = new WebSocket("ws://127.0.0.1:" + port);
  const ask = (body) => new Promise((resolve) => {
    if (body.length > 2 * 1024 * 1024) return resolve();
    socket.once("message", (text) => { count("ws " + (/"code":(-?\\d+)/.exec(String(text))?.[1] ?? "")); resolve(); });
    socket.send(body.toString());
  });
  socket.on("open", async () => {
    const made = bodies.map(([head, piece, count, tail]) => Buffer.from(head + piece.repeat(count) + tail));
    for (let i = 0; i < rounds; i++) for (const body of made) await Promise.all([post(body), post(body), post(body), ask(body)]);
    socket.close();
    agent.destroy();
    parentPort.postMessage(answers);
  });
`;

t.test("no body holds the thread for long, however deep or many its parts are", async (t) => {
  const node = await startRpc();
  t.teardown(() => node.stop());
  const fields = Array.from({ length: 16_000 }, (_, i) => `"key ${i}":0`).join(",");
  const bodies = [
    ["", "[", 5_200_000, ""],
    ["", "[", 2_000_000, ""],
    [call("eth_getLogs", []).slice(0, -2), "[", 1_000_000, "]".repeat(1_000_000)],
    ["", '{"a":', 400_000, ""],
    ["[", "{},", 690_000, "{}]"],
    ["[", "[],", 32_000, "[]]"],
    [`[{${fields}},"`, "ab", 850_000, '"]'],
    [`["`, "\\u0041", 340_000, '"]'],
  ];
  // what is compiled at first does not count
  const rounds = 1;
  const attack = async (rounds: number) => {
    const attacker = new Worker(ATTACKER, { eval: true, workerData: { port: node.port, bodies, rounds } });
    return new Promise<Record<string, number>>((resolve, reject) =>
      attacker.once("message", resolve).once("error", reject),
    );
  };
  await attack(1);
  const watch = watchStretches();
  const answers = await attack(rounds);
  const most = watch.stop();
  t.ok(most < 80, `at most ${most.toFixed(0)} ms of processor time at a stretch`);
  t.comment(`${most.toFixed(0)} ms, ${JSON.stringify(answers)}`);
  t.ok((answers["413 "] ?? 0) + (answers.ended ?? 0) >= 3 * rounds, "the body of 5.2 MB");
  t.equal(answers["200 -32700"], 3 * 4 * rounds);
  t.equal(answers["ws -32700"], 4 * rounds);
  t.equal((await raw(node.port, { body: call("eth_chainId") })).status, 200);
});
