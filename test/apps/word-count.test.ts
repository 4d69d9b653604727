import "../helpers/plain-spawn.ts";
import { readFileSync } from "node:fs";
import t from "tap";
import { STATUS } from "../../vm/wasm/status.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { APPS, inputOf, resultsOf, rowsOf, runApp, textOf } from "../helpers/apps.ts";

const run = (tasks: Partial<Task>[]) => runApp("word-count", tasks);
const bagOf = (size: number, task: Partial<Task>): Partial<Task>[] =>
  Array.from({ length: size }, (_, index) => ({ ...task, bot: { size, first: 0, index } }));
const counts = (result: Parameters<typeof textOf>[0], name = "counts.csv"): Map<string, number> =>
  new Map(rowsOf(textOf(result, `out/${name}`)).map(({ word, count }) => [word!, Number(count)]));
const partOf = (index: number, size: number): string => `counts-${index + 1}-of-${size}.csv`;

const PART = "(?:[\\p{L}\\p{M}\\p{Nd}]|\\u200c|\\u200d|\\u00ad)";
const isPart = new RegExp(`^${PART}$`, "u");
const WORD = new RegExp(`${PART}+(?:['’]${PART}+)*`, "gu");
/** Counts words as the README says, over characters instead of bytes. */
const expected = (...texts: string[]): Map<string, number> => {
  const found = new Map<string, number>();
  for (const text of texts)
    for (const [raw] of text.matchAll(WORD)) {
      const letters = [...raw.replaceAll("\u00ad", "").replaceAll("’", "'")];
      if (!letters.some((letter) => isPart.test(letter) && !/[\u200c\u200d]/.test(letter))) continue;
      const small = letters.map((letter) => (letter === "İ" ? "i" : letter.toLowerCase()));
      const last = letters.at(-1) === "Σ" && letters.length > 1;
      const word = last ? `${small.slice(0, -1).join("")}ς` : small.join("");
      found.set(word, (found.get(word) ?? 0) + 1);
    }
  return found;
};
const inOrder = (found: Map<string, number>): [string, number][] =>
  [...found].sort(([a, m], [b, n]) => n - m || Buffer.compare(Buffer.from(a), Buffer.from(b)));

const BOOK = `It was the best of times, it was the worst of times; DON'T PANIC — it’s “Łódź”, naïve ÉCOLE, straße STRASSE.
ΟΔΟΣ οδός Σίσυφος ΣΊΣΥΦΟΣ Σ; Привет, МИР! мир ЁЛКА ёлка; O'Neill's rock'n'roll 'quoted' dogs' 3.14 x86_64 co\u00adoperate
हिन्दी में नमस्ते; 東京は日本の首都です。 می\u200cخواهم \u200d \u00ad e\u0301t\u00e9 🙂word🙂 İstanbul end's`;

t.test("words are counted, the most frequent first", async (t) => {
  const [result] = await run([{ inputs: [inputOf("book.txt", BOOK)] }]);
  t.equal(result!.status, STATUS.ok, textOf(result, "stderr"));
  const found = counts(result);
  t.same([...found], inOrder(expected(BOOK)));
  const some = {
    times: 2,
    "don't": 1,
    "it's": 1,
    łódź: 1,
    école: 1,
    οδος: 1,
    σίσυφος: 2,
    σ: 1,
    мир: 2,
    ёлка: 2,
    quoted: 1,
    dogs: 1,
  };
  for (const [word, count] of Object.entries(some)) t.equal(found.get(word), count, word);
  for (const word of ["o'neill's", "rock'n'roll", "cooperate", "हिन्दी", "می\u200cخواهم", "word", "istanbul"])
    t.equal(found.get(word), 1, word);
});

t.test("shares of any size count each word once, wherever they are cut", async (t) => {
  const short = "ΟΔΟΣ it’s a'b'c o\u00adp 🙂 'x' हि'";
  for (const [text, size] of [
    [BOOK, 2],
    [BOOK, 11],
    [short, Buffer.byteLength(short)],
  ] as const) {
    const all = new Map<string, number>();
    const results = await run(bagOf(size, { inputs: [inputOf("book.txt", text)] }));
    for (const [index, result] of results.entries()) {
      if (result.status !== STATUS.ok) t.fail(textOf(result, "stderr"));
      for (const [word, count] of counts(result, partOf(index, size))) all.set(word, (all.get(word) ?? 0) + count);
    }
    t.same(inOrder(all), inOrder(expected(text)), `${size} shares`);
  }
});

