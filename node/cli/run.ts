import { readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { Command } from "commander";
import { ZERO_HASH } from "../../lib/bytes.ts";
import { runTask, VM_VERSION } from "../../vm/wasm/host.ts";
import { STATUS_NAMES } from "../../vm/wasm/status.ts";
import { makeFolder } from "../folder.ts";
import { several, whole } from "./options.ts";
import { fail, print, printJson } from "./output.ts";

interface RunFlags {
  input?: string[];
  out?: string;
  gas: number;
  bag: number;
  index: number;
  time: number;
  timeout: number;
  json?: boolean;
}

const read = (path: string): Uint8Array => {
  try {
    return readFileSync(path);
  } catch (error) {
    return fail(`${path} is not read: ${(error as Error).message}`);
  }
};

export const runCommand = (): Command =>
  new Command("run")
    .description("run a WASI program here, exactly as a worker would, and print its receipt")
    .argument("<file>", "the module, a .wasm file")
    .argument("[args...]", "its arguments (put -- before those that begin with a dash)")
    .option("--input <file>", "a file for /in (several may be given)", several)
    .option("--out <folder>", "where out/, stdout and stderr are written")
    .option("--gas <n>", "gas limit", whole(0, Number.MAX_SAFE_INTEGER), 60_000_000_000)
    .option("--bag <n>", "size of the bag of tasks that it believes to be in", whole(1, 1_000_000), 1)
    .option("--index <n>", "its place in the bag", whole(0, 999_999), 0)
    .option("--time <seconds>", "the time that its clock begins at", whole(0, 2 ** 33 - 1), 0)
    .option("--timeout <seconds>", "give up after so long", whole(1, 86_400), 600)
    .option("--json", "print one JSON document")
    .action(async (file: string, args: string[], flags: RunFlags) => {
      const task = {
        taskid: ZERO_HASH,
        args,
        inputs: (flags.input ?? []).map((path) => ({ name: basename(path), bytes: read(path) })),
        gasLimit: flags.gas,
        startTime: flags.time,
        hasCallback: false,
        bot: { size: flags.bag, first: 0, index: flags.index },
      };
      const result = await runTask(
        { vmVersion: VM_VERSION, module: read(file), timeoutMs: flags.timeout * 1000 },
        task,
      );
      if (flags.out) {
        for (const [path, bytes] of result.files) {
          const target = join(resolve(flags.out), path);
          makeFolder(path.endsWith("/") ? target : dirname(target));
          if (!path.endsWith("/")) writeFileSync(target, bytes);
        }
      }
      const { status, code, gasUsed, digest, outputRoot, stateRoot, cid, reason } = result;
      const name = STATUS_NAMES[status];
      if (flags.json) {
        const files = [...result.files].map(([path, bytes]) => ({ path, bytes: bytes.length }));
        printJson({ status: name, code, reason, gasUsed, digest, outputRoot, stateRoot, cid, files });
      } else {
        process.stdout.write(result.files.get("stdout") ?? "");
        process.stderr.write(result.files.get("stderr") ?? "");
        print(`${name}${code ? ` ${code}` : ""}${reason ? `: ${reason}` : ""}, ${gasUsed} gas`);
        print(`digest ${digest}`);
        if (cid) print(`output ${cid}${flags.out ? `, in ${resolve(flags.out)}` : ""}`);
      }
      process.exitCode = status === 0 ? 0 : 1;
    });
