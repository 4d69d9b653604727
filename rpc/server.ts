import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { createBudget } from "../lib/budget.ts";
import type { Log } from "../lib/log.ts";
import { createChainView } from "./chain-view.ts";
import { type Connection, createDispatch, type Methods } from "./dispatch.ts";
import type { EnginePort } from "./engine-port.ts";
import { ethMethods } from "./eth.ts";
import { blockMethods } from "./eth-blocks.ts";
import { createFeed } from "./feed.ts";
import { feeMethods } from "./fees.ts";
import { createFilters } from "./filters.ts";
import {
  HttpError,
  isHostAllowed,
  isJsonType,
  isLoopback,
  isOriginAllowed,
  peerOf,
  readBody,
  respond,
} from "./http.ts";
import { type NetworkPort, netMethods } from "./net.ts";
import { rolecMethods } from "./rolec.ts";
import { subscribeMethods } from "./subscribe.ts";

/** Bounds for what comes from outside; geth's numbers where it has them. */
export const RPC_LIMITS = {
  maxBodyBytes: 5 * 1024 * 1024,
  maxBatch: 1_000,
  maxBatchMs: 30_000,
  maxResponseChars: 25_000_000,
  maxConnections: 1_024,
  /** Of one address: a proxy on this machine, or the programs of its owner, may have more. */
  maxConnectionsOfAddress: 64,
  maxConnectionsOfLoopback: 768,
  maxWebSockets: 512,
  /** Requests that are read or run, and answers that are not taken yet, of all connections; beyond it the answer is 503. */
  maxBytesInFlight: 256 * 1024 * 1024,
  /** Requests of one WebSocket that wait for the one that runs; it is not read meanwhile. */
  maxQueuedBytes: 16 * 1024 * 1024,
  /** Addresses and topics of all filters and subscriptions. */
  maxFilterValues: 200_000,
  /** An answer has to be taken within so long, and a second more for each 64 KiB. */
  writeTimeoutMs: 30_000,
  minWriteBytesPerSecond: 64 * 1024,
  /** A client that does not read is dropped when so much waits for it. */
  maxUnsentBytes: 16 * 1024 * 1024,
  requestTimeoutMs: 30_000,
  idleTimeoutMs: 120_000,
  pingMs: 30_000,
} as const;

/** Serves paths beside JSON-RPC; gives false where the path is not its own. */
export type Route = (request: IncomingMessage, response: ServerResponse, path: string) => Promise<boolean>;

export type RpcLimits = { readonly [K in keyof typeof RPC_LIMITS]: number };

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
  /** Left out: RPC_LIMITS. */
  readonly limits?: Partial<RpcLimits>;
}

export interface RpcServer {
  /** Listens. Resolves with the port; rejects where it is taken. */
  start(): Promise<{ port: number }>;
  stop(): Promise<void>;
}

