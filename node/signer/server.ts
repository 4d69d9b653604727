import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Hash, Hex } from "../../lib/bytes.ts";
import { parseJson } from "../../lib/json.ts";
import type { Log } from "../../lib/log.ts";
import { HttpError, readBody } from "../../rpc/http.ts";
import { createJsonService, type JsonService } from "../../rpc/json-service.ts";
import { type Guard, type Request, SigningRefused } from "./guard.ts";

const MAX_BODY_BYTES = 16 * 1024;
const REQUEST_TIMEOUT_MS = 5_000;

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

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

const parseRequest = (body: Buffer): Request => {
  try {
    const json = parseJson(body);
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
}: SignerServerOptions): JsonService => {
  const expected = digest(`Bearer ${token}`);
  const methods = new Map<string, (request: Request) => Promise<Hex>>([
    ["/proposal", guard.proposal],
    ["/reveal", guard.reveal],
    ["/vote", guard.vote],
  ]);

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

  return createJsonService({ answer, host, port, requestTimeoutMs: REQUEST_TIMEOUT_MS, log });
};
