import { readFileSync } from "node:fs";
import { crc32, inflateSync } from "node:zlib";
import { runTasks, type TaskResult } from "../../vm/wasm/host.ts";
import type { Tier } from "../../vm/wasm/messages.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { VM_VERSION } from "../../vm/wasm/versions.ts";

export const APPS = new URL("../../apps/", import.meta.url);

export type Row = Record<string, string>;

/** Runs tasks of a sample job in the compute VM, each with what is given instead of no arguments, inputs and bag. */
export const runApp = async (name: string, tasks: readonly Partial<Task>[], tier?: Tier): Promise<TaskResult[]> => {
  const lot = tasks.map((task) => ({
    taskid: `0x${"22".repeat(32)}` as const,
    args: [],
    inputs: [],
    gasLimit: 200_000_000_000,
    startTime: 1_700_000_000,
    hasCallback: false,
    ...task,
  }));
  const module = readFileSync(new URL(`${name}/${name}.wasm`, APPS));
  const results: TaskResult[] = [];
  const work = { vmVersion: VM_VERSION, module, tasks: lot, timeoutMs: 240_000, ...(tier && { tier }) };
  for await (const result of runTasks(work)) results.push(result);
  return results;
};

/** Gives a file of a result as text, "" if there is none. */
export const textOf = (result: TaskResult | undefined, name: string): string =>
  Buffer.from(result?.files.get(name) ?? []).toString();

/** Reads CSV without quotes: a row for each line, by the names in the first one. */
export const rowsOf = (csv: string): Row[] => {
  const [head, ...lines] = csv.trimEnd().split("\n");
  const names = head!.split(",");
  return lines.map((line) => Object.fromEntries(line.split(",").map((field, i) => [names[i]!, field])));
};

/** Names the results in /out. */
export const resultsOf = (result: TaskResult): string[] =>
  [...result.files.keys()].filter((name) => name.startsWith("out/") && name !== "out/");

/** Gives an input file from a text. */
export const inputOf = (name: string, content: string | Uint8Array): { name: string; bytes: Uint8Array } => ({
  name,
  bytes: typeof content === "string" ? Buffer.from(content) : content,
});

/** Reads a PNG with a palette: width, height, and the colour number of each pixel. Throws for any other. */
export const readPng = (
  png: Uint8Array,
): { width: number; height: number; pixels: Uint8Array; palette: Uint8Array } => {
  const bytes = Buffer.from(png);
  if (bytes.subarray(0, 8).toString("latin1") !== "\x89PNG\r\n\x1a\n") throw new Error("no PNG");
  const chunks = new Map<string, Buffer>();
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const body = bytes.subarray(at + 4, at + 8 + length);
    if (crc32(body) !== bytes.readUInt32BE(at + 8 + length)) throw new Error("checksum of a chunk");
    chunks.set(body.subarray(0, 4).toString("latin1"), body.subarray(4));
    at += 12 + length;
  }
  const head = chunks.get("IHDR")!;
  const [width, height] = [head.readUInt32BE(0), head.readUInt32BE(4)];
  if (head.subarray(8).toString("hex") !== "0803000000" || !chunks.has("IEND")) throw new Error("another kind of PNG");
  const rows = inflateSync(chunks.get("IDAT")!);
  if (rows.length !== (width + 1) * height) throw new Error("size of the pixels");
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    if (rows[y * (width + 1)] !== 0) throw new Error("a filter");
    pixels.set(rows.subarray(y * (width + 1) + 1, (y + 1) * (width + 1)), y * width);
  }
  return { width, height, pixels, palette: chunks.get("PLTE")! };
};
