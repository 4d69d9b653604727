// Sends signed transfers over RPC to `rolec dev`, and to anvil where ANVIL names its program, and measures how many are mined a
// second, the generator included, on this machine. The two take turns.
// Usage: [ANVIL=/path/to/anvil] node test/bench/transfers.ts [count] [runs]
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { signTransaction } from "../../chain/transaction.ts";
import { type Hex, toHex } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { freePorts } from "../../node/ports.ts";
import { rpcClient } from "../../rpc/client.ts";

const COUNT = Number(process.argv[2] ?? 10_000);
const RUNS = Number(process.argv[3] ?? 3);
const ACCOUNTS = 20;
const BATCH = 250;
const TIMEOUT_MS = 120_000;
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

interface Node {
  readonly child: ChildProcess;
  readonly rpcUrl: string;
  readonly keys: readonly Hex[];
}
interface Result {
  readonly perSecond: number;
  readonly answerSeconds: number;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const startRolec = async (folder: string, port: number): Promise<Node> => {
  const args = [
    MAIN,
    "dev",
    "--port",
    String(port),
    "--json",
    "--datadir",
    join(folder, "node"),
    "--accounts",
    String(ACCOUNTS),
  ];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  for await (const chunk of child.stdout!) {
    text += chunk;
    if (text.trimEnd().endsWith("\n}")) break;
  }
  const { rpcUrl, accounts } = JSON.parse(text) as { rpcUrl: string; accounts: { privateKey: Hex }[] };
  return { child, rpcUrl, keys: accounts.map((account) => account.privateKey) };
};

/** Anvil with blocks of a second and room for as many transfers as rolec's. */
const startAnvil = async (folder: string, port: number): Promise<Node> => {
  const config = join(folder, "anvil.json");
  const options = [
    "--block-time",
    "1",
    "--gas-limit",
    "300000000",
    "--accounts",
    String(ACCOUNTS),
    "--config-out",
    config,
  ];
  const child = spawn(process.env.ANVIL!, ["--port", String(port), "--quiet", ...options], { stdio: "ignore" });
  const rpcUrl = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 400; i++) {
    const answer = await rpcClient(rpcUrl)
      .call("eth_blockNumber", [])
      .catch(() => undefined);
    if (answer !== undefined) break;
    await sleep(10);
  }
  return { child, rpcUrl, keys: (JSON.parse(readFileSync(config, "utf8")) as { private_keys: Hex[] }).private_keys };
};

const post = async (url: string, body: unknown): Promise<{ error?: { message: string } }[]> => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()) as { error?: { message: string } }[];
};

const run = async (start: (folder: string, port: number) => Promise<Node>): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-bench-"));
  const [port] = await freePorts(1, {
    host: "127.0.0.1",
    port: 23_545,
    hostOption: "--host",
    portOption: "--port",
  });
  const started = Date.now();
  const { child, rpcUrl, keys } = await start(folder, port!);
  try {
    const client = rpcClient(rpcUrl);
    const chainId = Number(await client.call("eth_chainId", []));
    const answerSeconds = (Date.now() - started) / 1000;
    const accounts = keys.map(addressOf);
    const raw = Array.from({ length: COUNT }, (_, i) => {
      const fields = {
        type: 2 as const,
        chainId,
        nonce: Math.floor(i / ACCOUNTS),
        maxPriorityFeePerGas: 1n,
        maxFeePerGas: 10n ** 10n,
        gasLimit: 21_000,
        to: accounts[(i + 1) % ACCOUNTS],
        value: 1n,
        data: new Uint8Array(0),
        accessList: [],
      };
      return toHex(signTransaction(fields, keys[i % ACCOUNTS]!).raw);
    });
    const from = Date.now();
    for (let i = 0; i < raw.length; i += BATCH) {
      const batch = raw
        .slice(i, i + BATCH)
        .map((tx, id) => ({ jsonrpc: "2.0", id, method: "eth_sendRawTransaction", params: [tx] }));
      for (const answer of await post(rpcUrl, batch)) if (answer.error) throw new Error(answer.error.message);
    }
    for (;;) {
      const counts = await Promise.all(
        accounts.map((address) => client.call("eth_getTransactionCount", [address, "latest"])),
      );
      if (counts.reduce<number>((sum, count) => sum + Number(count), 0) >= COUNT) break;
      if (Date.now() - from > TIMEOUT_MS) throw new Error(`not mined within ${TIMEOUT_MS / 1000} s`);
      await sleep(50);
    }
    return { perSecond: COUNT / ((Date.now() - from) / 1000), answerSeconds };
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const rolec: Result[] = [];
const anvil: Result[] = [];
for (let i = 0; i < RUNS; i++) {
  rolec.push(await run(startRolec));
  if (process.env.ANVIL) anvil.push(await run(startAnvil));
}
const show = (name: string, results: Result[]): number => {
  const perSecond = median(results.map((each) => each.perSecond));
  const answer = median(results.map((each) => each.answerSeconds));
  console.log(`  ${name}: ${perSecond.toFixed(0)} mined a second, first RPC answer after ${answer.toFixed(2)} s`);
  return perSecond;
};
console.log(`${COUNT} transfers, ${RUNS} runs, medians:`);
const ours = show("rolec dev", rolec);
if (anvil.length > 0) console.log(`  ratio to anvil: ${(ours / show("anvil    ", anvil)).toFixed(2)}`);
else console.log("  anvil is not measured: ANVIL names no program");
