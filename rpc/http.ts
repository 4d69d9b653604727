import type { IncomingMessage, ServerResponse } from "node:http";
import { isIP } from "node:net";

/** A request that is refused before anything else looks at it. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The name in a Host header, without port, brackets and the dot that may end it. */
const hostName = (host: string): string => {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  return (bracketed ? bracketed[1]! : host.replace(/:\d+$/, "").replace(/\.$/, "")).toLowerCase();
};

/** Tells whether a text is a host's name, with or without a port. */
export const isHostOption = (text: string): boolean => /^[a-z0-9_]([a-z0-9_.-]{0,252})(:\d{1,5})?$/i.test(text);

/**
 * Makes what tells whether a Host header may be served: localhost, a literal address, or a name that the operator gave, in
 * any letter case and at any port. A page that rebinds its own name to 127.0.0.1 sends that name, and is refused.
 */
export const hostGuard = (named: readonly string[]): ((host: string | undefined) => boolean) => {
  const names = new Set(["localhost", ...named.map(hostName)]);
  return (host) => {
    const name = hostName(host ?? "");
    return isIP(name) !== 0 || names.has(name);
  };
};

const JSON_TYPES: readonly string[] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/** Tells whether a Content-Type is one of JSON-RPC's. */
export const isJsonType = (header: string | undefined): boolean =>
  JSON_TYPES.includes((header ?? "").split(";")[0]!.trim().toLowerCase());

/**
 * Reads a body of at most `max` bytes, as they are allowed to be held. Throws HttpError 413, 408 after `timeoutMs`, and 503
 * where `hold` allows no more; the rest is for the caller to leave unread.
 */
export const readBody = (
  request: IncomingMessage,
  max: number,
  timeoutMs: number,
  hold: (bytes: number) => boolean = () => true,
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const timer = setTimeout(() => fail(new HttpError(408, "the request takes too long")), timeoutMs);
    const leave = (): void => {
      clearTimeout(timer);
      request.off("data", onData).off("end", onEnd).off("error", fail).off("close", onClose);
    };
    const fail = (error: Error): void => {
      leave();
      request.on("error", () => undefined).pause();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > max) fail(new HttpError(413, "content length too large"));
      else if (!hold(chunk.length)) fail(new HttpError(503, "too much is under way, try again"));
      else chunks.push(chunk);
    };
    const onEnd = (): void => {
      leave();
      resolve(Buffer.concat(chunks));
    };
    const onClose = (): void => fail(new HttpError(400, "the request ends before its body"));
    if (request.destroyed) onClose();
    else if (Number(request.headers["content-length"] ?? 0) > max) fail(new HttpError(413, "content length too large"));
    else request.on("data", onData).on("end", onEnd).on("error", fail).on("close", onClose);
  });

/** Bytes a second that a transfer has to reach in the long run, and the time that it has beside. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SLACK_MS = 60_000;

/** Tells whether a transfer is so slow that it only keeps a place from others. */
export const isTooSlow = (ms: number, bytes: number): boolean => ms > SLACK_MS + (1_000 * bytes) / MIN_BYTES_PER_SECOND;

/** Refuses a request and ends its connection: what is left of its body is not waited for. */
export const refuse = (response: ServerResponse, { status, message }: HttpError): void => {
  if (response.headersSent || response.destroyed) return void response.destroy();
  response.setHeader("connection", "close");
  respond(response, status, `${message}\n`);
  if (!response.req.complete) response.req.resume();
};

/** Answers with text, or with nothing. */
export const respond = (
  response: ServerResponse,
  status: number,
  body: string | Uint8Array = "",
  type = "text/plain",
): void => {
  const headers = body.length === 0 ? {} : { "content-type": type };
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) }).end(body);
};

/** Answers with JSON that is there in pieces, and leaves them as they are. */
export const respondJson = (response: ServerResponse, pieces: readonly Uint8Array[]): void => {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  response.writeHead(200, { "content-type": "application/json", "content-length": length });
  response.cork();
  for (const piece of pieces) response.write(piece);
  response.end();
};
