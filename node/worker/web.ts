import { lookup as dnsLookup } from "node:dns";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { isTooSlow } from "../../rpc/http.ts";
import { isFinalStatus, Unobtainable } from "./unobtainable.ts";

/** A URL that this machine does not ask. */
export class NotAsked extends Unobtainable {
  override readonly name = "NotAsked";
}

export interface WebOptions {
  readonly signal: AbortSignal;
  /** Lets addresses of this machine and its networks be asked: an owner's own choice. */
  readonly allowPrivate: boolean;
  /** Milliseconds that a server has to begin its answer; 30,000 unless told. */
  readonly beginMs?: number;
}

const MAX_REDIRECTS = 5;
/** A server that says nothing for so long is left. */
const IDLE_MS = 15_000;
/** One that says its headers a letter at a time is left too. */
const BEGIN_MS = 30_000;
/** Ports below belong to mail, shells and the like, which have nothing to say to HTTP. */
const FIRST_FREE_PORT = 1_024;
const WEB_PORTS: readonly number[] = [80, 443];

/** IPv4 addresses that are not of the internet (IANA's special-purpose registry). */
const SPECIAL_V4 = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const;
/** IPv6: only global unicast is of the internet, without tunnels that could lead anywhere and what is for documents. */
const GLOBAL_V6 = ["2000::", 3] as const;
const SPECIAL_V6 = [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["3fff::", 20],
] as const;

const special = new BlockList();
for (const [net, bits] of SPECIAL_V4) special.addSubnet(net, bits, "ipv4");
for (const [net, bits] of SPECIAL_V6) special.addSubnet(net, bits, "ipv6");
const globalV6 = new BlockList();
globalV6.addSubnet(...GLOBAL_V6, "ipv6");

/** Tells whether an address is of the internet: neither this machine's nor its networks' nor a special one. */
export const isInternetAddress = (address: string): boolean => {
  const family = isIP(address);
  if (family === 4) return !special.check(address, "ipv4");
  return family === 6 && globalV6.check(address, "ipv6") && !special.check(address, "ipv6");
};

/** Resolves a name to addresses of the internet alone; the connection goes to one of them, however the name changes. */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  dnsLookup(hostname, { ...options, all: true }, (error, found) => {
    if (error) return callback(error, "", 0);
    const allowed = found.filter(({ address }) => isInternetAddress(address));
    const [first] = allowed;
    if (!first) return callback(new NotAsked(`${hostname} is not on the internet`), "", 0);
    if (options.all) return callback(null, allowed);
    return callback(null, first.address, first.family);
  });
};

const check = (url: URL, allowPrivate: boolean): void => {
  const refuse = (why: string): never => {
    throw new NotAsked(`${url.origin} is not asked: ${why}`);
  };
  if (url.protocol !== "http:" && url.protocol !== "https:") refuse("only http and https are");
  if (url.username !== "" || url.password !== "") refuse("it would be told a password");
  if (allowPrivate) return;
  const host = url.hostname.replace(/^\[|\]$/g, "");
  if (isIP(host) !== 0 && !isInternetAddress(host)) refuse("it is not on the internet");
  const port = url.port === "" ? 443 : Number(url.port);
  if (port < FIRST_FREE_PORT && !WEB_PORTS.includes(port)) refuse("its port is not the web's");
};

const askOnce = (url: URL, { signal, allowPrivate, beginMs = BEGIN_MS }: WebOptions): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const request = url.protocol === "https:" ? httpsRequest : httpRequest;
    const sent = request(url, {
      agent: false,
      signal,
      headers: { accept: "*/*", "accept-encoding": "identity", "user-agent": "rolec-worker" },
      ...(allowPrivate ? {} : { lookup: guardedLookup }),
    });
    sent.setTimeout(IDLE_MS, () => sent.destroy(new Error(`${url.host} says nothing for ${IDLE_MS / 1000} s`)));
    const late = setTimeout(
      () => sent.destroy(new Error(`${url.host} has not begun to answer in ${beginMs / 1000} s`)),
      beginMs,
    );
    sent.on("close", () => clearTimeout(late));
    sent.on("response", (response) => {
      clearTimeout(late);
      resolve(response);
    });
    sent.on("error", reject);
    sent.end();
  });

/** Reads a URL. Two machines may not agree on what is one: it is then not to be had, and its task not invalid. */
const urlOf = (text: string, base?: URL): URL => {
  const url = URL.parse(text, base);
  if (!url) throw new Unobtainable(`${text.slice(0, 80)} is no URL`);
  return url;
};

/**
 * Reads a URL piece by piece, over at most five redirects. Throws NotAsked where it is not to be asked, Unobtainable where the
 * server says no for good, another Error where it cannot be had now. What comes is as the server gives it to this machine: the
 * caller checks it, and how much it is.
 */
export async function* streamUrl(text: string, options: WebOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const since = Date.now();
  let url = urlOf(text);
  for (let redirects = 0; ; redirects++) {
    check(url, options.allowPrivate);
    const response = await askOnce(url, options);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      if (redirects >= MAX_REDIRECTS) throw new Error(`${text}: more than ${MAX_REDIRECTS} redirects`);
      url = urlOf(headers.location, url);
      continue;
    }
    if (statusCode !== 200 || (headers["content-encoding"] ?? "identity") !== "identity") {
      response.destroy();
      const what = `${text} answers ${statusCode}`;
      throw isFinalStatus(statusCode) ? new Unobtainable(what) : new Error(what);
    }
    let bytes = 0;
    for await (const piece of response as AsyncIterable<Uint8Array>) {
      bytes += piece.length;
      if (isTooSlow(Date.now() - since, bytes)) throw new Error(`${text} comes too slowly`);
      yield piece;
    }
    return;
  }
}
