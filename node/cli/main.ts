#!/usr/bin/env node
import { isDiskFull } from "../../lib/disk.ts";
import { fail } from "./output.ts";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24)
  fail(
    `rolec needs Node 24 or newer, this is ${process.versions.node}; "npm run -s rolec" brings it along on Linux and Windows`,
  );

/** Says what to do where the words of the system, or of a library, do not. */
const explain = (error: Error): string => {
  const { message } = error;
  if (isDiskFull(error) && !message.includes("is full")) return `${message}: the disk is full, make room on it`;
  return message;
};

// A reader like `head` that has enough is no error.
process.stdout.on("error", () => process.exit(0));

const { createProgram } = await import("./program.ts");
try {
  const program = await createProgram(process.argv.slice(2));
  await program.parseAsync(process.argv);
} catch (error) {
  fail(explain(error as Error));
}
