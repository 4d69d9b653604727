import type { IncomingMessage } from "node:http";
import type { Log } from "../../lib/log.ts";
import { HttpError, readBody } from "../../rpc/http.ts";
import { createJsonService, type JsonService } from "../../rpc/json-service.ts";
import { type Ask, type Assignments, MAX_ASK_BYTES, readAsk, SIGNATURE_HEADER } from "./messages.ts";
import type { Scheduler } from "./scheduler.ts";

const REQUEST_TIMEOUT_MS = 5_000;

export interface PoolServerOptions {
  readonly scheduler: Scheduler;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
}

/** Makes the service that a pool's workers ask: GET /pool tells whose it is, POST /ask gives tasks (docs/pools.md). */
export const createPoolServer = ({ scheduler, host, port, log }: PoolServerOptions): JsonService => {
  const answer = async (request: IncomingMessage): Promise<Assignments | { pool: string; owner: string }> => {
    const { pool, owner } = scheduler;
    if (request.url === "/pool" && request.method === "GET") return { pool, owner };
    if (request.url !== "/ask") throw new HttpError(404, "not found");
    if (request.method !== "POST") throw new HttpError(405, "method not allowed");
    const body = await readBody(request, MAX_ASK_BYTES, REQUEST_TIMEOUT_MS);
    let ask: Ask;
    try {
      ask = readAsk(body, String(request.headers[SIGNATURE_HEADER] ?? ""));
    } catch (error) {
      throw new HttpError(400, (error as Error).message);
    }
    try {
      return scheduler.ask(ask);
    } catch (error) {
      throw new HttpError(403, (error as Error).message);
    }
  };
  return createJsonService({ answer, host, port, requestTimeoutMs: REQUEST_TIMEOUT_MS, log });
};
