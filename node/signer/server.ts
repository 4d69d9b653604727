import { createHash, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Hash, Hex } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { HttpError, readBody, respond } from "../../rpc/http.ts";
import { type Guard, type Request, SigningRefused } from "./guard.ts";

const MAX_BODY_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 64;
const MAX_IN_FLIGHT = 256;
const REQUEST_TIMEOUT_MS = 5_000;
const IDLE_TIMEOUT_MS = 120_000;

export interface SignerServerOptions {
  readonly guard: Guard;
  readonly genesisHash: Hash;
  /** What a node has to show: `Authorization: Bearer <token>`. */
  readonly token: string;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly log: Log;
}

export interface SignerServer {
  /** Listens. Resolves with the port; rejects where it is taken. */
  start(): Promise<{ port: number }>;
  stop(): Promise<void>;
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const parseRequest = (body: Buffer): Request => {
  try {
    const json: unknown = JSON.parse(body.toString("utf8"));
    if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as Request;
  } catch {
    // said below
  }
  throw new HttpError(400, "the body must be a JSON object");
};

/** Makes the server of `rolec signer`: GET /validators, POST /proposal, /reveal and /vote (docs/validator-keys.md). */
export const createSignerServer = ({
  guard,
  genesisHash,
  token,
  host,
  port,
  log,
}: SignerServerOptions): SignerServer => {
  const expected = digest(`Bearer ${token}`);
  const methods = new Map<string, (request: Request) => Promise<Hex>>([
    ["/proposal", guard.proposal],
    ["/reveal", guard.reveal],
    ["/vote", guard.vote],
  ]);
  let inFlight = 0;

  const answer = async (request: IncomingMessage): Promise<unknown> => {
    // Digests of one length: what the comparison takes says nothing about the token.
    if (!timingSafeEqual(digest(request.headers.authorization ?? ""), expected))
      throw new HttpError(401, "the bearer token is missing or wrong");
    const path = request.url ?? "";
    if (request.method === "GET" && path === "/validators") return { genesisHash, validators: guard.validators };
    const method = methods.get(path);
    if (!method) throw new HttpError(404, "not found");
    if (request.method !== "POST") throw new HttpError(405, "method not allowed");
    const { header, ...asked } = parseRequest(await readBody(request, MAX_BODY_BYTES, REQUEST_TIMEOUT_MS));
    try {
      const signature = await method({ header, ...asked });
      log.info({ ...asked, path }, "signed");
      return { signature };
    } catch (error) {
      if (!(error instanceof SigningRefused)) throw error;
      log.warn({ path, reason: error.message }, "refused to sign");
      throw new HttpError(error.status, error.message);
    }
  };

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

  const server = createServer({ keepAlive: true }, (request, response) => void serve(request, response));
  server.maxConnections = MAX_CONNECTIONS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.headersTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = IDLE_TIMEOUT_MS;
  return {
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          resolve({ port: (server.address() as AddressInfo).port });
        });
      }),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
