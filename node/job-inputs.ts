import { createHash } from "node:crypto";
import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, join, resolve, sep } from "node:path";
import { TASK_LIMITS } from "../vm/wasm/limits.ts";
import { parseReference } from "../vm/wasm/params.ts";
import { clashOf, isInputName, pathOf } from "../vm/wasm/task.ts";
import { statData, uploadFile } from "./data-client.ts";
import { addPath } from "./data-files.ts";
import { streamUrl } from "./worker/web.ts";

/** A file for a job, by its name in `/in` or its path elsewhere, and what gives the text that names it in the job's parameters. */
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

const byCid = (cid: string, name: string): string =>
  `/ipfs/${cid}?${name.startsWith("/") ? "path" : "filename"}=${encodeURIComponent(name)}`;

/** A file on this machine, and its name in `/in` or its path elsewhere. */
export interface LocalInput {
  readonly name: string;
  readonly path: string;
}

/**
 * Finds the files that `<file or folder>` or `<file or folder>=<absolute path>` names. A folder's files are in `/in` each by its
 * name, and there may be no folders in it; with a path they lie below that as they do in the folder. Throws where there is none.
 */
export const localInputs = (text: string): LocalInput[] => {
  const at = existsSync(text) ? -1 : text.lastIndexOf("=/");
  const [path, place] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  if (!existsSync(path)) throw new Error(`${path} does not exist`);
  const stat = statSync(path);
  if (!stat.isDirectory() && !stat.isFile()) throw new Error(`${path} is neither a file nor a folder`);
  if (stat.isFile()) return [{ name: place ?? basename(resolve(path)), path }];
  const found = readdirSync(path, place === undefined ? {} : { recursive: true })
    .map(String)
    .sort()
    .map((name) => ({ name, path: join(path, name) }))
    .filter((each) => place === undefined || !lstatSync(each.path).isDirectory());
  if (found.length === 0) throw new Error(`${path} is empty`);
  const below = place === undefined ? "" : `${place.replace(/\/$/, "")}/`;
  const placed = found.map((each) => ({ ...each, name: below + each.name.replaceAll(sep, "/") }));
  for (const each of placed) {
    const stat = statSync(each.path, { throwIfNoEntry: false });
    if (stat?.isFile()) continue;
    if (place === undefined)
      throw new Error(
        `${each.path} is no file: a job's /in holds files alone, name each of them, or give a path: ${path}=/in`,
      );
    throw new Error(
      stat?.isDirectory()
        ? `${each.path} is a link to a folder, which is not followed: give a copy that holds it, as cp -rL makes`
        : `${each.path} is neither a file nor a folder`,
    );
  }
  return placed;
};

/** What a file of a task was given as, and its name in `/in` or its path elsewhere. */
type Placed = Pick<Planned, "name" | "source">;

/** Throws where inputs, and a dataset beside them, cannot all have their places, naming what was given for them. */
export const checkPlaces = (inputs: readonly Placed[], dataset: readonly Placed[] = []): void => {
  if (inputs.length > TASK_LIMITS.inputFiles)
    throw new Error(
      `${inputs.length} input files, a job has at most ${TASK_LIMITS.inputFiles}: give one archive of them`,
    );
  const files = [...inputs, ...dataset];
  for (const { name, source } of files)
    if (!isInputName(name, TASK_LIMITS)) throw new Error(`${source} has a name that no input can have: ${name}`);
  const clash = clashOf(files.map(({ name }) => name));
  if (clash === undefined) return;
  const at = `/${pathOf(clash).join("/")}`;
  const sources = files.filter(({ name }) => `/${pathOf(name).join("/")}` === at).map(({ source }) => source);
  throw new Error(
    sources.length > 1
      ? `${sources.join(" and ")} would both be ${at}`
      : `${sources[0]} would be ${at}, where others need a folder`,
  );
};

const planLocal = (node: string, { name, path }: LocalInput): Planned => ({
  name,
  source: path,
  // A link to a file stands for the file, as it does where the job is only tried.
  reference: async () => byCid(await addPath(node, realpathSync(path)), name),
});

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
    const own = name.startsWith("/") ? `${name}/${entry.path}` : entry.path;
    return { name: own, source: text, reference: async () => byCid(entry.cid, own) };
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
  const [url = "", fragment = ""] = text.split("#");
  const given = /(?:^|&)sha256=([^&]*)/.exec(fragment)?.[1];
  const place = /(?:^|&)path=([^&]*)/.exec(fragment)?.[0].replace(/^&?/, "&") ?? "";
  const { name } = parseReference(`${url}#sha256=${given ?? "0".repeat(64)}${place}`);
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
      return keepUrls ? `${url}#sha256=${digest}${place}` : byCid(cid, name);
    },
  };
};

/**
 * Makes the names of a job's inputs from what a buyer gives: files, folders, CIDs and URLs. What is not content-addressed is
 * put into the node's store first: a server may give each worker something else, and then no two of them agree. Throws before
 * anything is stored where they cannot all have their places.
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
    else planned.push(...localInputs(each).map((found) => planLocal(node, found)));
  }
  checkPlaces(planned);
  const references: string[] = [];
  for (const each of planned) references.push(await each.reference());
  return references;
};