/** Makes the JSON-RPC server: HTTP and WebSocket on one port. */
export const createRpcServer = (options: RpcServerOptions): RpcServer => {
  const { engine, network, log } = options;
  const limits: RpcLimits = { ...RPC_LIMITS, ...options.limits };
  const hosts = (options.hosts ?? []).map((name) => name.toLowerCase());
  const origins = options.origins ?? [];
  const view = createChainView(engine);
  const feed = createFeed(engine);
  const filterValues = createBudget(limits.maxFilterValues);
  const filters = createFilters(view, feed, Date.now, filterValues);
  const inFlight = createBudget(limits.maxBytesInFlight);
  const methods: Methods = {
    ...ethMethods(view),
    ...blockMethods(view),
    ...feeMethods(view),
    ...netMethods(view, network),
    ...rolecMethods(view, network),
    ...filters.methods,
    ...subscribeMethods(view, feed, filterValues, log),
    ...options.methods,
  };
  const dispatch = createDispatch({
    methods,
    log,
    turns: view.turns,
    maxBatch: limits.maxBatch,
    maxBatchMs: limits.maxBatchMs,
    maxResponse: limits.maxResponseChars,
  });

  /** Sends an answer that counts as held until it is taken; who takes too long for it loses the connection. */
  const answerWith = (response: ServerResponse, answer: string): void => {
    const size = Buffer.byteLength(answer);
    if (!inFlight.take(size)) throw new HttpError(503, "too much is under way, try again");
    const allowedMs = limits.writeTimeoutMs + (1_000 * size) / limits.minWriteBytesPerSecond;
    const timer = setTimeout(() => response.destroy(), allowedMs);
    response.once("close", () => {
      clearTimeout(timer);
      inFlight.give(size);
    });
    respond(response, 200, answer, "application/json");
  };

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
    let held = 0;
    const hold = (bytes: number): boolean => {
      const isHeld = inFlight.take(bytes);
      if (isHeld) held += bytes;
      return isHeld;
    };
    try {
      const body = await readBody(request, limits.maxBodyBytes, limits.requestTimeoutMs, hold);
      const answer = await dispatch(body.toString("utf8"));
      if (answer === undefined) respond(response, 204);
      else answerWith(response, answer);
    } finally {
      inFlight.give(held);
    }
  };

  const server = createServer({ keepAlive: true }, (request, response) => {
    serve(request, response).catch((error) => {
      if (response.headersSent || response.destroyed) return response.destroy();
      if (error instanceof HttpError) {
        // what is left of a body that is too large is not read
        response.setHeader("connection", "close");
        respond(response, error.status, `${error.message}\n`);
        if (!request.complete) request.resume();
        return;
      }
      // the client went away in the middle of its request
      if (request.destroyed && !request.complete) return response.destroy();
      log.error({ err: error }, "HTTP request failed");
      respond(response, 500, "internal error\n");
    });
  });
  server.maxConnections = limits.maxConnections;
  // Who reads a body sets its time: a request of JSON-RPC is short, an upload of data is not.
  server.requestTimeout = 0;
  server.headersTimeout = limits.requestTimeoutMs;
  server.keepAliveTimeout = limits.idleTimeoutMs;
  const connections = new Map<string, number>();
  server.on("connection", (socket) => {
    const peer = peerOf(socket.remoteAddress);
    const count = connections.get(peer) ?? 0;
    const max = isLoopback(socket.remoteAddress) ? limits.maxConnectionsOfLoopback : limits.maxConnectionsOfAddress;
    if (count >= max) return socket.destroy();
    connections.set(peer, count + 1);
    socket.once("close", () => {
      const left = connections.get(peer)! - 1;
      if (left > 0) connections.set(peer, left);
      else connections.delete(peer);
    });
  });

  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.maxBodyBytes,
    perMessageDeflate: false,
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    const refuse = (status: string): void => void socket.end(`HTTP/1.1 ${status}\r\nconnection: close\r\n\r\n`);
    if (!isHostAllowed(request.headers.host, hosts)) return refuse("403 Forbidden");
    if (!isOriginAllowed(request.headers.origin, origins)) return refuse("403 Forbidden");
    if (sockets.clients.size >= limits.maxWebSockets) return refuse("503 Service Unavailable");
    sockets.handleUpgrade(request, socket, head, (client) => attend(client));
  });

  const attend = (client: WebSocket): void => {
    const closers: (() => void)[] = [];
    const connection: Connection = {
      send: (message) => {
        if (client.readyState !== client.OPEN) return false;
        const size = Buffer.byteLength(message);
        if (client.bufferedAmount > limits.maxUnsentBytes || !inFlight.take(size)) {
          client.terminate();
          return false;
        }
        client.send(message, () => inFlight.give(size));
        return true;
      },
      onClose: (run) => closers.push(run),
    };
    let isAlive = true;
    const ping = setInterval(() => {
      // who is not read now cannot answer
      if (client.isPaused) return;
      if (!isAlive) return client.terminate();
      isAlive = false;
      client.ping();
    }, limits.pingMs);
    client.on("pong", () => {
      isAlive = true;
    });
    // one request after the other: a client that floods waits for itself
    let queue: Promise<void> = Promise.resolve();
    let queued = 0;
    let queuedBytes = 0;
    client.on("message", (data: Buffer, isBinary) => {
      if (isBinary || queued >= limits.maxBatch) return client.close(1008, "too many requests, or not text");
      if (!inFlight.take(data.length)) return client.close(1013, "too much is under way, try again");
      queued += 1;
      queuedBytes += data.length;
      if (queuedBytes >= limits.maxQueuedBytes) client.pause();
      queue = queue
        .then(async () => {
          if (client.readyState !== client.OPEN) return;
          const answer = await dispatch(String(data), connection);
          if (answer !== undefined) connection.send(answer);
        })
        .catch((error) => log.error({ err: error }, "WebSocket request failed"))
        .finally(() => {
          queued -= 1;
          queuedBytes -= data.length;
          inFlight.give(data.length);
          if (client.isPaused && queuedBytes < limits.maxQueuedBytes) client.resume();
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
