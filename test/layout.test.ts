/** docs/state.md says what stands where in the state; what it says is what the code does. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { madeTables } from "../chain/records.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../vm/addresses.ts";
import { HUB_TABLE, MARKET_TABLE, REGISTRY_TABLE, TOKEN_TABLE, VALIDATORS_TABLE } from "../vm/layout.ts";

const root = join(import.meta.dirname, "..");
const LAYOUT: Record<string, Record<string, number>> = {
  [VALIDATORS]: VALIDATORS_TABLE,
  [HUB]: HUB_TABLE,
  [APP_REGISTRY]: REGISTRY_TABLE,
  [DATASET_REGISTRY]: REGISTRY_TABLE,
  [WORKERPOOL_REGISTRY]: REGISTRY_TABLE,
  [TOKEN]: TOKEN_TABLE,
  [MARKET]: MARKET_TABLE,
};

/** A table as its account and number, its name, version and fields. */
const documented = (): string[] => {
  let accounts: string[] = [];
  return readFileSync(join(root, "docs/state.md"), "utf8")
    .split("\n")
    .flatMap((line) => {
      if (line.startsWith("## ")) accounts = line.match(/0x…\d{4}/g) ?? [];
      const [, number, at, name, version, fields] =
        /^\| (\d+)(?: at (0x…\d{4}))? \| (\w+) \| [^|]+ \| (\d+) \| ([^|]*?) ?\|/.exec(line) ?? [];
      return number ? (at ? [at] : accounts).map((each) => `${each} ${number} ${name} ${version} ${fields}`) : [];
    });
};

const sources = globSync("{chain,vm,consensus}/**/*.ts", { cwd: root }).filter(
  (name) => name !== "chain/records.ts" && /\btable[<(]/.test(readFileSync(join(root, name), "utf8")),
);

t.test("docs/state.md lists every table of every account once, with its version and fields", async (t) => {
  for (const name of sources) await import(join(root, name));
  const made = madeTables().map(({ account, number, version, fields }) => {
    const name = Object.entries(LAYOUT[account] ?? {}).find(([, each]) => each === number)?.[0];
    return `0x…${account.slice(-4)} ${number} ${name} ${version} ${fields.join(", ")}`;
  });
  t.same(documented().sort(), made.sort());
  t.equal(made.length, Object.values(LAYOUT).flatMap(Object.values).length, "no number is without its table");
});
