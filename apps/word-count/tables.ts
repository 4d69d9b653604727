// Writes src/unicode.c: what counts as part of a word, and lower case, from this Node's Unicode tables.
// node apps/word-count/tables.ts
import { writeFileSync } from "node:fs";

const LAST = 0x10ffff;
const isText = (code: number): boolean => code < 0xd800 || code > 0xdfff;
// Letters, the marks on them, and decimal digits; the joiners that some scripts write within words; the soft hyphen.
const isPart = (code: number): boolean =>
  isText(code) && /^[\p{L}\p{M}\p{Nd}\u200c\u200d\u00ad]$/u.test(String.fromCodePoint(code));

const parts: [number, number][] = [];
for (let code = 0; code <= LAST; code++) {
  if (!isPart(code)) continue;
  const last = parts.at(-1);
  if (last && last[1] === code - 1) last[1] = code;
  else parts.push([code, code]);
}

interface Run {
  from: number;
  to: number;
  step: number;
  delta: number;
}
const runs: Run[] = [];
for (let code = 0; code <= LAST; code++) {
  if (!isText(code)) continue;
  // Unicode's simple mapping of the one letter whose lower case is two characters here.
  const lower = code === 0x130 ? "i" : String.fromCodePoint(code).toLowerCase();
  const to = lower.codePointAt(0)!;
  if (to === code || lower.length !== String.fromCodePoint(to).length) continue;
  const last = runs.at(-1);
  const gap = last ? code - last.to : 0;
  if (last && last.delta === to - code && gap <= 2 && (last.from === last.to || gap === last.step)) {
    last.step = gap;
    last.to = code;
  } else runs.push({ from: code, to: code, step: 1, delta: to - code });
}

const table = (cells: string[]): string => {
  const lines = [""];
  for (const cell of cells) {
    if (lines.at(-1)!.length + cell.length > 116) lines.push("");
    lines[lines.length - 1] += `${lines.at(-1) === "" ? "    " : " "}${cell},`;
  }
  return lines.join("\n");
};
const hex = (code: number): string => `0x${code.toString(16)}`;
writeFileSync(
  new URL("src/unicode.c", import.meta.url),
  `/* Made by tables.ts from Unicode ${process.versions.unicode}. */
#include "unicode.h"

const struct part PARTS[] = {
${table(parts.map(([from, to]) => `{${hex(from)}, ${hex(to)}}`))}
};
const int PART_COUNT = ${parts.length};

const struct lower LOWER[] = {
${table(runs.map(({ from, to, step, delta }) => `{${hex(from)}, ${hex(to)}, ${step}, ${delta}}`))}
};
const int LOWER_COUNT = ${runs.length};
`,
);
