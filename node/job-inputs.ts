import { createHash } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { TASK_LIMITS } from "../vm/wasm/limits.ts";
import { parseReference } from "../vm/wasm/params.ts";
import { isFileName } from "../vm/wasm/task.ts";
import { statData, uploadFile } from "./data-client.ts";
import { addPath } from "./data-files.ts";
import { streamUrl } from "./worker/web.ts";

/** A file for a job's `/in`, and what gives the text that names it in the job's parameters. */
interface Planned {
  readonly name: string;
  readonly source: string;
  reference(): Promise<string>;
}

export interface JobInputOptions {
  /** Leaves URLs as they are, for each worker to fetch; without, they are fetched here, once, and kept at the node. */
  readonly keepUrls?: boolean;
  readonly signal?: AbortSignal;
  /** Milliseconds that a URL has to be read whole; an hour unless told. */
  readonly urlMs?: number;
}

const URL_MS = 3_600_000;

const byCid = (cid: string, name: string): string => `/ipfs/${cid}?filename=${encodeURIComponent(name)}`;

const planFile = (node: string, path: string): Planned => ({
  name: basename(resolve(path)),
  source: path,
  reference: async () => byCid(await addPath(node, path), basename(resolve(path))),
});

/** Plans the files of a folder, each by its name: `/in` has no folders. */
const planFolder = (node: string, folder: string): Planned[] => {
  const files = readdirSync(folder).sort();
  if (files.length === 0) throw new Error(`${folder} is empty`);
  return files.map((name) => {
    const path = join(folder, name);
    if (!statSync(path, { throwIfNoEntry: false })?.isFile())
      throw new Error(`${path} is no file: a job's /in holds files alone, name each of them`);
    return planFile(node, path);
  });
};

/** Plans what is named by content: a file as it is, a directory's files each by its name. */
const planContent = async (node: string, text: string): Promise<Planned[]> => {
  const reference = parseReference(text);
  if (reference.kind !== "ipfs") throw new Error(`${text} is no CID`);
  const { cid, name } = reference;
  const found = await statData(node, cid);
  if (found.kind === "file") return [{ name, source: text, reference: async () => byCid(cid, name) }];
  return found.entries.map((entry) => {
    if (entry.kind === "directory")
      throw new Error(`${entry.path} in ${cid} is a folder: a job's /in holds files alone, name each of them`);
    return { name: entry.path, source: text, reference: async () => byCid(entry.cid, entry.path) };
  });
};

/** What a URL gives; an error of its connection names it. */
async function* named(url: string, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    const { message } = error as Error;
    throw message.includes(url) ? error : new Error(`${url} is not fetched: ${message}`);
  }
}

/** Plans a URL. What it gives is checked against `#sha256=` where that is given. */
const planUrl = (node: string, text: string, options: JobInputOptions): Planned => {
  const { keepUrls = false, signal, urlMs = URL_MS } = options;
  const [url = "", given] = text.split("#sha256=");
  const { name } = parseReference(`${url}#sha256=${given ?? "0".repeat(64)}`);
  const hash = createHash("sha256");
  let size = 0;
  const pieces = async function* () {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`${url} has not come in ${urlMs / 1000} s`)), urlMs);
    const until = signal ? AbortSignal.any([signal, late.signal]) : late.signal;
    try {
      yield* counted(streamUrl(url, { signal: until, allowPrivate: true }));
    } catch (error) {
      throw late.signal.aborted ? late.signal.reason : error;
    } finally {
      clearTimeout(timer);
    }
  };
  // It is the buyer's own choice what this machine is asked for.
  const counted = async function* (bytes: AsyncIterable<Uint8Array>) {
    for await (const piece of bytes) {
      size += piece.length;
      if (size > TASK_LIMITS.inputBytes) throw new Error(`${url} has more than ${TASK_LIMITS.inputBytes} bytes`);
      hash.update(piece);
      yield piece;
    }
  };
  return {
    name,
    source: text,
    reference: async () => {
      if (keepUrls && given !== undefined) return text;
      let cid = "";
      if (keepUrls) for await (const _ of named(url, pieces()));
      else cid = await uploadFile(node, named(url, pieces()));
      const digest = hash.digest("hex");
      if (given !== undefined && digest !== given.replace(/^0x/, "").toLowerCase())
        throw new Error(`${url} gives a file with the checksum ${digest}, not ${given}`);
      return keepUrls ? `${url}#sha256=${digest}` : byCid(cid, name);
    },
  };
};

/**
 * Makes the names of a job's inputs from what a buyer gives: files, folders, CIDs and URLs. What is not content-addressed is
 * put into the node's store first: a server may give each worker something else, and then no two of them agree. Throws before
 * anything is stored where the names do not fit into one `/in`.
 */
export const jobInputs = async (
  node: string,
  given: readonly string[],
  options: JobInputOptions = {},
): Promise<string[]> => {
  const planned: Planned[] = [];
  for (const each of given) {
    if (/^https?:\/\//.test(each)) planned.push(planUrl(node, each, options));
    else if (/^(ipfs:\/\/|\/ipfs\/)/.test(each)) planned.push(...(await planContent(node, each)));
    else if (!existsSync(each)) throw new Error(`${each} does not exist`);
    else planned.push(...(statSync(each).isDirectory() ? planFolder(node, each) : [planFile(node, each)]));
  }
  if (planned.length > TASK_LIMITS.inputFiles)
    throw new Error(
      `${planned.length} input files, a job has at most ${TASK_LIMITS.inputFiles}: give one archive of them`,
    );
  const sources = new Map<string, string>();
  for (const { name, source } of planned) {
    if (!isFileName(name)) throw new Error(`${source} has a name that no file in /in can have`);
    const other = sources.get(name);
    if (other !== undefined) throw new Error(`${other} and ${source} would both be /in/${name}`);
    sources.set(name, source);
  }
  const references: string[] = [];
  for (const each of planned) references.push(await each.reference());
  return references;
};
