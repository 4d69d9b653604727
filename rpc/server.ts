import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import type { Log } from "../lib/log.ts";
import { createChainView } from "./chain-view.ts";
import { type Connection, createDispatch, type Methods } from "./dispatch.ts";
import type { EnginePort } from "./engine-port.ts";
import { ethMethods } from "./eth.ts";
import { blockMethods } from "./eth-blocks.ts";
import { createFeed } from "./feed.ts";
import { feeMethods } from "./fees.ts";
import { createFilters } from "./filters.ts";
import { HttpError, isHostAllowed, isJsonType, isOriginAllowed, readBody, respond } from "./http.ts";
import { type NetworkPort, netMethods } from "./net.ts";
import { rolecMethods } from "./rolec.ts";
import { subscribeMethods } from "./subscribe.ts";

/** Bounds for what comes from outside; geth's numbers where it has them. */
export const RPC_LIMITS = {
  maxBodyBytes: 5 * 1024 * 1024,
  maxBatch: 1_000,
  maxResponseChars: 25_000_000,
  maxConnections: 1_024,
  maxWebSockets: 512,
  /** A client that does not read is dropped when so much waits for it. */
  maxUnsentBytes: 16 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  pingMs: 30_000,
} as const;

/** Serves paths beside JSON-RPC; gives false where the path is not its own. */
export type Route = (request: IncomingMessage, response: ServerResponse, path: string) => Promise<boolean>;

export interface RpcServerOptions {
  readonly engine: EnginePort;
  readonly network?: NetworkPort | undefined;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
  /** More methods, e.g. of the market and of data. */
  readonly methods?: Methods;
  readonly routes?: readonly Route[];
  /** Host names that are served beside localhost and literal addresses; "*" serves all. */
  readonly hosts?: readonly string[];
  /** Origins of web pages that may call; "*" lets all. */
  readonly origins?: readonly string[];
}

export interface RpcServer {
  /** Listens. Resolves with the port; rejects where it is taken. */
  start(): Promise<{ port: number }>;
  stop(): Promise<void>;
}

/** Makes the JSON-RPC server: HTTP and WebSocket on one port. */
export const createRpcServer = (options: RpcServerOptions): RpcServer => {
  const { engine, network, log } = options;
  const hosts = (options.hosts ?? []).map((name) => name.toLowerCase());
  const origins = options.origins ?? [];
  const view = createChainView(engine);
  const feed = createFeed(engine);
  const filters = createFilters(view, feed, Date.now);
  const methods: Methods = {
    ...ethMethods(view),
    ...blockMethods(view),
    ...feeMethods(view),
    ...netMethods(view, network),
    ...rolecMethods(view, network),
    ...filters.methods,
    ...subscribeMethods(view, feed),
    ...options.methods,
  };
  const dispatch = createDispatch({
    methods,
    log,
    maxBatch: RPC_LIMITS.maxBatch,
    maxResponse: RPC_LIMITS.maxResponseChars,
  });

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isHostAllowed(request.headers.host, hosts)) throw new HttpError(403, "invalid host specified");
    const { origin } = request.headers;
    if (origin !== undefined && isOriginAllowed(origin, origins)) {
      response.setHeader("access-control-allow-origin", origins.includes("*") ? "*" : origin);
      response.setHeader("vary", "Origin");
      response.setHeader("access-control-allow-headers", "content-type");
      response.setHeader("access-control-allow-methods", "GET, HEAD, POST, OPTIONS");
    }
    const path = (request.url ?? "/").split("?")[0]!;
    for (const route of options.routes ?? []) if (await route(request, response, path)) return;
    if (request.method === "OPTIONS") return respond(response, 204);
    // a load balancer asks with a bare GET whether the node is there
    if (request.method === "GET" && (path === "/" || path === "/health")) return respond(response, 200);
    if (request.method !== "POST") throw new HttpError(405, "method not allowed");
    if (path !== "/") throw new HttpError(404, "not found");
    if (!isJsonType(request.headers["content-type"]))
      throw new HttpError(415, "invalid content type, only application/json is supported");
    const body = await readBody(request, RPC_LIMITS.maxBodyBytes, RPC_LIMITS.requestTimeoutMs);
    const answer = await dispatch(body.toString("utf8"));
    if (answer === undefined) respond(response, 204);
    else respond(response, 200, answer, "application/json");
  };

  const server = createServer({ keepAlive: true }, (request, response) => {
    serve(request, response).catch((error) => {
      if (response.headersSent || response.destroyed) return response.destroy();
      if (error instanceof HttpError) {
        // what is left of a body that is too large is not read
        response.setHeader("connection", "close");
        respond(response, error.status, `${error.message}\n`);
        if (error.status === 413) request.resume();
        return;
      }
      // the client went away in the middle of its request
      if (request.destroyed && !request.complete) return response.destroy();
      log.error({ err: error }, "HTTP request failed");
      respond(response, 500, "internal error\n");
    });
  });
  server.maxConnections = RPC_LIMITS.maxConnections;
  // Who reads a body sets its time: a request of JSON-RPC is short, an upload of data is not.
  server.requestTimeout = 0;
  server.headersTimeout = RPC_LIMITS.requestTimeoutMs;
  server.keepAliveTimeout = RPC_LIMITS.idleTimeoutMs;

  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: RPC_LIMITS.maxBodyBytes,
    perMessageDeflate: false,
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const refuse = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
    if (!isHostAllowed(request.headers.host, hosts)) return refuse("403 Forbidden");
    if (!isOriginAllowed(request.headers.origin, origins)) return refuse("403 Forbidden");
    if (sockets.clients.size >= RPC_LIMITS.maxWebSockets) return refuse("503 Service Unavailable");
    sockets.handleUpgrade(request, socket, head, (client) => attend(client));
  });

  const attend = (client: WebSocket): void => {
    const closers: (() => void)[] = [];
    const connection: Connection = {
      send: (message) => {
        if (client.readyState !== client.OPEN) return false;
        if (client.bufferedAmount > RPC_LIMITS.maxUnsentBytes) {
          client.terminate();
          return false;
        }
        client.send(message);
        return true;
      },
      onClose: (run) => closers.push(run),
    };
    let isAlive = true;
    const ping = setInterval(() => {
      if (!isAlive) return client.terminate();
      isAlive = false;
      client.ping();
    }, RPC_LIMITS.pingMs);
    client.on("pong", () => {
      isAlive = true;
    });
    // one request after the other: a client that floods waits for itself
    let queue: Promise<void> = Promise.resolve();
    let queued = 0;
    client.on("message", (data, isBinary) => {
      if (isBinary || queued >= RPC_LIMITS.maxBatch) return client.close(1008, "too many requests, or not text");
      queued += 1;
      queue = queue
        .then(async () => {
          const answer = await dispatch(String(data), connection);
          if (answer !== undefined) connection.send(answer);
        })
        .catch((error) => log.error({ err: error }, "WebSocket request failed"))
        .finally(() => {
          queued -= 1;
        });
    });
    client.on("error", () => client.terminate());
    client.on("close", () => {
      clearInterval(ping);
      for (const close of closers) close();
    });
  };

  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(options.port, options.host, () => {
          server.off("error", reject);
          server.on("error", (error) => log.error({ err: error }, "RPC server"));
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    stop: async () => {
      filters.stop();
      feed.stop();
      for (const client of sockets.clients) client.terminate();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
};
