import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { request as httpsRequest } from "node:https";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { gather } from "../lib/byte-source.ts";
import { JSON_OF_ANY_LENGTH, parseJson } from "../lib/json.ts";
import { readTar, type TarEntry, writeTar } from "../lib/tar.ts";

/** A node may fetch a tree from others before it says a word. */
const ANSWER_MS = 15 * 60_000;
const REFUSAL_MS = 200;
/** What a node keeps as one tree. */
const MAX_FILE_BYTES = 256 * 1024 * 1024;
const MAX_TEXT_BYTES = 16 * 1024 * 1024;

/** Who keeps what is uploaded, and until when (Unix seconds); left out: the node's owner, for good. */
export interface KeepOptions {
  readonly holder?: string;
  readonly until?: number;
  readonly signal?: AbortSignal;
}

/** A node does not give, or keep, what it was asked to. */
export class DataRefused extends Error {
  override readonly name = "DataRefused";
  /** The answer's status of HTTP. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What is named is a directory, where a file was asked for. */
export class IsDirectory extends Error {
  override readonly name = "IsDirectory";
}

export interface ListedData {
  readonly path: string;
  readonly kind: string;
  readonly cid: string;
  readonly size: number;
}

interface Exchange {
  readonly method?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal;
}

/** Sends one request, its body as fast as it is taken; gives the answer before its body is read. */
const ask = (url: string, { method = "GET", headers = {}, body, signal }: Exchange): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    const request = url.startsWith("https:") ? httpsRequest : httpRequest;
    const sent = request(url, { method, headers, ...(signal ? { signal } : {}) });
    sent.setTimeout(ANSWER_MS, () => sent.destroy(new Error(`${url}: no answer within ${ANSWER_MS / 60_000} minutes`)));
    sent.on("response", (response) => {
      if (response.statusCode! >= 200 && response.statusCode! < 300) return resolve(response);
      textOf(response).then(
        (text) =>
          reject(new DataRefused(response.statusCode!, `${url}: ${response.statusCode} ${text.trim().slice(0, 300)}`)),
        reject,
      );
    });
    /** What gives the body fails on its own account. */
    let source: Error | undefined;
    // A node that refuses says why while it is still being sent to.
    const fail = (error: Error): void =>
      void setTimeout(() => reject(source ?? new Error(`${url}: ${error.message}`)), REFUSAL_MS);
    const given = async function* () {
      let isSent = false;
      try {
        for await (const piece of body ?? []) {
          isSent = true;
          yield piece;
          isSent = false;
        }
      } catch (error) {
        if (!isSent) source = error as Error;
        throw error;
      }
    };
    // The pipeline tells of what is sent alone: a node that ends before it answers is an error of the request.
    sent.on("error", fail);
    pipeline(Readable.from(given(), { highWaterMark: 1 }), sent).catch(fail);
  });

const jsonOf = async (response: IncomingMessage): Promise<unknown> =>
  parseJson(await gather(response, MAX_TEXT_BYTES), JSON_OF_ANY_LENGTH);
const entriesOf = async (response: IncomingMessage): Promise<ListedData[]> =>
  ((await jsonOf(response)) as { entries: ListedData[] }).entries;
const textOf = async (response: IncomingMessage): Promise<string> =>
  new TextDecoder().decode(await gather(response, MAX_TEXT_BYTES));

const upload = async (
  node: string,
  type: string,
  body: AsyncIterable<Uint8Array>,
  { holder, until, signal }: KeepOptions,
): Promise<string> => {
  const query = new URLSearchParams();
  if (holder !== undefined) query.set("holder", holder);
  if (until !== undefined) query.set("until", String(until));
  const response = await ask(`${node}/data?${query}`, {
    method: "POST",
    headers: { "content-type": type },
    body,
    ...(signal ? { signal } : {}),
  });
  return ((await jsonOf(response)) as { cid: string }).cid;
};

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Keeps a file at a node, piece by piece. Resolves with its CID. */
export const uploadFile = (node: string, bytes: AsyncIterable<Uint8Array>, keep: KeepOptions = {}): Promise<string> =>
  upload(node, "application/octet-stream", bytes, keep);

/** Keeps a directory of files at a node, piece by piece. Resolves with its CID. */
export const uploadFolder = (
  node: string,
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
  keep: KeepOptions = {},
): Promise<string> => upload(node, "application/x-tar", writeTar(entries), keep);

/** Keeps a file, or a directory of files, that is in memory. Resolves with its CID. */
export const uploadData = (
  node: string,
  content: Uint8Array | Iterable<readonly [path: string, bytes: Uint8Array | null]>,
  keep: KeepOptions = {},
): Promise<string> =>
  content instanceof Uint8Array
    ? uploadFile(node, once(content), keep)
    : uploadFolder(
        node,
        [...content].map(([path, bytes]) => ({
          path,
          size: bytes?.length ?? 0,
          ...(bytes ? { bytes: once(bytes) } : {}),
        })),
        keep,
      );

const urlOf = (node: string, cid: string, path: string): string =>
  `${node}/ipfs/${[cid, ...path.split("/").filter(Boolean)].map(encodeURIComponent).join("/")}`;

/** How a node is asked for a file. */
export interface StreamOptions {
  readonly signal?: AbortSignal;
  /** Unix milliseconds until which the node may search for what it does not have. */
  readonly searchUntil?: number;
}

/** Gets a file from a node, which fetches it from others where it has to, piece by piece. Throws IsDirectory, DataRefused. */
export async function* streamFile(
  node: string,
  cid: string,
  path = "",
  { signal, searchUntil }: StreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const headers: OutgoingHttpHeaders = {
    // A directory comes as a list then, which is not what was asked for, and costs the node less than an archive.
    accept: "application/json",
    ...(searchUntil === undefined
      ? {}
      : { prefer: `wait=${Math.min(ANSWER_MS / 1000, Math.max(1, Math.ceil((searchUntil - Date.now()) / 1000)))}` }),
  };
  const response = await ask(urlOf(node, cid, path), { headers, ...(signal ? { signal } : {}) });
  if (response.headers["accept-ranges"] !== "bytes") {
    response.destroy();
    throw new IsDirectory(`${cid}${path && `/${path}`} is a directory`);
  }
  yield* response;
}

/** Gets a file from a node whole into memory, where it has no more than `max` bytes. */
export const downloadFile = (node: string, cid: string, path = "", max = MAX_FILE_BYTES): Promise<Uint8Array> =>
  gather(streamFile(node, cid, path), max);

/** Gets the files and folders of a directory from a node, one after another. */
export async function* streamFolder(node: string, cid: string, path = ""): AsyncGenerator<TarEntry, void, undefined> {
  yield* readTar(await ask(`${urlOf(node, cid, path)}?format=tar`, {}));
}

/** Tells what a CID names, and what it holds where it is a directory. */
export const statData = async (
  node: string,
  cid: string,
  path = "",
): Promise<
  { readonly kind: "file"; readonly size: number } | { readonly kind: "directory"; entries: ListedData[] }
> => {
  // Not HEAD: a refusal would not say why.
  const response = await ask(urlOf(node, cid, path), { headers: { accept: "application/json" } });
  if (response.headers["accept-ranges"] !== "bytes") return { kind: "directory", entries: await entriesOf(response) };
  response.destroy();
  return { kind: "file", size: Number(response.headers["content-length"]) };
};
