#!/usr/bin/env node
import { fail } from "./output.ts";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24)
  fail(
    `rolec needs Node 24 or newer, this is ${process.versions.node}; "npm run -s rolec" brings it along on Linux and Windows`,
  );

const { createProgram } = await import("./program.ts");
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  fail((error as Error).message);
}