t.test("a dataset and input files are one text, in which no word goes over the end of a file", async (t) => {
  const files = [inputOf("b.txt", "one two thr"), inputOf("a.txt", "ee one"), inputOf("empty.txt", "")];
  const dataset = { ...inputOf("c.txt", "two two"), address: `0x${"11".repeat(20)}` as const };
  const task = { inputs: files, dataset };
  const [whole, one, ...parts] = await run([task, { ...task, args: ["--file", "c.txt"] }, ...bagOf(3, task)]);
  t.same(
    [...counts(whole)],
    [
      ["two", 3],
      ["one", 2],
      ["ee", 1],
      ["thr", 1],
    ],
  );
  t.same([...counts(one)], [["two", 2]]);
  const all = new Map<string, number>();
  for (const [index, part] of parts.entries())
    for (const [word, count] of counts(part, partOf(index, 3))) all.set(word, (all.get(word) ?? 0) + count);
  t.same(inOrder(all), [...counts(whole)]);
});

t.test("the merged counts of a bag are those of one task, by one task or by several", async (t) => {
  const texts = ["docs/spec.md", "docs/architecture.md", "README.md"].map((path) =>
    readFileSync(new URL(`../${path}`, APPS), "utf8"),
  );
  const inputs = texts.map((text, i) => inputOf(`${i}.md`, text));
  const [whole, ...parts] = await run([{ inputs }, ...bagOf(5, { inputs })]);
  t.same([...counts(whole)], inOrder(expected(...texts)));
  const partial = parts.map((part, index) => inputOf(partOf(index, 5), part.files.get(`out/${partOf(index, 5)}`)!));
  const task = { args: ["--mode", "reduce"], inputs: partial };
  const [merged, ...shared] = await run([task, ...bagOf(3, task)]);
  t.equal(textOf(merged, "out/counts.csv"), textOf(whole, "out/counts.csv"));
  t.match(textOf(merged, "stdout"), /Words, merged: [\d,]+ words, [\d,]+ different, in 5 files/);
  const lines = shared.flatMap((part, index) =>
    textOf(part, `out/${partOf(index, 3)}`)
      .trimEnd()
      .split("\n")
      .slice(1),
  );
  t.same(lines.sort(), textOf(whole, "out/counts.csv").trimEnd().split("\n").slice(1).sort());
  t.ok(shared.every((part, index) => counts(part, partOf(index, 3)).size > 0));
});

t.test("every letter of Unicode is a word, in lower case as in this Node's tables", async (t) => {
  const letters: string[] = [];
  // Blocks that grew in no recent version of Unicode: Latin, Greek, Cyrillic, Armenian, Hebrew, Arabic and their kin.
  for (const [from, to] of [
    [0x30, 0x58f],
    [0x5d0, 0x5ea],
    [0x620, 0x64a],
    [0x1e00, 0x1fff],
    [0x2c00, 0x2c5f],
  ])
    for (let code = from!; code <= to!; code++)
      if (isPart.test(String.fromCodePoint(code))) letters.push(String.fromCodePoint(code));
  const text = letters.join(" ");
  const [result] = await run([{ inputs: [inputOf("letters.txt", text)] }]);
  t.same([...counts(result)], inOrder(expected(text)));
  t.ok(letters.length > 1500);
});

