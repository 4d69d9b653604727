import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Log } from "../lib/log.ts";
import { limitConnections } from "./connections.ts";
import { HttpError, respond } from "./http.ts";
import { inOrder } from "./in-order.ts";
import { listen } from "./listen.ts";
import { endInTurns } from "./refusals.ts";

const CONNECTIONS = { maxConnections: 256, maxConnectionsOfAddress: 32, maxConnectionsOfLoopback: 192 };
const MAX_IN_FLIGHT = 256;
const MAX_PIPELINED = 16;
const IDLE_TIMEOUT_MS = 120_000;

export interface JsonServiceOptions {
  /** Answers a request with what becomes JSON. Throws HttpError with what the caller is told. */
  readonly answer: (request: IncomingMessage) => Promise<unknown>;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly requestTimeoutMs: number;
  readonly log: Log;
}

export interface JsonService {
  /** Listens. Resolves with the port; rejects where it is taken. */
  start(): Promise<{ port: number }>;
  stop(): Promise<void>;
}

/** Makes a small HTTP service that answers in JSON, for programs of the same owner; bounded in connections and time. */
export const createJsonService = ({ answer, host, port, requestTimeoutMs, log }: JsonServiceOptions): JsonService => {
  let inFlight = 0;
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const json = (status: number, value: unknown): void =>
      respond(response, status, JSON.stringify(value), "application/json");
    inFlight += 1;
    try {
      if (inFlight > MAX_IN_FLIGHT) throw new HttpError(503, "too many requests at once");
      json(200, await answer(request));
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      // What is left of a body is not read.
      response.setHeader("connection", "close");
      if (error instanceof HttpError) return json(error.status, { error: error.message });
      if (request.destroyed && !request.complete) return void response.destroy();
      log.error({ err: error }, "a request failed");
      json(500, { error: "internal error" });
    } finally {
      inFlight -= 1;
      request.resume();
    }
  };
  const server = createServer(
    { keepAlive: true },
    inOrder({ max: MAX_PIPELINED, takeMs: IDLE_TIMEOUT_MS, pay: () => undefined, serve }),
  );
  endInTurns(server);
  limitConnections(server, CONNECTIONS);
  server.requestTimeout = requestTimeoutMs;
  server.headersTimeout = requestTimeoutMs;
  server.keepAliveTimeout = IDLE_TIMEOUT_MS;
  return {
    start: async () => ({ port: await listen(server, port, host) }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
