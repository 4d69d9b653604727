import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { pino } from "pino";
import t, { type Test } from "tap";
import { type Hash, word, ZERO_HASH } from "../../lib/bytes.ts";
import { partOf } from "../../lib/whole-file.ts";
import { openJournal } from "../../node/worker/journal.ts";

const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-journal-"));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
};
const lot = (n: number): Hash => word(n);
const computed = (tasks: number, size = 1) => ({
  taskids: Array<Hash>(tasks).fill(ZERO_HASH),
  receipts: Array<Uint8Array>(tasks).fill(new Uint8Array(size).fill(7)),
  cids: Array<string | undefined>(tasks).fill(undefined),
});

t.test("a torn entry is put aside, said once, and computed again", async (t) => {
  const folder = folderOf(t);
  const first = openJournal(folder);
  for (const n of [1, 2, 3, 4]) first.put(lot(n), computed(2));
  truncateSync(join(folder, `${lot(1)}.open.json`), 0);
  truncateSync(join(folder, `${lot(2)}.open.json`), 40);
  writeFileSync(join(folder, `${lot(3)}.open.json`), '{"taskids":["0x"],"receipts":["zz"],"cids":[null]}');
  writeFileSync(partOf(join(folder, `${lot(9)}.open.json`)), "cut off");
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const journal = openJournal(folder, { log });
  t.same(journal.unpublished(), [1, 2, 3, 4].map(lot), "it opens");
  for (const n of [1, 2, 3, 1, 2, 3]) t.equal(journal.get(lot(n)), undefined);
  t.equal(lines.length, 3, lines.join(""));
  t.match(lines[0], `${lot(1)}.open.json.torn`);
  t.same(journal.get(lot(4)), computed(2), "the others are whole");
  t.ok(existsSync(join(folder, `${lot(1)}.open.json.torn`)));
  t.notOk(existsSync(partOf(join(folder, `${lot(9)}.open.json`))), "what was cut off before it had its name is gone");
  journal.put(lot(1), computed(2));
  t.same(openJournal(folder).get(lot(1)), computed(2));
});

t.test("a file that is gone is said once, and its lot computed again", async (t) => {
  const folder = folderOf(t);
  const first = openJournal(folder);
  for (const n of [1, 2]) first.put(lot(n), computed(2));
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const journal = openJournal(folder, { log });
  for (const n of [1, 2]) rmSync(join(folder, `${lot(n)}.open.json`));
  for (let tick = 0; tick < 3; tick++) t.equal(journal.get(lot(1)), undefined);
  journal.published(lot(2));
  t.same(journal.unpublished(), []);
  t.equal(lines.length, 2);
  t.match(lines[0], "is gone");
  journal.put(lot(1), computed(2));
  t.same(journal.get(lot(1)), computed(2));
  t.same(journal.prune(), []);
});

t.test("a journal is pruned by age and by size while it runs, but for what is needed", async (t) => {
  const folder = folderOf(t);
  let now = Date.now();
  const journal = openJournal(folder, { keepMs: 10_000, mostBytes: 3_000, now: () => now });
  for (const n of [1, 2, 3, 4, 5]) {
    journal.put(lot(n), computed(1, 400));
    const at = (now - 5_000 + n * 100) / 1000;
    utimesSync(join(folder, `${lot(n)}.json`), at, at);
  }
  const again = openJournal(folder, { keepMs: 10_000, mostBytes: 3_000, now: () => now });
  t.same(
    again.prune((id) => id === lot(1)),
    [lot(2), lot(3)],
    "the oldest go, the needed stays",
  );
  t.same(again.ids(), [1, 4, 5].map(lot));
  t.equal(again.get(lot(2)), undefined);
  t.same(again.prune(), []);
  now += 20_000;
  t.same(again.prune(), [1, 4, 5].map(lot));
  t.same(readdirSync(folder), []);
});

t.test("what is given away stays given away over a restart", async (t) => {
  const folder = folderOf(t);
  const journal = openJournal(folder);
  for (const n of [1, 2, 3]) journal.put(lot(n), computed(n));
  journal.published(lot(3));
  journal.published(lot(8));
  t.same(journal.unpublished(), [lot(2)]);
  const again = openJournal(folder);
  t.same(again.unpublished(), [lot(2)]);
  t.same(again.get(lot(3)), computed(3));
  again.forget(lot(2));
  t.same(openJournal(folder).ids().sort(), [lot(1), lot(3)]);
});

t.test("a journal of many large lots holds few of them in memory", async (t) => {
  const folder = folderOf(t);
  const cachedBytes = 1024 * 1024;
  const journal = openJournal(folder, { cachedBytes });
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  const before = process.memoryUsage().arrayBuffers;
  const LOTS = 60;
  for (let n = 0; n < LOTS; n++)
    journal.put(lot(n), { ...computed(64), receipts: Array.from({ length: 64 }, () => new Uint8Array(2_000)) });
  for (let n = 0; n < LOTS; n++) t.equal(journal.get(lot(n))!.receipts.length, 64);
  const grown = (): number => process.memoryUsage().arrayBuffers - before;
  // What is collected is given back beside the thread, a little later.
  for (let i = 0; i < 100 && grown() >= 4 * cachedBytes; i++) {
    collect();
    await sleep(20);
  }
  t.ok(grown() < 4 * cachedBytes, `${grown()} bytes`);
});
