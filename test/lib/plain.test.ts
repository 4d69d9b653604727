import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { createLog } from "../../lib/log.ts";
import { plain, plainLine } from "../../lib/plain.ts";

t.test("nothing of a text steers a terminal or turns its letters", (t) => {
  t.equal(plain("a\u001b[2Jb"), "a\\u001b[2Jb");
  t.equal(plain("\u009b31m\u007f\r"), "\\u009b31m\\u007f\\u000d");
  t.equal(plain("report\u202efdp.exe\u2066\u200f\u061c\u2028"), "report\\u202efdp.exe\\u2066\\u200f\\u061c\\u2028");
  t.equal(plain("two\nlines, a\ttab, ü, 日本 and 👩‍🔬"), "two\nlines, a\ttab, ü, 日本 and 👩‍🔬");
  t.equal(plainLine("two\nlines\t"), "two\\u000alines\\u0009");
  t.end();
});

t.test("JSON means the same", (t) => {
  const value = { name: "\u009b\u202e\u001b" };
  t.same(JSON.parse(plain(JSON.stringify(value))), value);
  t.notMatch(plain(JSON.stringify(value)), /[\u009b\u202e]/);
  t.end();
});

t.test("what a log tells of others steers no terminal either", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-plain-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "log");
  createLog({ path }).warn({ peer: "\u009b31m" }, "\u202eit says");
  const line = readFileSync(path, "utf8");
  t.match(JSON.parse(line), { peer: "\u009b31m", msg: "\u202eit says" });
  t.notMatch(line, /[\u009b\u202e]/);
  t.end();
});
