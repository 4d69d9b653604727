import { createByteSource } from "./byte-source.ts";
import { concat, utf8 } from "./bytes.ts";

/** A file of an archive, or, without bytes, a directory. `path` has / between names and none at its end. */
export interface TarEntry {
  readonly path: string;
  readonly size: number;
  readonly bytes?: AsyncIterable<Uint8Array>;
}

/** Bytes are no archive, or hold what is neither file nor directory. */
export class TarError extends Error {
  override readonly name = "TarError";
}

const BLOCK = 512;
const NAME_BYTES = 100;
/** Bytes of a long name's record at most. */
const MAX_EXTENSION_BYTES = 64 * 1024;
/** Headers of an archive, those that carry a name and those that are passed over among them: it must end some time. */
const MAX_HEADERS = 32_768;
/** What eleven octal digits hold. */
const MAX_SIZE = 8 ** 11 - 1;
const ZEROS = new Uint8Array(BLOCK);
/** Place and length of a header's fields (POSIX.1-2001, ustar). */
const FIELD = {
  name: [0, 100],
  mode: [100, 8],
  size: [124, 12],
  time: [136, 12],
  sum: [148, 8],
  type: [156, 1],
  magic: [257, 8],
  prefix: [345, 155],
} as const;

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;
/** Sums a header's bytes, those of the sum itself as spaces. */
const sumOf = (header: Uint8Array): number => {
  const [at, length] = FIELD.sum;
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= at && i < at + length ? 0x20 : header[i]!;
  return sum;
};

const headerOf = (name: Uint8Array, size: number, type: string): Uint8Array => {
  if (size > MAX_SIZE) throw new TarError(`a file of ${size} bytes`);
  const header = new Uint8Array(BLOCK);
  const put = ([at, length]: readonly [number, number], text: string): void =>
    header.set(utf8(text).subarray(0, length), at);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;
  header.set(name.subarray(0, NAME_BYTES), 0);
  put(FIELD.mode, octal(type === "5" ? 0o755 : 0o644, 7));
  put(FIELD.size, octal(size, 11));
  put(FIELD.time, octal(0, 11));
  put(FIELD.type, type);
  put(FIELD.magic, "ustar\x0000");
  put(FIELD.sum, `${octal(sumOf(header), 6)} `);
  return header;
};

/** Writes a record of the pax format, which counts its own length. */
const paxRecord = (key: string, value: string): Uint8Array => {
  const body = utf8(` ${key}=${value}\n`);
  let length = body.length;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return concat(utf8(String(length)), body);
};

/** Writes an archive (POSIX pax) piece by piece. Throws where a file has not the size that its entry says. */
export async function* writeTar(
  entries: Iterable<TarEntry> | AsyncIterable<TarEntry>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { path, size, bytes } of entries) {
    const name = utf8(bytes ? path : `${path}/`);
    if (name.length > NAME_BYTES || name.some((byte) => byte > 0x7e)) {
      const record = paxRecord("path", bytes ? path : `${path}/`);
      yield headerOf(utf8("pax"), record.length, "x");
      yield concat(record, ZEROS.subarray(0, padding(record.length)));
    }
    yield headerOf(name, bytes ? size : 0, bytes ? "0" : "5");
    if (!bytes) continue;
    let written = 0;
    for await (const piece of bytes) {
      written += piece.length;
      if (written > size) break;
      yield piece;
    }
    if (written !== size) throw new TarError(`${path} has ${written} bytes or more, not ${size}`);
    if (padding(size) > 0) yield ZEROS.subarray(0, padding(size));
  }
  yield concat(ZEROS, ZEROS);
}

const textOf = (bytes: Uint8Array): string => {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
};
const octalOf = (text: string): number => {
  const trimmed = text.trim();
  if (!/^[0-7]*$/.test(trimmed)) throw new TarError(`"${trimmed.slice(0, 16)}" is no octal number`);
  return trimmed === "" ? 0 : Number.parseInt(trimmed, 8);
};
const paxPathOf = (bytes: Uint8Array): string | undefined => {
  let path: string | undefined;
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space < 0 ? 0 : Number(new TextDecoder().decode(bytes.subarray(at, space)));
    if (!(length > space - at) || at + length > bytes.length) throw new TarError("a record of no length");
    const [key, value] = new TextDecoder().decode(bytes.subarray(space + 1, at + length - 1)).split(/=(.*)/s);
    if (key === "size") throw new TarError("a file of 8 GiB or more");
    if (key === "path") path = value;
    at += length;
  }
  return path;
};

/**
 * Reads an archive (ustar, pax, GNU's long names) entry by entry. An entry's bytes are read before the next entry is
 * asked for, or passed over. Throws TarError for anything but files and directories.
 */
export async function* readTar(source: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry, void, undefined> {
  const input = createByteSource(source);
  const payload = async (size: number): Promise<Uint8Array> => {
    if (size > MAX_EXTENSION_BYTES) throw new TarError(`a name of ${size} bytes`);
    const bytes = await input.take(size + padding(size));
    if (bytes.length < size) throw new TarError("the archive ends within a name");
    return bytes.subarray(0, size);
  };
  let longPath: string | undefined;
  for (let headers = 1; ; headers++) {
    if (headers > MAX_HEADERS) throw new TarError(`more than ${MAX_HEADERS} headers`);
    const header = await input.take(BLOCK);
    if (header.length < BLOCK) throw new TarError("the archive has no end");
    if (header.every((byte) => byte === 0)) return;
    const field = ([at, length]: readonly [number, number]): string => textOf(header.subarray(at, at + length));
    if (octalOf(field(FIELD.sum)) !== sumOf(header)) throw new TarError("a header has another sum");
    const size = octalOf(field(FIELD.size));
    const type = field(FIELD.type);
    if (type === "x") longPath = paxPathOf(await payload(size)) ?? longPath;
    else if (type === "L") longPath = textOf(await payload(size));
    else if (type === "g") await payload(size);
    else {
      const isPosix = field(FIELD.magic).startsWith("ustar") && header[FIELD.magic[0] + 5] === 0;
      const prefix = isPosix ? field(FIELD.prefix) : "";
      const whole = longPath ?? (prefix === "" ? field(FIELD.name) : `${prefix}/${field(FIELD.name)}`);
      longPath = undefined;
      const isDirectory = type === "5" || (type === "" && whole.endsWith("/"));
      if (!isDirectory && type !== "" && type !== "0" && type !== "7")
        throw new TarError(`${whole} is neither a file nor a directory`);
      const path = whole.replace(/^(?:\.\/)+/, "").replace(/\/+$/, "");
      // `tar c .` begins with the folder itself.
      if (path === "" || path === ".") continue;
      if (isDirectory) {
        yield { path, size: 0 };
        continue;
      }
      let left = size;
      const read = async function* () {
        for await (const piece of input.pieces(size)) {
          left -= piece.length;
          yield piece;
        }
      };
      yield { path, size, bytes: read() };
      for await (const piece of input.pieces(left)) left -= piece.length;
      await input.take(padding(size));
    }
  }
}
