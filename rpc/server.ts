import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Log } from "../lib/log.ts";
import { createChainView } from "./chain-view.ts";
import { createClients } from "./clients.ts";
import { limitConnections } from "./connections.ts";
import { bytesOf, createDispatch, limitExceeded, type Methods, untilAllowed } from "./dispatch.ts";
import type { EnginePort } from "./engine-port.ts";
import { ethMethods } from "./eth.ts";
import { blockMethods } from "./eth-blocks.ts";
import { createFeed } from "./feed.ts";
import { feeMethods } from "./fees.ts";
import { createFilters } from "./filters.ts";
import { HttpError, hostGuard, isJsonType, readBody, refuse, respond, respondJson } from "./http.ts";
import { inOrder, taken } from "./in-order.ts";
import { REQUEST_COST_MS, RPC_ALLOWANCES, RPC_LIMITS, type RpcAllowances, type RpcLimits } from "./limits.ts";
import { listen } from "./listen.ts";
import { type NetworkPort, netMethods } from "./net.ts";
import { createOrigins, isEmbedded, isExtension } from "./origins.ts";
import { endInTurns } from "./refusals.ts";
import { rolecMethods } from "./rolec.ts";
import { createRoom, type Tenant } from "./room.ts";
import { subscribeMethods } from "./subscribe.ts";
import { serveWebSockets } from "./web-socket.ts";

/** Serves paths beside JSON-RPC; gives false where the path is not its own. */
export type Route = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  /** Who asks; the same object for all requests of one client. */
  client: Tenant,
) => Promise<boolean>;

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
  /** Host names that are served beside localhost and literal addresses. */
  readonly hosts?: readonly string[] | undefined;
  /** Origins of web pages that may call, and store; "*" lets all pages call. */
  readonly origins?: readonly string[] | undefined;
  /** Origins of web pages that may call. */
  readonly openOrigins?: readonly string[] | undefined;
  /** Left out: RPC_LIMITS. */
  readonly limits?: Partial<RpcLimits>;
  /** Left out: RPC_ALLOWANCES. */
  readonly allowances?: Partial<RpcAllowances>;
}

export interface RpcServer {
  /** Listens. Resolves with the port; rejects where it is taken. */
  start(): Promise<{ port: number }>;
  stop(): Promise<void>;
}

