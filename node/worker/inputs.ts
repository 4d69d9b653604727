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
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import { createSharedWork, orAbort } from "../../lib/shared-work.ts";
import { TASK_LIMITS } from "../../vm/wasm/limits.ts";
import type { InputReference } from "../../vm/wasm/params.ts";
import { DataRefused, IsDirectory, streamFile } from "../data-client.ts";
import { isFinalStatus, Unobtainable } from "./unobtainable.ts";
import { streamUrl } from "./web.ts";

export interface InputsOptions {
  /** RPC of the node that gives what is named by content. */
  readonly node: string;
  readonly folder: string;
  /** Lets URLs lead to this machine and its networks. */
  readonly allowPrivate?: boolean;
  /** Bytes that the folder may have; the longest unused go first, what is held never. */
  readonly cacheBytes?: number;
  /** What may not be filled: what is kept for other lots gives way first. */
  readonly disk?: Disk;
}

/** A file in the worker's folder. */
export interface Input {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of its bytes, in hex: files of one content have one. */
  readonly digest: string;
}

/** How long something is waited for. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Unix milliseconds; the signal aborts then. */
  readonly until: number;
}

/** Inputs of tasks, fetched into files piece by piece, and kept for other lots that name them. */
export interface Inputs {
  /**
   * Fetches what a reference names. Throws Unobtainable where no later try would bring it, another Error where one may. That is
   * of this machine alone: a server tells each of its clients what it likes, so no worker calls a task invalid for it.
   */
  fetch(reference: InputReference, patience: Patience): Promise<Input>;
  /**
   * Gives the same inputs for one deal, whose files stay until it lets go of them. Its first fetch waits until there is room beside
   * what others hold; a later one that finds none any more throws.
   */
  hold(): HeldInputs;
}

export interface HeldInputs extends Pick<Inputs, "fetch"> {
  release(): void;
}

const CACHE_BYTES = 2 * 1024 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** A file's name ends in a hyphen and its digest. */
const ENDING = 65;

/** A node's answer that nobody has it: somebody may have it later. */
const MISSING = 404;

/** Tells what a node's refusal means for who fetches. */
const nodeError = (error: unknown): unknown =>
  error instanceof IsDirectory ||
  (error instanceof DataRefused && error.status !== MISSING && isFinalStatus(error.status))
    ? new Unobtainable(error.message)
    : error;

