import { createHash } from "node:crypto";
import {
  createReadStream,
  createWriteStream,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import { TASK_LIMITS } from "../../vm/wasm/limits.ts";
import type { InputReference } from "../../vm/wasm/params.ts";
import { streamFile } from "../data-client.ts";
import { streamUrl } from "./web.ts";

export interface InputsOptions {
  /** RPC of the node that gives what is named by content. */
  readonly node: string;
  readonly folder: string;
  /** Lets URLs lead to this machine and its networks. */
  readonly allowPrivate?: boolean;
  /** Bytes that the folder may have; the longest unused go first. */
  readonly cacheBytes?: number;
  /** What may not be filled: what is kept for other lots gives way first. */
  readonly disk?: Disk;
}

/** A file in the worker's folder, or why the task that names it is invalid, alike for every worker. */
export type Input = { readonly path: string } | { readonly invalid: string };

/** Inputs of tasks, fetched into files piece by piece, and kept for other lots that name them. */
export interface Inputs {
  /** Fetches what a reference names. Throws where it cannot be had. */
  fetch(reference: InputReference, signal: AbortSignal): Promise<Input>;
  /** As fetch, and reads the file into memory. */
  read(reference: InputReference, signal: AbortSignal): Promise<{ bytes: Uint8Array } | { invalid: string }>;
}

const CACHE_BYTES = 2 * 1024 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

class TooLarge extends Error {}

/** Opens the folder of a worker's inputs. */
export const openInputs = (options: InputsOptions): Inputs => {
  const { node, folder, allowPrivate = false, cacheBytes = CACHE_BYTES, disk = boundlessDisk } = options;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.endsWith(".part")) rmSync(join(folder, name));
  let parts = 0;
  const running = new Map<string, Promise<Input>>();

  const shaOf = async (path: string): Promise<string> => {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) hash.update(piece as Buffer);
    return hash.digest("hex");
  };
  /** Finds a file by its name, which ends in its hash: a disk that spoilt it would make this worker lie. */
  const kept = async (name: string): Promise<string | undefined> => {
    const found = readdirSync(folder).find((each) => each.startsWith(`${name}-`) && !each.endsWith(".part"));
    if (found === undefined) return undefined;
    const path = join(folder, found);
    if ((await shaOf(path)) !== found.slice(name.length + 1)) {
      rmSync(path, { force: true });
      return undefined;
    }
    const now = new Date();
    utimesSync(path, now, now);
    return path;
  };
  const evict = (keep?: string): void => {
    const files = readdirSync(folder)
      .filter((name) => !name.endsWith(".part"))
      .map((name) => ({ path: join(folder, name), ...statSync(join(folder, name)) }))
      .sort((a, b) => a.mtimeMs - b.mtimeMs);
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files) {
      if (total <= cacheBytes && disk.left() >= TASK_LIMITS.inputBytes) return;
      if (path === keep) continue;
      rmSync(path, { force: true });
      total -= size;
    }
  };
  const fetchOnce = async (reference: InputReference, name: string, signal: AbortSignal): Promise<Input> => {
    const found = await kept(name);
    if (found) return { path: found };
    evict();
    const part = join(folder, `${parts++}.part`);
    const hash = createHash("sha256");
    let size = 0;
    const counted = async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        size += piece.length;
        if (size > TASK_LIMITS.inputBytes) throw new TooLarge();
        disk.check(piece.length);
        hash.update(piece);
        yield piece;
      }
    };
    try {
      const pieces =
        reference.kind === "ipfs"
          ? streamFile(node, reference.cid, "", signal)
          : streamUrl(reference.url, { signal, allowPrivate });
      await pipeline(Readable.from(counted(pieces), { highWaterMark: 1 }), createWriteStream(part));
      const digest = hash.digest("hex");
      if (reference.kind === "url" && `0x${digest}` !== reference.sha256)
        return { invalid: `input ${reference.name} has the checksum ${digest}` };
      const path = join(folder, `${name}-${digest}`);
      renameSync(part, path);
      evict(path);
      return { path };
    } catch (error) {
      // If it had its checksum, all inputs together would be over the limit; if not, the checksum is another.
      if (error instanceof TooLarge)
        return { invalid: `input ${reference.name} has more than ${TASK_LIMITS.inputBytes} bytes` };
      throw error;
    } finally {
      rmSync(part, { force: true });
    }
  };
  const fetch = (reference: InputReference, signal: AbortSignal): Promise<Input> => {
    const name = reference.kind === "ipfs" ? reference.cid : reference.sha256.slice(2);
    // Lots that run at the same time often have the same inputs.
    const work = running.get(name) ?? fetchOnce(reference, name, signal).finally(() => running.delete(name));
    running.set(name, work);
    return work;
  };
  return {
    fetch,
    read: async (reference, signal) => {
      const found = await fetch(reference, signal);
      return "path" in found ? { bytes: await readFile(found.path) } : found;
    },
  };
};
