import type { IncomingMessage, ServerResponse } from "node:http";
import { RuleError } from "../lib/rule-error.ts";
import { readTar, TarError } from "../lib/tar.ts";
import { type DataPin, type DataPort, isHolder } from "./data-port.ts";
import { type Search, serveGateway } from "./gateway.ts";
import { HttpError, isTooSlow, respond } from "./http.ts";
import { createRoom, type Room, type Tenant } from "./room.ts";
import type { Route } from "./server.ts";

/** Types that no page can send to another origin without asking first. */
const FILE_TYPE = "application/octet-stream";
const FOLDER_TYPE = "application/x-tar";
/** Uploads and downloads at a time, of which one client has a quarter: the four of a worker. More are told to come again. */
const MAX_UPLOADS = 16;
const MAX_DOWNLOADS = 64;
/** Searches for what is not here at a time: each may take long and find nothing, so that they share places by turns. */
const MAX_SEARCHES = 64;
/** Seconds after which who found no room, or no data in time, may ask again. */
const RETRY_AFTER = 5;
/** An upload that brings nothing for so long is left. */
const UPLOAD_IDLE_MS = 30_000;
/** Who keeps what comes over RPC, unless the caller says otherwise. */
const DEFAULT_HOLDER = "rpc";

const pinOf = (query: URLSearchParams): DataPin => {
  const holder = query.get("holder") ?? DEFAULT_HOLDER;
  if (!isHolder(holder)) throw new HttpError(400, "a holder is 1 to 128 letters, digits, and . : _ -");
  const until = query.get("until") ?? "0";
  if (!/^\d{1,12}$/.test(until)) throw new HttpError(400, "until is in Unix seconds");
  return { holder, until: Number(until) };
};

const upload = async (data: DataPort, request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const type = (request.headers["content-type"] ?? "").split(";")[0]!.trim();
  if (type !== FILE_TYPE && type !== FOLDER_TYPE)
    throw new HttpError(415, `only ${FILE_TYPE} for a file and ${FOLDER_TYPE} for a folder are taken`);
  const pin = pinOf(new URLSearchParams((request.url ?? "").split("?")[1] ?? ""));
  const end = (why: string): void => void request.destroy(new HttpError(408, why));
  request.setTimeout(UPLOAD_IDLE_MS, () => end("the upload stands still"));
  const since = Date.now();
  const before = request.socket.bytesRead;
  const timer = setInterval(() => {
    if (isTooSlow(Date.now() - since, request.socket.bytesRead - before)) end("the upload is too slow");
  }, UPLOAD_IDLE_MS);
  try {
    const { cid } =
      type === FILE_TYPE ? await data.importFile(request, pin) : await data.importTree(readTar(request), pin);
    respond(response, 200, JSON.stringify({ cid }), "application/json");
  } catch (error) {
    if (error instanceof TarError) throw new HttpError(400, error.message);
    throw error;
  } finally {
    clearInterval(timer);
  }
};

/** What HTTP says of the rules of data; the rest is the caller's fault. */
const STATUSES: Readonly<Record<string, number>> = {
  "data-missing": 404,
  "data-limit": 413,
  "data-malformed": 422,
  "data-slow": 504,
  "disk-reserve": 507,
};

/** Serves a node's data: POST /data keeps a file or folder, GET /ipfs/<cid>[/path] gives it. */
export const dataRoute = (data: DataPort): Route => {
  const uploads = createRoom("uploads at a time", MAX_UPLOADS);
  const downloads = createRoom("downloads at a time", MAX_DOWNLOADS);
  const searches = createRoom("searches at a time", MAX_SEARCHES);
  const enter = (room: Room, client: Tenant): void => {
    const full = room.take(client);
    if (full !== undefined) throw new HttpError(503, full);
  };
  const counted = async (room: Room, client: Tenant, work: () => Promise<void>): Promise<void> => {
    enter(room, client);
    try {
      await work();
    } finally {
      room.give(client);
    }
  };
  /** Serves a download, whose place is free again for others while it is searched for. */
  const download = async (client: Tenant, serve: (search: Search) => Promise<void>): Promise<void> => {
    enter(downloads, client);
    let isIn = true;
    try {
      await serve(async (find) => {
        enter(searches, client);
        downloads.give(client);
        isIn = false;
        try {
          await find(client);
        } finally {
          searches.give(client);
        }
        enter(downloads, client);
        isIn = true;
      });
    } finally {
      if (isIn) downloads.give(client);
    }
  };
  return async (request, response, path, client) => {
    const isUpload = path === "/data" && request.method === "POST";
    const isDownload = path.startsWith("/ipfs/") && (request.method === "GET" || request.method === "HEAD");
    if (!isUpload && !isDownload) return false;
    try {
      if (isUpload) await counted(uploads, client, () => upload(data, request, response));
      else
        await download(client, (search) => serveGateway(data, request, response, path.slice("/ipfs/".length), search));
    } catch (error) {
      if (!response.headersSent) response.setHeader("cache-control", "no-store");
      if (error instanceof URIError) throw new HttpError(400, "no path");
      const shown = error instanceof RuleError ? new HttpError(STATUSES[error.code] ?? 400, error.message) : error;
      if (shown instanceof HttpError && (shown.status === 503 || shown.status === 504) && !response.headersSent)
        response.setHeader("retry-after", RETRY_AFTER);
      throw shown;
    }
    return true;
  };
};
