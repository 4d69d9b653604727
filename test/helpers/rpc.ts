import { type Agent, request } from "node:http";
import { memoryDb } from "../../chain/db.ts";
import { timestampOf } from "../../chain/params.ts";
import { createEngine } from "../../consensus/engine.ts";
import { createProducer } from "../../consensus/producer.ts";
import { localSigner } from "../../consensus/signer.ts";
import type { Address } from "../../lib/bytes.ts";
import { rpcClient } from "../../rpc/client.ts";
import { createRpcServer, type RpcServerOptions } from "../../rpc/server.ts";
import { createWorkDesk } from "../../rpc/work.ts";
import { memoryProtection, silent, type TestParams, testGenesis } from "./chain.ts";

/** Starts a chain of one validator with its RPC on a port of its own; blocks come when the test asks. */
export const startRpc = async (
  accounts: readonly Address[] = [],
  options: Partial<RpcServerOptions> = {},
  params: TestParams = {},
) => {
  const { genesis, keys } = testGenesis(1, accounts, params);
  let nowMs = genesis.genesisTime * 1000;
  let slot = 0;
  const engine = await createEngine({ db: memoryDb(), genesis, now: () => nowMs, log: silent });
  const producer = createProducer({
    engine,
    signers: [localSigner(keys[0]!)],
    protection: memoryProtection(),
    publishBlock: () => undefined,
    publishVote: () => undefined,
    log: silent,
  });
  const desk = createWorkDesk({ engine, beneficiary: keys[0]!.address });
  const methods = { ...desk.methods, ...options.methods };
  const server = createRpcServer({ engine, host: "127.0.0.1", port: 0, log: silent, ...options, methods });
  const { port } = await server.start();
  const url = `http://127.0.0.1:${port}`;
  return {
    engine,
    desk,
    genesis,
    validator: keys[0]!,
    url,
    port,
    client: rpcClient(url),
    mine: async (slots = 1): Promise<void> => {
      for (let i = 0; i < slots; i++) {
        slot += 1;
        nowMs = timestampOf(genesis, slot) * 1000;
        await producer.onSlot(slot);
      }
    },
    stop: async (): Promise<void> => {
      await server.stop();
      await engine.stop();
    },
  };
};

/** Sends one raw HTTP request; headers may lie. */
export const raw = (
  port: number,
  options: { method?: string; path?: string; headers?: Record<string, string>; body?: string | Buffer; agent?: Agent },
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> =>
  new Promise((resolve, reject) => {
    const { method = "POST", path = "/", headers = {}, body = "", agent } = options;
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        headers: { "content-type": "application/json", ...headers },
        ...(agent ? { agent } : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk) => chunks.push(chunk));
        response.on("end", () =>
          resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString(), headers: response.headers }),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
