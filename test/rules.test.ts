import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { CHAIN_RULES } from "../chain/rules.ts";
import { CONSENSUS_RULES } from "../consensus/rules.ts";
import { DISK_RULES } from "../lib/disk.ts";
import { DATA_RULES } from "../p2p/data/rules.ts";
import { PEER_RULES } from "../p2p/rules.ts";
import { VM_RULES } from "../vm/rules.ts";

const root = join(import.meta.dirname, "..");
const sourcesIn = (folder: string): string =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && name !== "rules.test.ts")
    .map((name) => readFileSync(join(root, folder, name), "utf8"))
    .join("\n");

const TABLES = { CHAIN_RULES, CONSENSUS_RULES, DATA_RULES, DISK_RULES, PEER_RULES, VM_RULES };
const code = ["lib", "chain", "vm", "consensus", "p2p"].map(sourcesIn).join("\n");
const tests = sourcesIn("test");
const spec = readFileSync(join(root, "docs/spec.md"), "utf8");

t.test("every rule names a section of the specification, is thrown by the code and asserted by a test", (t) => {
  for (const [table, rules] of Object.entries(TABLES))
    for (const [rule, { section }] of Object.entries(rules)) {
      t.ok(new RegExp(`^## ${section}\\. `, "m").test(spec), `${table}: ${rule}: section ${section}`);
      const uses = code.split(`"${rule}"`).length - 1;
      t.ok(uses >= 2, `${table}: ${rule} is in its table and is thrown`);
      t.ok(tests.includes(`"${rule}"`), `${table}: ${rule} has a test`);
    }
  t.end();
});

t.test("no two tables share a code", (t) => {
  const all = Object.values(TABLES).flatMap((rules) => Object.keys(rules));
  t.equal(new Set(all).size, all.length);
  t.end();
});
