// Prints the sum of the runner's own totals as one plain line, and exits with its status.
import { readFileSync } from "node:fs";

const [log, status] = process.argv.slice(2);
const text = readFileSync(log, "utf8");
const totals = text.match(/^# \{ total: [^}]*\}/gm) ?? [];
const count = (name) =>
  totals.reduce((sum, line) => sum + Number(line.match(new RegExp(`${name}: (\\d+)`))?.[1] ?? 0), 0);
const failed = count("fail");
console.log(`${count("pass")} passed, ${failed} failed, ${count("skip")} skipped`);
process.exit(Number(status) || (failed > 0 || count("pass") === 0 ? 1 : 0));
