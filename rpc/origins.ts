import type { IncomingHttpHeaders } from "node:http";

/** Which web pages may call a node. */
export interface Origins {
  /** Tells whether a page of this origin may call, and read what it is answered. */
  mayCall(origin: string): boolean;
  /** Tells whether it may make the node keep something as well: its operator has named it. */
  mayStore(origin: string): boolean;
}

/** Any page but one without an origin of its own, which says "null". */
const ANY = "*";
const ANY_PORT = ":*";

/**
 * Writes an origin as browsers do: in lower case, without the port of its scheme. `:*` at the end stands for any port.
 * Undefined where it is none.
 */
export const normalOrigin = (text: string): string | undefined => {
  const lower = text.trim().toLowerCase();
  const isOfAnyPort = lower.endsWith(ANY_PORT);
  const url = URL.parse(isOfAnyPort ? lower.slice(0, -ANY_PORT.length) : lower);
  if (!url || url.host === "" || url.host.includes(ANY) || url.username !== "" || url.password !== "") return undefined;
  if (!["", "/"].includes(url.pathname) || url.search !== "" || url.hash !== "") return undefined;
  if (isOfAnyPort && /:\d+:\*$/.test(lower)) return undefined;
  return `${url.protocol}//${url.host}${isOfAnyPort ? ANY_PORT : ""}`;
};

/** Tells whether a text may be given to `createOrigins`. */
export const isOriginOption = (text: string): boolean => text === ANY || normalOrigin(text) !== undefined;

const withAnyPort = (origin: string): string => `${origin.replace(/:\d+$/, "")}${ANY_PORT}`;

/** Pages on this machine, for development. */
export const LOCAL_ORIGINS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"].flatMap((name) =>
  ["http", "https"].map((scheme) => `${scheme}://${name}:*`),
);

/** Makes the rule of who may call: `named` by the operator, and `open` to calls that leave nothing behind. */
export const createOrigins = (named: readonly string[], open: readonly string[] = []): Origins => {
  const normal = (list: readonly string[]) => new Set(list.map((each) => (each === ANY ? ANY : normalOrigin(each))));
  const [namedSet, openSet] = [normal(named), normal(open)];
  const isIn = (set: ReadonlySet<string | undefined>, origin: string | undefined): boolean =>
    origin !== undefined && (set.has(origin) || set.has(withAnyPort(origin)));
  return {
    mayCall: (text) => {
      const origin = normalOrigin(text);
      if (origin === undefined) return false;
      return namedSet.has(ANY) || openSet.has(ANY) || isIn(namedSet, origin) || isIn(openSet, origin);
    },
    mayStore: (text) => isIn(namedSet, normalOrigin(text)),
  };
};

/** Tells whether an origin is a browser's extension, a wallet say, that asks with its user's leave and not as a page. */
export const isExtension = (origin: string): boolean => /^[a-z]+(?:-[a-z]+)*-extension:\/\/[^/]+$/i.test(origin);

/**
 * Tells whether a page of another site has a browser ask without saying whose it is: by an image, a frame, a script. What
 * its user opens is asked for as a document.
 */
export const isEmbedded = (headers: IncomingHttpHeaders): boolean =>
  headers.origin === undefined &&
  headers["sec-fetch-site"] === "cross-site" &&
  headers["sec-fetch-dest"] !== "document";
