import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { utf8 } from "../lib/bytes.ts";
import { writeTar } from "../lib/tar.ts";
import { writeZip, zipBytes } from "../lib/zip.ts";
import type { DataEntry, DataPort } from "./data-port.ts";
import { HttpError, isTooSlow } from "./http.ts";

/** A client that takes nothing for so long is left. */
const DRAIN_MS = 60_000;
/** Characters of a list that are sent at once, at least. */
const PIECE_CHARS = 64 * 1024;
/** What a browser may show of foreign bytes: nothing that it would run. */
const PASSIVE_TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv; charset=utf-8",
  gif: "image/gif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  json: "application/json",
  log: "text/plain; charset=utf-8",
  md: "text/plain; charset=utf-8",
  mp4: "video/mp4",
  png: "image/png",
  txt: "text/plain; charset=utf-8",
  webp: "image/webp",
};
const DOWNLOAD_TYPES: Readonly<Record<string, string>> = {
  gz: "application/gzip",
  pdf: "application/pdf",
  tar: "application/x-tar",
  wasm: "application/wasm",
  zip: "application/zip",
};
/** stdout and stderr of a task have no extension. */
const STREAM_NAMES: readonly string[] = ["stdout", "stderr"];

/** How a directory can be answered; iExec's tools, and whoever says nothing, get a zip. */
const FORMATS: Readonly<Record<string, string>> = {
  "application/json": "json",
  "text/html": "html",
  "application/x-tar": "tar",
  "application/zip": "zip",
};

/** Chooses a directory's format by `?format=`, or else by the first type of Accept that is one. */
export const directoryFormat = (query: string | null, accept: string | undefined): string => {
  if (query !== null) {
    if (!Object.values(FORMATS).includes(query)) throw new HttpError(400, "format is zip, tar, json or html");
    return query;
  }
  for (const part of (accept ?? "").split(",")) {
    const format = FORMATS[part.split(";")[0]!.trim().toLowerCase()];
    if (format) return format;
  }
  return "zip";
};

/**
 * Reads a Range header (RFC 9110): a half-open span, undefined where the whole is answered (none, several, or not of
 * bytes). Throws HttpError 416 where it lies beyond the file.
 */
export const rangeOf = (header: string | undefined, size: number): { start: number; end: number } | undefined => {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "");
  if (!found || (found[1] === "" && found[2] === "")) return undefined;
  const [from, to] = [found[1]!, found[2]!];
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  if (from !== "" && to !== "" && Number(to) < start) return undefined;
  if (start >= end) throw new HttpError(416, "no such range");
  return { start, end };
};

