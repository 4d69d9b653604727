import type { IncomingMessage, ServerResponse } from "node:http";
import { Packr } from "msgpackr";
import { RuleError } from "../lib/rule-error.ts";
import { HttpError, readBody, respond } from "./http.ts";
import type { Route } from "./server.ts";

/** What the gateway needs of a node's data. */
export interface DataPort {
  importTree(entries: Iterable<{ path: string; bytes?: Uint8Array }>): Promise<{ cid: string }>;
  importFile(bytes: Uint8Array): Promise<{ cid: string }>;
  /** Brings a tree here from other nodes where it is not here. */
  fetch(cid: string): Promise<void>;
  listTree(cid: string): Promise<readonly { path: string; kind: string; size: number }[]>;
  readFile(cid: string, path?: string): Promise<Uint8Array>;
}

/** Bytes of one upload at most. */
export const MAX_UPLOAD_BYTES = 64 * 1024 * 1024;
const UPLOAD_TYPE = "application/x-msgpack";
const packr = new Packr({ useRecords: false, moreTypes: false });

/** Reads an upload: bytes are one file, a list of [path, bytes or null] is a directory. */
const entriesOf = (upload: unknown): Uint8Array | { path: string; bytes?: Uint8Array }[] => {
  if (upload instanceof Uint8Array) return upload;
  if (!Array.isArray(upload)) throw new HttpError(400, "bytes or a list of files are expected");
  return upload.map((entry) => {
    const [path, bytes] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof path !== "string" || (bytes !== null && !(bytes instanceof Uint8Array)))
      throw new HttpError(400, "a file is [path, bytes]");
    return bytes === null ? { path } : { path, bytes: bytes as Uint8Array };
  });
};

const upload = async (data: DataPort, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  // A type that no page can send to another origin without asking first.
  if (request.headers["content-type"] !== UPLOAD_TYPE) throw new HttpError(415, `only ${UPLOAD_TYPE} is taken`);
  let value: unknown;
  try {
    value = packr.unpack(await readBody(request, MAX_UPLOAD_BYTES));
  } catch (error) {
    throw error instanceof HttpError ? error : new HttpError(400, "no msgpack");
  }
  const entries = entriesOf(value);
  const { cid } = entries instanceof Uint8Array ? await data.importFile(entries) : await data.importTree(entries);
  respond(response, 200, JSON.stringify({ cid }), "application/json");
};

const download = async (data: DataPort, rest: string, response: ServerResponse): Promise<void> => {
  const [cid, ...parts] = decodeURIComponent(rest).split("/");
  const path = parts.join("/");
  await data.fetch(cid!);
  const entries = await data.listTree(cid!);
  const isFile =
    entries[0]?.kind === "file" ||
    (path !== "" && entries.some((entry) => entry.path === path && entry.kind === "file"));
  if (!isFile) {
    if (path !== "" && !entries.some((entry) => entry.path === path)) throw new HttpError(404, "no such file");
    const below = path === "" ? "" : `${path}/`;
    const listed = entries.filter((entry) => entry.path.startsWith(below) && entry.path !== "");
    respond(
      response,
      200,
      JSON.stringify({ cid, entries: listed.map(({ path: at, kind, size }) => ({ path: at, kind, size })) }),
      "application/json",
    );
    return;
  }
  const bytes = await data.readFile(cid!, path === "" ? undefined : path);
  response.writeHead(200, {
    "content-type": "application/octet-stream",
    "content-length": bytes.length,
    // Foreign bytes are never run by a browser as a page of this node.
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
  });
  response.end(bytes);
};

/** Serves a node's data: POST /data keeps files, GET /ipfs/<cid>[/path] gives a file, or what a directory holds. */
export const dataRoute =
  (data: DataPort): Route =>
  async (request, response, path) => {
    const isUpload = path === "/data" && request.method === "POST";
    const isDownload = path.startsWith("/ipfs/") && request.method === "GET";
    if (!isUpload && !isDownload) return false;
    try {
      if (isUpload) await upload(data, request, response);
      else await download(data, path.slice("/ipfs/".length), response);
    } catch (error) {
      if (error instanceof URIError) throw new HttpError(400, "no path");
      if (error instanceof RuleError) throw new HttpError(error.code === "data-missing" ? 404 : 400, error.message);
      throw error;
    }
    return true;
  };
