// Counts the words of all files in /in; writes them with their counts to /out/words.csv, the most frequent first.
import { args, list, print, readText, writeText } from "../assembly/rolec";

class Count {
  constructor(
    public word: string,
    public times: i32,
  ) {}
}

function isLetter(code: i32): bool {
  return (code >= 97 && code <= 122) || (code >= 65 && code <= 90) || code > 127 || code == 39;
}

const counts = new Map<string, i32>();
let total = 0;
const names = list("/in");
for (let i = 0; i < names.length; i++) {
  const text = readText("/in/" + names[i]);
  let start = -1;
  for (let at = 0; at <= text.length; at++) {
    const inside = at < text.length && isLetter(text.charCodeAt(at));
    if (inside && start < 0) start = at;
    if (inside || start < 0) continue;
    const word = text.substring(start, at).toLowerCase();
    counts.set(word, counts.has(word) ? counts.get(word) + 1 : 1);
    total++;
    start = -1;
  }
}

const words = counts.keys();
const rows: Count[] = [];
for (let i = 0; i < words.length; i++) rows.push(new Count(words[i], counts.get(words[i])));
rows.sort((a, b) => (a.times != b.times ? b.times - a.times : a.word < b.word ? -1 : 1));

const given = args();
const most = given.length > 0 ? <i32>parseInt(given[0]) : rows.length;
let csv = "word,count\n";
for (let i = 0; i < min(most, rows.length); i++) csv += rows[i].word + "," + rows[i].times.toString() + "\n";
writeText("/out/words.csv", csv);
print(total.toString() + " words, " + rows.length.toString() + " different, in " + names.length.toString() + " files");
