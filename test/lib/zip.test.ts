import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { concat, equalBytes, utf8 } from "../../lib/bytes.ts";
import { writeZip, type ZipEntry, zipBytes } from "../../lib/zip.ts";

const fileOf = (path: string, bytes: Uint8Array): ZipEntry => ({
  path,
  size: bytes.length,
  open: async function* () {
    yield bytes.subarray(0, 10);
    yield bytes.subarray(10);
  },
});
const gather = async (source: AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return concat(...parts);
};
const big = new Uint8Array(100_000).map((_, i) => i * 7);
const entries = [
  { path: "out", size: 0 },
  fileOf("out/big ä", big),
  { path: "out/none", size: 0 },
  fileOf("stderr", new Uint8Array(0)),
  fileOf("stdout", utf8("hi\n")),
];

t.test("an archive is as long as was said, unpacks whole, and is the same each time", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-zip-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const archive = await gather(writeZip(entries));
  t.equal(archive.length, zipBytes(entries));
  t.ok(equalBytes(archive, await gather(writeZip(entries))));
  writeFileSync(join(folder, "a.zip"), archive);
  t.match(execFileSync("unzip", ["-t", "a.zip"], { cwd: folder, encoding: "utf8" }), /No errors detected/);
  execFileSync("unzip", ["-q", "a.zip", "-d", "unpacked"], {
    cwd: folder,
    env: { PATH: process.env.PATH, LC_ALL: "C.UTF-8" },
  });
  t.ok(equalBytes(readFileSync(join(folder, "unpacked", "out", "big ä")), big));
  t.equal(readFileSync(join(folder, "unpacked", "stdout"), "utf8"), "hi\n");
  const empty = await gather(writeZip([]));
  t.equal(empty.length, zipBytes([]));
});

t.test("what the format cannot hold, or has another size than said, is refused", async (t) => {
  const many = Array.from({ length: 65_536 }, (_, i) => ({ path: String(i), size: 0 }));
  t.throws(() => zipBytes(many), RangeError);
  t.throws(() => zipBytes([{ ...fileOf("a", big), size: 2 ** 32 }]), RangeError);
  await t.rejects(gather(writeZip([{ ...fileOf("a", big), size: 1 }])), /100000 bytes, not 1/);
});
