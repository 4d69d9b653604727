import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import t from "tap";
import { explain } from "../../node/cli/explain.ts";
import { createProgram } from "../../node/cli/program.ts";

const root = mkdtempSync(join(tmpdir(), "rolec-explain-"));
t.teardown(() => rmSync(root, { recursive: true }));
const file = join(root, "it's a file");
writeFileSync(file, "");

const errorOf = (act: () => unknown): Error => {
  try {
    act();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
};

t.test("what the system says is said in words, whatever stands before it", (t) => {
  const below = errorOf(() => mkdirSync(join(file, "x")));
  t.equal(explain(below), `${file} is a file, not a folder`);
  t.equal(explain(new Error(`it is not made: ${below.message}`)), `it is not made: ${file} is a file, not a folder`);
  t.equal(explain(errorOf(() => mkdirSync(file))), `${file} exists already`);
  t.equal(explain(errorOf(() => writeFileSync(root, ""))), `${root} is a folder, not a file`);
  const other = new Error("EXDEV: cross-device link not permitted, rename 'a' -> 'b'");
  t.equal(explain(other), other.message, "what there are no words for is as it is");
  t.equal(explain(new Error("execution reverted: Market: no such deal")), "the chain refuses it: Market: no such deal");
  t.equal(explain(new Error("execution reverted")), "the chain refuses it: it says no reason");
  t.end();
});

t.test("an option that names a folder refuses a file, and what would lie below one", async (t) => {
  let count = 0;
  const visit = (command: Command): void => {
    for (const option of command.options) {
      if (!option.flags.endsWith("<folder>")) continue;
      count += 1;
      for (const path of [file, join(file, "below")])
        t.throws(() => option.parseArg?.(path, undefined), { message: `${file} is no folder` }, option.flags);
      for (const path of [root, join(root, "a", "b")]) t.equal(option.parseArg?.(path, undefined), path);
    }
    for (const each of command.commands) visit(each);
  };
  visit(await createProgram());
  t.ok(count > 20, `${count} options`);
});