/** Opens the folder of a worker's inputs. */
export const openInputs = (options: InputsOptions): Inputs => {
  const { node, folder, allowPrivate = false, cacheBytes = CACHE_BYTES, disk = boundlessDisk } = options;
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) if (name.endsWith(".part")) rmSync(join(folder, name));
  let parts = 0;
  const running = createSharedWork<Input>();

  const shaOf = async (path: string): Promise<string> => {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(path, { highWaterMark: PIECE_BYTES })) hash.update(piece as Buffer);
    return hash.digest("hex");
  };
  /** Finds a file by its name, which ends in its hash: a disk that spoilt it would make this worker lie. */
  const kept = async (name: string): Promise<Input | undefined> => {
    const found = readdirSync(folder).find((each) => each.startsWith(`${name}-`) && !each.endsWith(".part"));
    if (found === undefined) return undefined;
    const path = join(folder, found);
    const digest = found.slice(name.length + 1);
    if ((await shaOf(path)) !== digest) {
      rmSync(path, { force: true });
      return undefined;
    }
    const now = new Date();
    utimesSync(path, now, now);
    return { path, bytes: statSync(path).size, digest };
  };
  /** How many hold a name, and the bytes of what is on its way. */
  const held = new Map<string, number>();
  const underWay = new Map<string, number>();
  const waiting = new Set<() => void>();
  const isHeld = (file: string): boolean => held.has(file.slice(0, -ENDING));
  const filesOf = () =>
    readdirSync(folder)
      .filter((name) => !name.endsWith(".part"))
      .map((name) => ({ name, path: join(folder, name), ...statSync(join(folder, name)) }));
  /** Bytes that nobody can be told to do without. */
  const bound = (): number => {
    let total = 0;
    for (const { name, size } of filesOf()) if (isHeld(name)) total += size;
    for (const bytes of underWay.values()) total += bytes;
    return total;
  };
  const evict = (keep?: string): void => {
    const files = filesOf().sort((a, b) => a.mtimeMs - b.mtimeMs);
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { name, path, size } of files) {
      if (total <= cacheBytes && disk.left() >= TASK_LIMITS.inputBytes) return;
      if (path === keep || isHeld(name)) continue;
      rmSync(path, { force: true });
      total -= size;
    }
  };
  /** What has to be free beside what is held before somebody begins. */
  const share = Math.min(TASK_LIMITS.inputBytes, cacheBytes / 2);
  const room = async (signal: AbortSignal): Promise<void> => {
    while (bound() + share > cacheBytes) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.add(resolve);
      await orAbort(promise, signal).finally(() => waiting.delete(resolve));
    }
  };
  const wake = (): void => {
    for (const each of waiting) each();
  };
  const piecesOf = (reference: InputReference, { signal, until }: Patience): AsyncIterable<Uint8Array> =>
    reference.kind === "ipfs"
      ? streamFile(node, reference.cid, "", { signal, searchUntil: until })
      : streamUrl(reference.url, { signal, allowPrivate });
  const fetchOnce = async (reference: InputReference, name: string, patience: Patience): Promise<Input> => {
    const found = await kept(name);
    if (found) return found;
    evict();
    const part = join(folder, `${parts++}.part`);
    const hash = createHash("sha256");
    let bytes = 0;
    const counted = async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        bytes += piece.length;
        if (bytes > TASK_LIMITS.inputBytes)
          throw new Error(`input ${reference.name} has more than ${TASK_LIMITS.inputBytes} bytes`);
        disk.check(piece.length);
        if (bytes - (underWay.get(part) ?? 0) >= PIECE_BYTES || !underWay.has(part)) {
          underWay.set(part, bytes);
          if (bound() > Math.max(cacheBytes, TASK_LIMITS.inputBytes))
            throw new Error(`input ${reference.name} finds no room beside those of lots that wait`);
        }
        hash.update(piece);
        yield piece;
      }
    };
    try {
      const pieces = counted(piecesOf(reference, patience));
      await pipeline(Readable.from(pieces, { highWaterMark: 1 }), createWriteStream(part));
      const digest = hash.digest("hex");
      if (reference.kind === "url" && `0x${digest}` !== reference.sha256)
        throw new Error(`input ${reference.name} came with the checksum ${digest}`);
      const path = join(folder, `${name}-${digest}`);
      renameSync(part, path);
      evict(path);
      return { path, bytes, digest };
    } catch (error) {
      throw nodeError(error);
    } finally {
      rmSync(part, { force: true });
      underWay.delete(part);
      wake();
    }
  };
  const nameOf = (reference: InputReference): string =>
    reference.kind === "ipfs" ? reference.cid : reference.sha256.slice(2);
  const fetch = (reference: InputReference, { signal, until }: Patience): Promise<Input> => {
    const name = nameOf(reference);
    // Whoever names the same checksum elsewhere holds nobody up.
    const place = reference.kind === "ipfs" ? name : `${reference.url} ${name}`;
    // Lots that run at the same time often have the same inputs.
    return running.join(place, (left) => fetchOnce(reference, name, { signal: left, until }), signal);
  };
  return {
    fetch,
    hold: () => {
      const names = new Set<string>();
      return {
        fetch: async (reference, patience) => {
          if (names.size === 0) await room(patience.signal);
          const name = nameOf(reference);
          if (!names.has(name)) held.set(name, (held.get(name) ?? 0) + 1);
          names.add(name);
          return fetch(reference, patience);
        },
        release: () => {
          for (const name of names) {
            const left = held.get(name)! - 1;
            if (left === 0) held.delete(name);
            else held.set(name, left);
          }
          names.clear();
          wake();
        },
      };
    },
  };
};