t.test("short words are left out if asked, and the chart shows the first bars", async (t) => {
  const inputs = [inputOf("book.txt", BOOK)];
  const [result, empty] = await run([
    { inputs, args: ["--letters", "4", "--bars", "3"] },
    { inputs: [inputOf("a.txt", "… !")] },
  ]);
  const found = counts(result);
  t.same(
    [...found],
    inOrder(new Map([...expected(BOOK)].filter(([word]) => [...word].filter((c) => !/['\u200c]/.test(c)).length >= 4))),
  );
  t.same(resultsOf(result!).sort(), ["out/chart.svg", "out/counts.csv"]);
  for (const [svg, bars] of [
    [textOf(result, "out/chart.svg"), 3],
    [textOf(empty, "out/chart.svg"), 0],
  ] as const) {
    t.match(svg, /^<svg [^>]*viewBox="0 0 1000 \d+"/);
    t.match(svg, /<\/svg>\n$/);
    t.notMatch(svg, /nan|inf/i);
    t.equal(svg.match(/<text/g)!.length, svg.match(/<\/text>/g)!.length);
    t.equal(svg.match(/<rect/g)!.length, 1 + bars);
  }
  for (const word of [...found.keys()].slice(0, 3)) t.ok(textOf(result, "out/chart.svg").includes(`>${word}</text>`));
  t.match(textOf(empty, "out/chart.svg"), /no words here/);
});

t.test("a large text is counted within the gas of a task, the same on both of V8's compilers", async (t) => {
  const text = `${BOOK}\n`.repeat(4_000);
  const task = { inputs: [inputOf("book.txt", text)] };
  const [result] = await run([task]);
  t.same(
    [...counts(result)].slice(0, 3),
    inOrder(expected(BOOK))
      .slice(0, 3)
      .map(([word, count]) => [word, 4_000 * count]),
  );
  t.ok(
    result!.gasUsed < 480 * Buffer.byteLength(text) + 1e8,
    `${result!.gasUsed / Buffer.byteLength(text)} gas a byte`,
  );
  const small = { inputs: [inputOf("book.txt", BOOK)] };
  const [fast] = await run([small]);
  const [slow] = await runApp("word-count", [small], "baseline");
  t.equal(slow!.digest, fast!.digest);
});

t.test("malformed input or arguments end with exit code 2, the reason, and no results", async (t) => {
  const head = "word,count\n";
  const reduce = ["--mode", "reduce"];
  const cases: [Partial<Task>, RegExp][] = [
    [{ inputs: [inputOf("a.txt", Buffer.from([0x61, 0x20, 0xe9, 0x20]))] }, /a\.txt: is no UTF-8 at byte 2/],
    [{ inputs: [inputOf("a.txt", Buffer.from([0x61, 0xc0, 0x80]))] }, /is no UTF-8 at byte 1/],
    [{ inputs: [inputOf("a.txt", Buffer.from([0xed, 0xa0, 0x80]))] }, /is no UTF-8 at byte 0/],
    [{ inputs: [inputOf("a.txt", Buffer.from([0xf4, 0x90, 0x80, 0x80]))] }, /is no UTF-8 at byte 0/],
    [{ inputs: [inputOf("a.txt", Buffer.from([0x61, 0xc3]))] }, /is no UTF-8 at byte 1/],
    [{ inputs: [inputOf("a.txt", "a\0b")] }, /is not a text: a zero/],
    [{ inputs: [inputOf("a.txt", "a".repeat(70_000))] }, /a word of more than 65536 bytes/],
    [{}, /no text/],
    [{ args: ["--file", "b.txt"], inputs: [inputOf("a.txt", "a")] }, /no input file b\.txt/],
    [{ args: ["--mode", "sort"] }, /--mode must be map or reduce, got sort/],
    [{ args: ["--letters", "0"] }, /--letters must be from 1 to 100/],
    [{ args: ["--bars"] }, /--bars must be a finite number, got nothing/],
    [{ args: ["--colour", "red"] }, /unknown argument --colour/],
    [{ args: [...reduce, "--letters", "2"] }, /--letters is for --mode map/],
    [{ args: reduce, inputs: [inputOf("a.txt", "a")] }, /only \.csv files are merged/],
    [{ args: reduce, inputs: [inputOf("a.csv", "")] }, /:1: the first line must be word,count/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}a\n`)] }, /:2: a line has a word and a count/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head},1\n`)] }, /:2: the word is empty/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}<b>,1\n`)] }, /:2: the word has a character that no word has/],
    [
      {
        args: reduce,
        inputs: [inputOf("a.csv", Buffer.concat([Buffer.from(`${head}`), Buffer.from([0xff, 0x2c, 0x31])]))],
      },
      /:2: is no UTF-8/,
    ],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}a,1.5\n`)] }, /:2: the count must be a whole number/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}a,0\n`)] }, /:2: the count must be from 1/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}a,9007199254740993\n`)] }, /:2: the count must be from 1/],
    [{ args: reduce, inputs: [inputOf("a.csv", `${head}a,9007199254740992\na,1\n`)] }, /:3: the sum of all counts/],
    [{ args: reduce, inputs: [inputOf("counts-1-of-2.csv", head)] }, /part 2 of 2 is missing/],
    [
      { args: reduce, inputs: [inputOf("counts-1-of-2.csv", head), inputOf("x-1-of-2.csv", head)] },
      /this part is there twice/,
    ],
    [
      { args: reduce, inputs: [inputOf("counts-1-of-2.csv", head), inputOf("counts-2-of-3.csv", head)] },
      /is of another bag/,
    ],
    [{ args: reduce, inputs: [inputOf("counts-3-of-2.csv", head)] }, /is no part of a bag/],
  ];
  const results = await run(cases.map(([task]) => task));
  for (const [i, result] of results.entries()) {
    const reason = cases[i]![1];
    t.match(result, { status: STATUS.exit, code: 2 }, String(reason));
    t.match(textOf(result, "stderr"), reason);
    t.same(resultsOf(result), []);
  }
});

t.test("malformed bytes end the task in whose share they are, not the others", async (t) => {
  const text = Buffer.concat([
    Buffer.from("good words here "),
    Buffer.from([0xff]),
    Buffer.from(" and more good words"),
  ]);
  const results = await run(bagOf(3, { inputs: [inputOf("a.txt", text)] }));
  t.same(
    results.map(({ status }) => status),
    [STATUS.ok, STATUS.exit, STATUS.ok],
  );
});
