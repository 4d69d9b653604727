// Sends signed transfers over RPC to `rolec dev` and measures how many are mined a second, generator included, on this machine.
// Usage: node test/bench/transfers.ts [count] [runs]
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { signTransaction } from "../../chain/transaction.ts";
import { type Hex, toHex } from "../../lib/bytes.ts";
import { rpcClient } from "../../rpc/client.ts";

const COUNT = Number(process.argv[2] ?? 10_000);
const RUNS = Number(process.argv[3] ?? 3);
const BATCH = 250;
const TIMEOUT_MS = 120_000;
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));

const post = async (url: string, body: unknown): Promise<unknown> => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
};

const run = async (): Promise<{ perSecond: number; answerSeconds: number }> => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-bench-"));
  const started = Date.now();
  const child = spawn(
    process.execPath,
    [MAIN, "dev", "--port", "0", "--json", "--datadir", datadir, "--accounts", "20"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  try {
    let text = "";
    for await (const chunk of child.stdout) {
      text += chunk;
      if (text.trimEnd().endsWith("\n}")) break;
    }
    const { rpcUrl, chainId, accounts } = JSON.parse(text) as {
      rpcUrl: string;
      chainId: number;
      accounts: { address: Hex; privateKey: Hex }[];
    };
    const client = rpcClient(rpcUrl);
    await client.call("eth_blockNumber", []);
    const answerSeconds = (Date.now() - started) / 1000;
    const raw = Array.from({ length: COUNT }, (_, i) => {
      const from = accounts[i % accounts.length]!;
      const to = accounts[(i + 1) % accounts.length]!.address;
      const nonce = Math.floor(i / accounts.length);
      return toHex(
        signTransaction(
          {
            type: 2,
            chainId,
            nonce,
            maxPriorityFeePerGas: 1n,
            maxFeePerGas: 10n ** 10n,
            gasLimit: 21_000,
            to,
            value: 1n,
            data: new Uint8Array(0),
            accessList: [],
          },
          from.privateKey,
        ).raw,
      );
    });
    const from = Date.now();
    for (let i = 0; i < raw.length; i += BATCH) {
      const batch = raw
        .slice(i, i + BATCH)
        .map((tx, id) => ({ jsonrpc: "2.0", id, method: "eth_sendRawTransaction", params: [tx] }));
      for (const answer of (await post(rpcUrl, batch)) as { error?: { message: string } }[])
        if (answer.error) throw new Error(answer.error.message);
    }
    const last = Math.floor((COUNT - 1) / accounts.length) + 1;
    for (;;) {
      const counts = await Promise.all(
        accounts.map(({ address }) => client.call("eth_getTransactionCount", [address, "latest"])),
      );
      if (counts.reduce<number>((sum, count) => sum + Number(count), 0) >= COUNT) break;
      if (Date.now() - from > TIMEOUT_MS) throw new Error(`not mined within ${TIMEOUT_MS / 1000} s (${last} a sender)`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return { perSecond: COUNT / ((Date.now() - from) / 1000), answerSeconds };
  } finally {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    rmSync(datadir, { recursive: true, force: true });
  }
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const results: Awaited<ReturnType<typeof run>>[] = [];
for (let i = 0; i < RUNS; i++) results.push(await run());
console.log(`${COUNT} transfers, ${RUNS} runs, medians:`);
console.log(
  `  mined per second, from the first request to the last receipt: ${median(results.map((each) => each.perSecond)).toFixed(0)}`,
);
console.log(
  `  seconds from the command to the first RPC answer:             ${median(results.map((each) => each.answerSeconds)).toFixed(2)}`,
);
