import t from "tap";
import { ATTACKS } from "../hostile/attacks.ts";
import { failuresOf } from "../hostile/judge.ts";
import { attackAll } from "../hostile/run.ts";

const SECONDS = 30;

/** Attacks by what they are made of; each is 30 s, beside a control of its network as long. */
const names = Object.keys(ATTACKS).filter((name) => !name.startsWith("none"));
const families = Map.groupBy(names, (name) => name.split("-")[0]!);

t.setTimeout(4 * 3_600_000);
for (const [family, members] of families)
  t.test(`${family}: no slot is missed, nothing grows, nobody waits`, { timeout: 3_600_000 }, async (t) => {
    for await (const { window, control } of attackAll(members, SECONDS, { port: 19_945 }))
      if (control) t.strictSame(failuresOf(window, control), [], window.attack);
  });
