import type { IncomingMessage, ServerResponse } from "node:http";
import { writeTar } from "../lib/tar.ts";
import { writeZip, zipBytes } from "../lib/zip.ts";
import type { DataEntry, DataPort, OpenedData } from "./data-port.ts";
import { HttpError, respond } from "./http.ts";

/** A client that takes nothing for so long is left. */
const DRAIN_MS = 60_000;
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

/** Sends pieces as fast as the client takes them. */
const send = async (response: ServerResponse, pieces: AsyncIterable<Uint8Array>): Promise<void> => {
  for await (const piece of pieces) {
    if (response.destroyed) return;
    if (!response.write(piece)) await drained(response);
  }
  response.end();
};

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
/** Writes a directory as a page of links; `place` is its path below /ipfs/. */
const pageOf = (place: string, entries: readonly DataEntry[]): string => {
  const rows = entries.map(({ path, kind, size }) => {
    const link = `/ipfs/${place.split("/").map(encodeURIComponent).join("/")}/${encodeURIComponent(path)}`;
    return `<tr><td><a href="${escapeHtml(link)}">${escapeHtml(path)}${kind === "directory" ? "/" : ""}</a></td><td>${kind === "file" ? size : ""}</td></tr>`;
  });
  return `<!doctype html><meta charset="utf-8"><title>${escapeHtml(place)}</title><h1>${escapeHtml(place)}</h1><p>Public data, fetched by its content. <a href="?format=zip">all as zip</a></p><table><tr><th>name</th><th>bytes</th></tr>${rows.join("")}</table>\n`;
};

const disposition = (kind: "inline" | "attachment", name: string): string =>
  `${kind}; filename*=UTF-8''${encodeURIComponent(name).replace(/['()*]/g, (each) => `%${each.charCodeAt(0).toString(16)}`)}`;

interface Place {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** The root's CID, and the path below it, empty for the root itself. */
  readonly cid: string;
  readonly path: string;
}

/** Sets what all answers have; true where the client has this already. */
const isCached = ({ request, response }: Place, tag: string): boolean => {
  response.setHeader("etag", tag);
  // A CID never names anything else.
  response.setHeader("cache-control", "public, max-age=29030400, immutable");
  response.setHeader("x-content-type-options", "nosniff");
  // Foreign bytes are never run by a browser as a page of this node.
  response.setHeader(
    "content-security-policy",
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox allow-downloads",
  );
  if (!namesTag(request.headers["if-none-match"], tag)) return false;
  response.writeHead(304).end();
  return true;
};

const sendFile = async (place: Place, file: OpenedData): Promise<void> => {
  const { request, response, query } = place;
  const tag = `"${file.cid}"`;
  if (isCached(place, tag)) return;
  const name = (query.get("filename") ?? place.path.split("/").at(-1)) || place.cid;
  const extension = name.includes(".") ? name.slice(name.lastIndexOf(".") + 1).toLowerCase() : "";
  const passive = STREAM_NAMES.includes(name) ? PASSIVE_TYPES.txt : PASSIVE_TYPES[extension];
  const shown = passive && query.get("download") !== "true" ? "inline" : "attachment";
  response.setHeader("accept-ranges", "bytes");
  response.setHeader("content-type", passive ?? DOWNLOAD_TYPES[extension] ?? "application/octet-stream");
  response.setHeader("content-disposition", disposition(shown, name));
  const mayRange = request.headers["if-range"] === undefined || request.headers["if-range"] === tag;
  let range: { start: number; end: number } | undefined;
  try {
    range = mayRange ? rangeOf(request.headers.range, file.size) : undefined;
  } catch (error) {
    response.setHeader("content-range", `bytes */${file.size}`);
    throw error;
  }
  const { start, end } = range ?? { start: 0, end: file.size };
  response.setHeader("content-length", end - start);
  if (range) response.setHeader("content-range", `bytes ${start}-${end - 1}/${file.size}`);
  response.writeHead(range ? 206 : 200);
  if (request.method === "HEAD") response.end();
  else await send(response, file.read(start, end));
};

const sendDirectory = async (data: DataPort, place: Place, directory: OpenedData): Promise<void> => {
  const { request, response, query, cid, path } = place;
  const format = directoryFormat(query.get("format"), request.headers.accept);
  response.setHeader("vary", "Accept, Origin");
  if (isCached(place, `"${directory.cid}.${format}"`)) return;
  const entries = (await data.list(directory.cid)).filter((entry) => entry.path !== "");
  if (format === "json") {
    const listed = entries.map((entry) => ({
      path: entry.path,
      kind: entry.kind,
      size: entry.size,
      cid: entry.cid,
    }));
    return respond(response, 200, JSON.stringify({ cid: directory.cid, entries: listed }), "application/json");
  }
  if (format === "html") {
    const children = entries.filter((entry) => !entry.path.includes("/"));
    const where = path === "" ? cid : `${cid}/${path}`;
    return respond(response, 200, pageOf(where, children), "text/html; charset=utf-8");
  }
  const read = (entry: DataEntry) =>
    (async function* () {
      yield* (await data.open(entry.cid)).read();
    })();
  const name = `${path.split("/").at(-1) || cid}.${format}`;
  response.setHeader("content-type", format === "zip" ? "application/zip" : "application/x-tar");
  response.setHeader("content-disposition", disposition("attachment", name));
  const packed = entries.map((entry) =>
    entry.kind === "file"
      ? { path: entry.path, size: entry.size, open: () => read(entry) }
      : { path: entry.path, size: 0 },
  );
  if (format === "zip") response.setHeader("content-length", zipBytes(packed));
  response.writeHead(200);
  if (request.method === "HEAD") response.end();
  else if (format === "zip") await send(response, writeZip(packed));
  else await send(response, writeTar(packed.map(({ open, ...rest }) => (open ? { ...rest, bytes: open() } : rest))));
};

/** Answers GET and HEAD of /ipfs/<cid>[/path]: a file or a part of it, a directory as zip, tar, JSON or a page. */
export const serveGateway = async (
  data: DataPort,
  request: IncomingMessage,
  response: ServerResponse,
  rest: string,
): Promise<void> => {
  const [cid = "", ...parts] = decodeURIComponent(rest).split("/");
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const path = parts.filter((part) => part !== "").join("/");
  const gone = new AbortController();
  response.once("close", () => gone.abort(new Error("the client is gone")));
  await data.fetch(cid, gone.signal);
  const found = await data.open(cid, path);
  const place: Place = { request, response, query, cid, path };
  if (found.kind === "file") await sendFile(place, found);
  else await sendDirectory(data, place, found);
};
