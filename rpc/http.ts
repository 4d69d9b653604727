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

/** The name in a Host header, without port and brackets. */
const hostName = (host: string): string => {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host);
  return bracketed ? bracketed[1]! : host.replace(/:\d+$/, "");
};

/**
 * Tells whether a Host header may be served: localhost, a literal address, or a name that the operator gave. A page that
 * rebinds its own name to 127.0.0.1 sends that name, and is refused.
 */
export const isHostAllowed = (host: string | undefined, names: readonly string[]): boolean => {
  const name = hostName(host ?? "").toLowerCase();
  return name === "localhost" || isIP(name) !== 0 || names.includes("*") || names.includes(name);
};

/** Tells whether a page of this origin may read answers. No origin is no page. */
export const isOriginAllowed = (origin: string | undefined, origins: readonly string[]): boolean =>
  origin === undefined || origins.includes("*") || origins.includes(origin);

const JSON_TYPES: readonly string[] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/** Tells whether a Content-Type is one of JSON-RPC's. */
export const isJsonType = (header: string | undefined): boolean =>
  JSON_TYPES.includes((header ?? "").split(";")[0]!.trim().toLowerCase());

/**
 * Reads a body of at most `max` bytes, as they are allowed to be held, and ends the connection after `timeoutMs`. Throws HttpError
 * 413, and 503 where `hold` allows no more.
 */
export const readBody = async (
  request: IncomingMessage,
  max: number,
  timeoutMs: number,
  hold: (bytes: number) => boolean = () => true,
): Promise<Buffer> => {
  if (Number(request.headers["content-length"] ?? 0) > max) throw new HttpError(413, "content length too large");
  const chunks: Buffer[] = [];
  let size = 0;
  const timer = setTimeout(() => request.destroy(new HttpError(408, "the request takes too long")), timeoutMs);
  try {
    for await (const chunk of request) {
      size += (chunk as Buffer).length;
      if (size > max) throw new HttpError(413, "content length too large");
      if (!hold((chunk as Buffer).length)) throw new HttpError(503, "too much is under way, try again");
      chunks.push(chunk as Buffer);
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(chunks);
};

/** Bytes a second that a transfer has to reach in the long run, and the time that it has beside. */
const MIN_BYTES_PER_SECOND = 16 * 1024;
const SLACK_MS = 60_000;

/** Tells whether a transfer is so slow that it only keeps a place from others. */
export const isTooSlow = (ms: number, bytes: number): boolean => ms > SLACK_MS + (1_000 * bytes) / MIN_BYTES_PER_SECOND;

/** Groups connections by who they come from: an IPv4 address, or the 64 bits of IPv6 that one customer has. */
export const peerOf = (address: string | undefined): string => {
  const plain = (address ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  if (isIP(plain) !== 6) return plain;
  const [head = "", tail] = plain.split("%")[0]!.split("::");
  const groups = head.split(":").filter(Boolean);
  const after = tail?.split(":").filter(Boolean).length ?? 0;
  while (tail !== undefined && groups.length + after < 8) groups.push("0");
  return `${groups.slice(0, 4).join(":")}::`;
};

/** Tells whether an address is this machine's own. */
export const isLoopback = (address: string | undefined): boolean =>
  address === "::1" || /^(?:::ffff:)?127\./.test(address ?? "");

/** Answers with text, or with nothing. */
export const respond = (response: ServerResponse, status: number, body = "", type = "text/plain"): void => {
  const headers = body === "" ? {} : { "content-type": type };
  response.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) }).end(body);
};
