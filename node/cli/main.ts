#!/usr/bin/env node
import { explain } from "./explain.ts";
import { fail } from "./output.ts";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24)
  fail(
    `rolec needs Node 24 or newer, this is ${process.versions.node}; "npm run -s rolec" brings it along on Linux and Windows`,
  );

// A reader like `head` that has enough is no error.
process.stdout.on("error", () => process.exit(0));

const { createProgram } = await import("./program.ts");
try {
  const program = await createProgram(process.argv.slice(2));
  await program.parseAsync(process.argv);
} catch (error) {
  fail(explain(error as Error));
}
