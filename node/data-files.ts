import { createReadStream, createWriteStream, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { TarEntry } from "../lib/tar.ts";
import { partOf } from "../lib/whole-file.ts";
import { type KeepOptions, statData, streamFile, streamFolder, uploadFile, uploadFolder } from "./data-client.ts";

/** Told after each piece: bytes moved so far, and bytes in all. */
export type OnProgress = (done: number, total: number) => void;

const PIECE_BYTES = 1024 * 1024;

/** Passes pieces on and counts them. */
const counting = (total: number, onProgress: OnProgress) => {
  let done = 0;
  return async function* (pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const piece of pieces) {
      done += piece.length;
      onProgress(done, total);
      yield piece;
    }
  };
};

const filesBelow = (folder: string, path = ""): { path: string; size: number; isFile: boolean }[] =>
  readdirSync(join(folder, path), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const below = path === "" ? entry.name : `${path}/${entry.name}`;
      if (entry.isDirectory()) return [{ path: below, size: 0, isFile: false }, ...filesBelow(folder, below)];
      if (!entry.isFile()) throw new Error(`${join(folder, below)} is neither a file nor a folder`);
      return [{ path: below, size: lstatSync(join(folder, below)).size, isFile: true }];
    });

/** Keeps a file or a folder with all it holds at a node. Resolves with its CID. Throws for links and devices. */
export const addPath = async (
  node: string,
  path: string,
  keep: KeepOptions = {},
  onProgress: OnProgress = () => {},
): Promise<string> => {
  const stat = lstatSync(path);
  const read = (file: string) => createReadStream(file, { highWaterMark: PIECE_BYTES });
  if (stat.isFile()) return uploadFile(node, counting(stat.size, onProgress)(read(path)), keep);
  if (!stat.isDirectory()) throw new Error(`${path} is neither a file nor a folder`);
  const files = filesBelow(path);
  const counted = counting(
    files.reduce((sum, { size }) => sum + size, 0),
    onProgress,
  );
  const entries = function* (): Generator<TarEntry> {
    for (const { path: below, size, isFile } of files)
      yield isFile ? { path: below, size, bytes: counted(read(join(path, below))) } : { path: below, size };
  };
  return uploadFolder(node, entries(), keep);
};

/** Writes a file whole or not at all. */
const writeWhole = async (target: string, pieces: AsyncIterable<Uint8Array>): Promise<void> => {
  mkdirSync(dirname(target), { recursive: true });
  const part = partOf(target);
  try {
    await pipeline(Readable.from(pieces, { highWaterMark: 1 }), createWriteStream(part));
  } catch (error) {
    rmSync(part, { force: true });
    throw error;
  }
  renameSync(part, target);
};

/** Gets a file, or a directory with all it holds, from a node into `out`. Resolves with the files that it wrote. */
export const getPath = async (
  node: string,
  cid: string,
  path: string,
  out: string,
  onProgress: OnProgress = () => {},
): Promise<string[]> => {
  const found = await statData(node, cid, path);
  if (found.kind === "file") {
    await writeWhole(out, counting(found.size, onProgress)(streamFile(node, cid, path)));
    return [out];
  }
  const counted = counting(
    found.entries.reduce((sum, { size }) => sum + size, 0),
    onProgress,
  );
  const written: string[] = [];
  mkdirSync(out, { recursive: true });
  for await (const entry of streamFolder(node, cid, path)) {
    const target = resolve(out, entry.path);
    // The node is asked, not trusted: nothing is written outside the folder.
    if (!target.startsWith(resolve(out) + sep)) throw new Error(`${entry.path} would leave the folder`);
    if (!entry.bytes) {
      mkdirSync(target, { recursive: true });
      continue;
    }
    await writeWhole(target, counted(entry.bytes));
    written.push(target);
  }
  return written;
};
