import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { concat, equalBytes, utf8 } from "../../lib/bytes.ts";
import { readTar, type TarEntry, TarError, writeTar } from "../../lib/tar.ts";

const LONG = `${"folder/".repeat(30)}a name that no header holds, ä`;
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const gather = async (source: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return concat(...parts);
};
const fileOf = (path: string, bytes: Uint8Array): TarEntry => ({
  path,
  size: bytes.length,
  bytes: pieces(bytes, 1_000),
});
const big = new Uint8Array(70_001).map((_, i) => i);
const sample = (): TarEntry[] => [
  fileOf("a.txt", utf8("a")),
  fileOf("empty file", new Uint8Array(0)),
  { path: "empty", size: 0 },
  fileOf(LONG, big),
  fileOf("exact", new Uint8Array(512)),
];
const read = async (archive: Uint8Array, size = 700): Promise<Map<string, Uint8Array | undefined>> => {
  const found = new Map<string, Uint8Array | undefined>();
  for await (const { path, bytes } of readTar(pieces(archive, size)))
    found.set(path, bytes ? await gather(bytes) : undefined);
  return found;
};

t.test("an archive is read as it was written, in pieces of any size", async (t) => {
  const archive = await gather(writeTar(sample()));
  for (const size of [1, 511, 512, 4_096, archive.length]) {
    const found = await read(archive, size);
    t.same([...found.keys()], ["a.txt", "empty file", "empty", LONG, "exact"]);
    t.same(found.get("a.txt"), utf8("a"));
    t.equal(found.get("empty"), undefined);
    t.ok(equalBytes(found.get(LONG)!, big));
  }
});

t.test("entries that nobody reads, or reads in part, are passed over", async (t) => {
  const paths: string[] = [];
  for await (const { path, bytes } of readTar(pieces(await gather(writeTar(sample())), 600))) {
    paths.push(path);
    if (path === LONG) for await (const _ of bytes!) break;
  }
  t.same(paths, ["a.txt", "empty file", "empty", LONG, "exact"]);
});

t.test("tar reads what is written here, and the other way round, in its formats", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-tar-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "ours.tar"), await gather(writeTar(sample())));
  mkdirSync(join(folder, "out"));
  execFileSync("tar", ["xf", "ours.tar", "-C", "out"], { cwd: folder });
  t.ok(equalBytes(readFileSync(join(folder, "out", LONG)), big));
  for (const format of ["gnu", "pax", "ustar"]) {
    const names = format === "ustar" ? [LONG.replace("ä", "a")] : [LONG];
    if (format === "ustar") execFileSync("mv", [LONG, names[0]!], { cwd: join(folder, "out") });
    const theirs = execFileSync("tar", ["c", `--format=${format}`, "."], { cwd: join(folder, "out"), maxBuffer: 1e7 });
    const found = await read(theirs);
    t.ok(equalBytes(found.get(names[0]!)!, big), format);
    t.ok(found.has("empty"));
    t.same(found.get("a.txt"), utf8("a"));
  }
});

t.test("what is no archive, or holds more than files and directories, is refused", async (t) => {
  const archive = await gather(writeTar([fileOf("a", utf8("abc"))]));
  const folder = mkdtempSync(join(tmpdir(), "rolec-tar-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync("ln", ["-s", "/etc/passwd", "link"], { cwd: folder });
  const link = execFileSync("tar", ["c", "link"], { cwd: folder });
  await t.rejects(read(link), TarError, "a symbolic link");
  await t.rejects(read(archive.with(0, 0x62)), TarError, "a changed header");
  await t.rejects(read(archive.subarray(0, 100)), TarError, "half a header");
  await t.rejects(read(archive.subarray(0, 1_024)), TarError, "no end");
  await t.rejects(read(archive.subarray(0, 514)), /ends 1 bytes early/, "half a file");
  await t.rejects(gather(writeTar([{ ...fileOf("a", utf8("abc")), size: 2 }])), TarError, "a file that grew");
  await t.rejects(gather(writeTar([{ ...fileOf("a", utf8("abc")), size: 4 }])), TarError, "a file that shrank");
});

t.test("an archive that goes on without files ends", async (t) => {
  const folder = (await writeTar([{ path: "x", size: 0 }]).next()).value as Uint8Array;
  const endless = async function* () {
    for (;;) yield folder;
  };
  const reading = async () => {
    let entries = 0;
    for await (const _ of readTar(endless())) entries += 1;
    return entries;
  };
  await t.rejects(reading(), { name: "TarError", message: /headers/ });
});
