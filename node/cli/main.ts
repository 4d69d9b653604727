#!/usr/bin/env node
import { fail } from "./output.ts";

const major = Number(process.versions.node.split(".")[0]);
if (major < 24)
  fail(
    `rolec needs Node 24 or newer, this is ${process.versions.node}; "npm run -s rolec" brings it along on Linux and Windows`,
  );

/** Says what to do where the system's words do not. */
const explain = ({
  code,
  message,
  address,
  port,
}: NodeJS.ErrnoException & { port?: number; address?: string }): string =>
  code === "EADDRINUSE"
    ? `port ${port} of ${address} is taken by another program; --port (and --p2p-port, for other nodes) choose one`
    : message;

// A reader like `head` that has enough is no error.
process.stdout.on("error", () => process.exit(0));

const { createProgram } = await import("./program.ts");
try {
  await createProgram().parseAsync(process.argv);
} catch (error) {
  fail(explain(error as NodeJS.ErrnoException & { port?: number; address?: string }));
}