/** Tells whether a list of entity tags names one. */
const namesTag = (header: string | undefined, tag: string): boolean =>
  (header ?? "").split(",").some((each) => each.trim() === "*" || each.trim().replace(/^W\//, "") === tag);

interface Place {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** The root's CID, and the path below it, empty for the root itself. */
  readonly cid: string;
  readonly path: string;
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(() => response.destroy(), DRAIN_MS);
    const done = (): void => {
      clearTimeout(timer);
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.once("drain", done);
    response.once("close", done);
  });

/** Sends pieces as fast as the client takes them. The head goes with the first one: what fails before it is an error. */
const send = async (
  { request, response }: Place,
  status: number,
  headers: OutgoingHttpHeaders,
  pieces: AsyncGenerator<Uint8Array>,
): Promise<void> => {
  if (request.method === "HEAD") {
    response.writeHead(status, headers).end();
    return;
  }
  const since = Date.now();
  let sent = 0;
  try {
    for (let next = await pieces.next(); !next.done; next = await pieces.next()) {
      if (!response.headersSent) response.writeHead(status, headers);
      if (response.destroyed) return;
      sent += next.value.length;
      if (response.write(next.value)) continue;
      await drained(response);
      if (isTooSlow(Date.now() - since, sent)) response.destroy();
    }
    if (!response.headersSent) response.writeHead(status, headers);
    response.end();
  } finally {
    await pieces.return(undefined);
  }
};

/** Joins small texts, so that none of a list's is sent alone. */
async function* inPieces(texts: Iterable<string>): AsyncGenerator<Uint8Array> {
  let held = "";
  for (const text of texts) {
    held += text;
    if (held.length < PIECE_CHARS) continue;
    yield utf8(held);
    held = "";
  }
  yield utf8(held);
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
/** Writes a directory as a page of links; `place` is its path below /ipfs/. */
function* pageOf(place: string, entries: readonly DataEntry[]): Generator<string> {
  yield `<!doctype html><meta charset="utf-8"><title>${escapeHtml(place)}</title><h1>${escapeHtml(place)}</h1><p>Public data, fetched by its content. <a href="?format=zip">all as zip</a></p><table><tr><th>name</th><th>bytes</th></tr>`;
  for (const { path, kind, size } of entries) {
    const link = `/ipfs/${place.split("/").map(encodeURIComponent).join("/")}/${encodeURIComponent(path)}`;
    yield `<tr><td><a href="${escapeHtml(link)}">${escapeHtml(path)}${kind === "directory" ? "/" : ""}</a></td><td>${kind === "file" ? size : ""}</td></tr>`;
  }
  yield "</table>\n";
}

/** Writes a directory for programs. */
function* listOf(cid: string, entries: readonly DataEntry[]): Generator<string> {
  yield `{"cid":${JSON.stringify(cid)},"entries":[`;
  for (const [i, { path, kind, size, cid: below }] of entries.entries())
    yield `${i > 0 ? "," : ""}${JSON.stringify({ path, kind, size, cid: below })}`;
  yield "]}";
}

const disposition = (kind: "inline" | "attachment", name: string): string =>
  `${kind}; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16)}`)}`;

/** What all answers have that may be kept: never errors, which are true for a moment. */
const lasting = (tag: string): OutgoingHttpHeaders => ({
  etag: tag,
  // A CID never names anything else.
  "cache-control": "public, max-age=29030400, immutable",
  "x-content-type-options": "nosniff",
  // Foreign bytes are never run by a browser as a page of this node.
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-downloads",
});
/** Tells a client that it has this already; false where it has not. */
const isCached = ({ request, response }: Place, tag: string): boolean => {
  if (!namesTag(request.headers["if-none-match"], tag)) return false;
  response.writeHead(304, lasting(tag)).end();
  return true;
};

const sendFile = async (place: Place, file: DataEntry): Promise<void> => {
  const { request, response, query } = place;
  const tag = `"${file.cid}"`;
  if (isCached(place, tag)) return;
  const name = (query.get("filename") ?? place.path.split("/").at(-1)) || place.cid;
  const extension = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "";
  const passive = STREAM_NAMES.includes(name) ? PASSIVE_TYPES.txt : PASSIVE_TYPES[extension];
  const shown = passive && query.get("download") !== "true" ? "inline" : "attachment";
  const mayRange = request.headers["if-range"] === undefined || request.headers["if-range"] === tag;
  let range: { start: number; end: number } | undefined;
  try {
    range = mayRange ? rangeOf(request.headers.range, file.size) : undefined;
  } catch (error) {
    response.setHeader("content-range", `bytes */${file.size}`);
    throw error;
  }
  const { start, end } = range ?? { start: 0, end: file.size };
  const headers = {
    ...lasting(tag),
    "accept-ranges": "bytes",
    "content-type": passive ?? DOWNLOAD_TYPES[extension] ?? "application/octet-stream",
    "content-disposition": disposition(shown, name),
    "content-length": end - start,
    ...(range ? { "content-range": `bytes ${start}-${end - 1}/${file.size}` } : {}),
  };
  await send(place, range ? 206 : 200, headers, file.read(start, end));
};

const sendDirectory = async (data: DataPort, place: Place, directory: DataEntry, gone: AbortSignal): Promise<void> => {
  const { request, query, cid, path } = place;
  const format = directoryFormat(query.get("format"), request.headers.accept);
  const tag = `"${directory.cid}.${format}"`;
  if (isCached(place, tag)) return;
  const entries = (await data.list(directory.cid, gone)).filter((entry) => entry.path !== "");
  const headers = (type: string): OutgoingHttpHeaders => ({
    ...lasting(tag),
    vary: "Accept, Origin",
    "content-type": type,
  });
  if (format === "json") return send(place, 200, headers("application/json"), inPieces(listOf(directory.cid, entries)));
  if (format === "html") {
    const children = entries.filter((entry) => !entry.path.includes("/"));
    const where = path === "" ? cid : `${cid}/${path}`;
    return send(place, 200, headers("text/html; charset=utf-8"), inPieces(pageOf(where, children)));
  }
  const name = `${path.split("/").at(-1) || cid}.${format}`;
  const saved = { "content-disposition": disposition("attachment", name) };
  if (format === "tar") {
    const packed = entries.map((entry) => ({
      path: entry.path,
      size: entry.size,
      ...(entry.kind === "file" ? { bytes: entry.read() } : {}),
    }));
    return send(place, 200, { ...headers("application/x-tar"), ...saved }, writeTar(packed));
  }
  const packed = entries.map((entry) => ({
    path: entry.path,
    size: entry.size,
    ...(entry.kind === "file" ? { open: () => entry.read() } : {}),
  }));
  const length = { "content-length": zipBytes(packed) };
  await send(place, 200, { ...headers("application/zip"), ...saved, ...length }, writeZip(packed));
};

/** Lets a search for a tree that is not here go on, for whom it tells. Throws where there is no room for it. */
export type Search = (work: (asker: object) => Promise<void>) => Promise<void>;

/** Seconds that a search may take, unless `Prefer: wait` (RFC 7240) says less. */
const MAX_WAIT_SECONDS = 900;
const waitOf = (prefer: string | undefined): number => {
  const found = /(?:^|[,;\s])wait=(\d{1,6})(?![\d.])/.exec(prefer ?? "");
  return Math.min(MAX_WAIT_SECONDS, Number(found?.[1] ?? MAX_WAIT_SECONDS));
};

/** Searches for a tree as long as its client is there and wants to wait. Throws HttpError 504 then. */
const searchFor = async (data: DataPort, cid: string, asker: object, gone: AbortSignal, seconds: number) => {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new HttpError(504, `${cid} did not come in time`)), seconds * 1_000);
  try {
    await data.fetch(cid, { signal: AbortSignal.any([gone, late.signal]), asker });
  } finally {
    clearTimeout(timer);
  }
};

/** Answers GET and HEAD of /ipfs/<cid>[/path]: a file or a part of it, a directory as zip, tar, JSON or a page. */
export const serveGateway = async (
  data: DataPort,
  request: IncomingMessage,
  response: ServerResponse,
  rest: string,
  search: Search,
): Promise<void> => {
  const [cid = "", ...parts] = decodeURIComponent(rest).split("/");
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const path = parts.filter((part) => part !== "").join("/");
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Error("the client is gone")));
  const seconds = waitOf(request.headers.prefer as string | undefined);
  if (!(await data.has(cid))) await search((asker) => searchFor(data, cid, asker, gone.signal, seconds));
  const found = await data.open(cid, path, gone.signal);
  const place: Place = { request, response, query, cid, path };
  if (found.kind === "file") await sendFile(place, found);
  else await sendDirectory(data, place, found, gone.signal);
};
