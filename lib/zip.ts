import { crc32 } from "node:zlib";
import { concat, utf8 } from "./bytes.ts";

/** A file to put into an archive, or, without `open`, a directory. `open` is called twice, and gives `size` bytes. */
export interface ZipEntry {
  readonly path: string;
  readonly size: number;
  readonly open?: () => AsyncIterable<Uint8Array>;
}

/** What the format holds without its 64-bit extension. */
const MAX_ENTRIES = 65_535;
const MAX_BYTES = 2 ** 32 - 1;
const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const VERSION = 20;
const UTF8_NAMES = 0x0800;
/** 1 January 1980: the same files give the same archive at any time. */
const DOS_DATE = 0x0021;
const MODE = { file: 0o100644, directory: 0o040755 } as const;
/** Version made by: Unix, so that the mode counts. */
const MADE_BY = (3 << 8) | VERSION;

/** Writes little-endian fields of 2 or 4 bytes one after another. */
const fields = (...values: readonly (readonly [bytes: 2 | 4, value: number])[]): Uint8Array => {
  const out = new Uint8Array(values.reduce((sum, [bytes]) => sum + bytes, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [bytes, value] of values) {
    if (bytes === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += bytes;
  }
  return out;
};

const nameOf = ({ path, open }: ZipEntry): Uint8Array => utf8(open ? path : `${path}/`);

/** Gives the bytes of an archive of these entries. Throws where the format cannot hold them. */
export const zipBytes = (entries: readonly ZipEntry[]): number => {
  const total = entries.reduce(
    (sum, entry) => sum + LOCAL_BYTES + CENTRAL_BYTES + 2 * nameOf(entry).length + (entry.open ? entry.size : 0),
    END_BYTES,
  );
  if (entries.length > MAX_ENTRIES || total > MAX_BYTES) throw new RangeError("more than an archive holds");
  return total;
};

/**
 * Writes an archive (APPNOTE 6.3, stored without compression) piece by piece. Each file is read twice, for its checksum
 * stands before its bytes: archives whose checksums follow later are refused by many programs where they are stored.
 */
export async function* writeZip(entries: readonly ZipEntry[]): AsyncGenerator<Uint8Array, void, undefined> {
  zipBytes(entries);
  const central: Uint8Array[] = [];
  let offset = 0;
  for (const entry of entries) {
    const name = nameOf(entry);
    let sum = 0;
    for await (const piece of entry.open?.() ?? []) sum = crc32(piece, sum);
    const size = entry.open ? entry.size : 0;
    const common = fields(
      [2, VERSION],
      [2, UTF8_NAMES],
      [2, 0],
      [2, 0],
      [2, DOS_DATE],
      [4, sum],
      [4, size],
      [4, size],
      [2, name.length],
      [2, 0],
    );
    yield concat(fields([4, 0x04034b50]), common, name);
    let written = 0;
    for await (const piece of entry.open?.() ?? []) {
      written += piece.length;
      yield piece;
    }
    if (written !== size) throw new Error(`${entry.path} has ${written} bytes, not ${size}`);
    const mode = entry.open ? MODE.file : MODE.directory;
    central.push(
      concat(
        fields([4, 0x02014b50], [2, MADE_BY]),
        common,
        fields([2, 0], [2, 0], [2, 0], [4, (mode << 16) >>> 0], [4, offset]),
        name,
      ),
    );
    offset += LOCAL_BYTES + name.length + size;
  }
  const directory = concat(...central);
  const count = entries.length;
  yield concat(
    directory,
    fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, directory.length], [4, offset], [2, 0]),
  );
}
