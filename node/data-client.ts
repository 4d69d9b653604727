import { Packr } from "msgpackr";

const packr = new Packr({ useRecords: false, moreTypes: false });
const TIMEOUT_MS = 150_000;

const ask = async (url: string, init: RequestInit = {}): Promise<Response> => {
  const response = await fetch(url, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${(await response.text()).trim()}`);
  return response;
};

/** Keeps a file, or a directory of files, at a node. Resolves with its CID. */
export const uploadData = async (
  node: string,
  content: Uint8Array | Iterable<readonly [path: string, bytes: Uint8Array | null]>,
): Promise<string> => {
  const body = packr.pack(content instanceof Uint8Array ? content : [...content]);
  const response = await ask(`${node}/data`, {
    method: "POST",
    headers: { "content-type": "application/x-msgpack" },
    body: new Uint8Array(body),
  });
  return ((await response.json()) as { cid: string }).cid;
};

const urlOf = (node: string, cid: string, path: string): string =>
  `${node}/ipfs/${[cid, ...path.split("/").filter(Boolean)].map(encodeURIComponent).join("/")}`;

/** Gets a file from a node, which fetches it from others where it has to. */
export const downloadFile = async (node: string, cid: string, path = ""): Promise<Uint8Array> =>
  new Uint8Array(await (await ask(urlOf(node, cid, path))).arrayBuffer());

/** Lists the files and folders of a directory. */
export const listData = async (node: string, cid: string): Promise<{ path: string; kind: string; size: number }[]> =>
  ((await (await ask(urlOf(node, cid, ""))).json()) as { entries: { path: string; kind: string; size: number }[] })
    .entries;
