import { createHash, createHmac, type Hmac, randomUUID, timingSafeEqual } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { constants, type FileHandle, open, rename, rm } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Hex, utf8 } from "../../lib/bytes.ts";
import { boundlessDisk, type Disk } from "../../lib/disk.ts";
import { parseJson } from "../../lib/json.ts";
import { keccak256 } from "../../lib/keccak.ts";
import type { Rewritten, RewrittenStore } from "../../vm/wasm/rewritten-store.ts";

export interface RewrittenOptions {
  readonly folder: string;
  /** What only this worker knows: a file counts where it was written by who knows it. */
  readonly secret: Hex;
  /** Bytes that the folder may have; the longest unused go first. */
  readonly cacheBytes?: number;
  /** Fewer bytes are rewritten again sooner than they are read. */
  readonly leastBytes?: number;
  readonly disk?: Disk;
  /** Hears of each try to keep something, and why it failed; that there is no room is no failure. */
  readonly onWrite?: (error: Error | undefined) => void;
}

const CACHE_BYTES = 512 * 1024 * 1024;
const LEAST_BYTES = 256 * 1024;
/** No more is written or read: code of 128 MiB, and data. */
const MOST_BYTES = 256 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
/** What was being written so long ago is not any more. */
const PART_MS = 600_000;
const MAC_BYTES = 32;
const LENGTH_BYTES = 4;

/** Names what rewrites: the source of the VM. Bytes that another program wrote are another name's. */
const sourceDigest = (): string => {
  const folder = fileURLToPath(new URL("../../vm/wasm/", import.meta.url));
  const hash = createHash("sha256");
  for (const name of readdirSync(folder).toSorted())
    if (extname(name) === extname(import.meta.url)) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest("hex").slice(0, 16);
};

/** Reads a file piece by piece, so that nobody waits for the whole of it; undefined where it is shorter. */
const readWhole = async (file: FileHandle, size: number, mac: Hmac): Promise<Uint8Array | undefined> => {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(PIECE_BYTES, size - at), MAC_BYTES + at);
    if (bytesRead === 0) return undefined;
    mac.update(bytes.subarray(at, at + bytesRead));
    at += bytesRead;
  }
  return bytes;
};

/**
 * Opens the folder of rewritten modules: for each a MAC of its name and of the rest, the length of its facts, the facts as JSON,
 * the bytes. A file is whole under its name or is not there; one that is torn or altered is thrown away when it is read. Workers may
 * share a folder; each has files of its own there.
 */
export const openRewritten = (options: RewrittenOptions): RewrittenStore => {
  const { folder, secret, cacheBytes = CACHE_BYTES, leastBytes = LEAST_BYTES, disk = boundlessDisk, onWrite } = options;
  const key = utf8(keccak256(utf8(`rolec/rewritten/${secret}`)));
  const suffix = `${sourceDigest()}-${createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
  const pathOf = (name: string): string => join(folder, `${name}-${suffix}`);
  const macOf = (name: string): Hmac => createHmac("sha256", key).update(`${name}-${suffix}\n`);

  /** Lists the files; those that another worker removes meanwhile are not there. */
  const files = (): { path: string; size: number; mtimeMs: number }[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      const found = statSync(path, { throwIfNoEntry: false });
      return found?.isFile() ? [{ path, size: found.size, mtimeMs: found.mtimeMs }] : [];
    });
  const makeRoom = (bytes: number): void => {
    const all = files().sort((a, b) => a.mtimeMs - b.mtimeMs);
    let total = all.reduce((sum, { size }) => sum + size, bytes);
    for (const { path, size, mtimeMs } of all) {
      const isLeft = path.endsWith(".part") && Date.now() - mtimeMs > PART_MS;
      if (!isLeft && total <= cacheBytes && disk.left() >= bytes) continue;
      rmSync(path, { force: true });
      total -= size;
    }
  };
  const read = async (name: string): Promise<Rewritten | undefined> => {
    // Whatever lies there: nothing that has no end, and no other place.
    const file = await open(
      pathOf(name),
      constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
    );
    try {
      const found = await file.stat();
      const size = found.size - MAC_BYTES;
      if (!found.isFile() || size < LENGTH_BYTES || size > MOST_BYTES) return undefined;
      const mac = macOf(name);
      const head = new Uint8Array(MAC_BYTES);
      const { bytesRead } = await file.read(head, 0, MAC_BYTES, 0);
      const rest = bytesRead === MAC_BYTES ? await readWhole(file, size, mac) : undefined;
      if (!rest || !timingSafeEqual(mac.digest(), head)) return undefined;
      const from = LENGTH_BYTES + new DataView(rest.buffer).getUint32(0);
      const facts = parseJson(rest.subarray(LENGTH_BYTES, from)) as Omit<Rewritten, "bytes">;
      return { ...facts, bytes: rest.subarray(from) };
    } finally {
      await file.close();
    }
  };
  const write = async (name: string, { bytes, ...facts }: Rewritten): Promise<void> => {
    const head = utf8(JSON.stringify(facts satisfies Record<string, number | boolean>));
    const length = new Uint8Array(LENGTH_BYTES);
    new DataView(length.buffer).setUint32(0, head.length);
    const total = MAC_BYTES + LENGTH_BYTES + head.length + bytes.length;
    if (total > MOST_BYTES) return;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    makeRoom(total);
    if (disk.left() < total) return;
    const part = join(folder, `${randomUUID()}.part`);
    try {
      const file = await open(part, "wx", 0o600);
      try {
        const mac = macOf(name).update(length).update(head);
        await file.write(new Uint8Array(MAC_BYTES));
        await file.write(length);
        await file.write(head);
        for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
          const piece = bytes.subarray(at, at + PIECE_BYTES);
          mac.update(piece);
          await file.write(piece);
        }
        await file.write(mac.digest(), 0, MAC_BYTES, 0);
      } finally {
        await file.close();
      }
      await rename(part, pathOf(name));
    } finally {
      await rm(part, { force: true });
    }
  };
  return {
    get: async (name) => {
      const path = pathOf(name);
      try {
        const found = await read(name).catch(() => undefined);
        const now = new Date();
        if (found) utimesSync(path, now, now);
        else rmSync(path, { force: true, recursive: true });
        return found;
      } catch {
        // A file that cannot be touched or thrown away is as good as none.
        return undefined;
      }
    },
    put: async (name, rewritten) => {
      if (rewritten.bytes.length < leastBytes) return;
      try {
        await write(name, rewritten);
        onWrite?.(undefined);
      } catch (error) {
        onWrite?.(error as Error);
      }
    },
  };
};