/** What no answer of a node lets a browser do: run it, or show it within another page. */
const SAFE_HEADERS: readonly (readonly [string, string])[] = [
  ["x-content-type-options", "nosniff"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'; sandbox"],
  ["vary", "Origin"],
];
/** What a page of an allowed origin may send and read. */
const GRANTS: readonly (readonly [string, string])[] = [
  ["access-control-allow-headers", "content-type, range"],
  ["access-control-allow-methods", "GET, HEAD, POST, OPTIONS"],
  ["access-control-expose-headers", "content-range, etag, retry-after"],
  ["access-control-max-age", "600"],
];
const SAFE_VERBS: readonly string[] = ["GET", "HEAD", "OPTIONS"];
/** How often Node looks for connections whose headers are late. */
const HEADERS_CHECK_MS = 2_000;
const MAX_HEADERS = 100;

/** Makes the JSON-RPC server: HTTP and WebSocket on one port. */
export const createRpcServer = (options: RpcServerOptions): RpcServer => {
  const { engine, network, log } = options;
  const limits: RpcLimits = { ...RPC_LIMITS, ...options.limits };
  const isHostAllowed = hostGuard(options.hosts ?? []);
  const origins = createOrigins(options.origins ?? [], options.openOrigins);
  const isOpenToAll = options.origins?.includes("*") ?? false;
  const clients = createClients(limits, { ...RPC_ALLOWANCES, ...options.allowances });
  const view = createChainView(engine);
  const feed = createFeed(engine);
  const filterValues = createRoom("addresses and topics in filters", limits.maxFilterValues);
  const filters = createFilters(view, feed, Date.now, filterValues);
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
    maxCallMs: limits.maxCallMs,
    maxWaitMs: limits.maxWaitMs,
  });

  /** Checks whose page asks, and tells its browser what it may. Throws HttpError 403. */
  const checkOrigin = ({ headers, method }: IncomingMessage, response: ServerResponse): void => {
    if (isEmbedded(headers) && !isOpenToAll)
      throw new HttpError(403, "pages of other sites may not embed what this node serves");
    const { origin } = headers;
    if (origin === undefined) return;
    if (origins.mayCall(origin)) {
      response.setHeader("access-control-allow-origin", origin);
      for (const [name, value] of GRANTS) response.setHeader(name, value);
      if (headers["access-control-request-private-network"] === "true")
        response.setHeader("access-control-allow-private-network", "true");
    } else if (!isExtension(origin) || method === "OPTIONS")
      throw new HttpError(403, "the origin of this page is not allowed; the node's operator may by --rpc-origin");
  };
  const mayStore = (origin: string | undefined): boolean => origin === undefined || origins.mayStore(origin);

  const call = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { account, hold } = clients.of(request.socket);
    const holding = hold();
    try {
      if (!holding.take(limits.requestBytes)) throw new HttpError(503, "too much is under way, try again");
      const body = await readBody(request, limits.maxBodyBytes, limits.requestTimeoutMs, holding.take);
      const caller = { account, hold: holding.take, mayStore: mayStore(request.headers.origin) };
      const answer = await dispatch(body, caller);
      if (answer === undefined) return respond(response, 204);
      const allowedMs = limits.writeTimeoutMs + (1_000 * bytesOf(answer)) / limits.minWriteBytesPerSecond;
      respondJson(response, answer);
      if (response.req.socket) await taken(response.req.socket, response, allowedMs);
    } finally {
      holding.free();
    }
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { account } = clients.of(request.socket);
    await view.turns.turn(account.spent());
    const waitMs = await untilAllowed(account, limits.maxWaitMs);
    for (const [name, value] of SAFE_HEADERS) response.setHeader(name, value);
    if (request.headers.host === undefined && request.httpVersion === "1.1") throw new HttpError(400, "no host");
    if (!isHostAllowed(request.headers.host))
      throw new HttpError(403, "invalid host specified; the node's operator may allow it by --rpc-host-name");
    checkOrigin(request, response);
    if (waitMs > 0) {
      response.setHeader("retry-after", Math.ceil(waitMs / 1_000));
      response.setHeader("connection", "close");
      return respond(response, 429, limitExceeded(waitMs), "application/json");
    }
    const { method = "GET" } = request;
    const path = (request.url ?? "/").split("?")[0]!;
    if (method === "OPTIONS") return respond(response, 204);
    if (path !== "/" && !SAFE_VERBS.includes(method) && !mayStore(request.headers.origin))
      throw new HttpError(403, "a page of this origin may not store; the node's operator may name it by --rpc-origin");
    for (const route of options.routes ?? []) if (await route(request, response, path, account)) return;
    // a load balancer asks with a bare GET whether the node is there
    if ((method === "GET" || method === "HEAD") && (path === "/" || path === "/health")) return respond(response, 200);
    if (method !== "POST") throw new HttpError(405, "method not allowed");
    if (path !== "/") throw new HttpError(404, "not found");
    if (!isJsonType(request.headers["content-type"]))
      throw new HttpError(415, "invalid content type, only application/json is supported");
    await call(request, response);
  };

  const listener = inOrder({
    max: limits.maxPipelined,
    takeMs: limits.idleTimeoutMs,
    pay: (socket, isDropped) =>
      clients.of(socket).account.spend(isDropped ? REQUEST_COST_MS.dropped : REQUEST_COST_MS.http),
    serve: (request, response) =>
      serve(request, response).catch((error) => {
        if (error instanceof HttpError) return refuse(response, error);
        // the client went away in the middle of its request
        if (response.headersSent || response.destroyed || (request.destroyed && !request.complete))
          return void response.destroy();
        log.error({ err: error }, "HTTP request failed");
        respond(response, 500, "internal error\n");
      }),
  });
  // What Node would answer itself, without a host or with an expectation, is counted and paid for as all else.
  const server = createServer(
    { keepAlive: true, connectionsCheckingInterval: HEADERS_CHECK_MS, requireHostHeader: false },
    listener,
  );
  server.on("checkExpectation", listener);
  // Who reads a body sets its time: a request of JSON-RPC is short, an upload of data is not.
  server.requestTimeout = 0;
  server.headersTimeout = limits.headersTimeoutMs;
  server.maxHeadersCount = MAX_HEADERS;
  server.keepAliveTimeout = limits.idleTimeoutMs;
  endInTurns(server);
  limitConnections(server, limits);
  const sockets = serveWebSockets({
    server,
    limits,
    clients,
    dispatch,
    refusal: ({ headers }) => {
      const isAllowed =
        isHostAllowed(headers.host) && (headers.origin === undefined || origins.mayCall(headers.origin));
      return isAllowed ? undefined : "403 Forbidden";
    },
    mayStore: ({ headers }) => mayStore(headers.origin),
    log,
  });

  return {
    start: async () => {
      const port = await listen(server, options.port, options.host);
      server.on("error", (error) => log.error({ err: error }, "RPC server"));
      return { port };
    },
    stop: async () => {
      filters.stop();
      feed.stop();
      sockets.stop();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
};
