import { mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { type Hash, isHex, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { readRegular } from "../../lib/whole-file.ts";
import { runTask, type TaskResult } from "../../vm/wasm/host.ts";
import type { RefusedGrowth } from "../../vm/wasm/instance.ts";
import { PAGE_BYTES } from "../../vm/wasm/limits.ts";
import { parseParams } from "../../vm/wasm/params.ts";
import { parseModule } from "../../vm/wasm/parse.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import { checkCommand } from "../../vm/wasm/profile.ts";
import { describeEnd } from "../../vm/wasm/receipt.ts";
import { STATUS, STATUS_NAMES } from "../../vm/wasm/status.ts";
import type { InputFile, Task } from "../../vm/wasm/task.ts";
import { NEWEST_RULES, VM_VERSION } from "../../vm/wasm/versions.ts";
import { checkPlaces, type LocalInput, localInputs } from "../job-inputs.ts";
import { folder, JOB_GAS, several, variables, whole } from "./options.ts";
import { fail, print, printJson } from "./output.ts";

/** Enough for what five minutes of a lot allow: here a task is tried, and pays nothing. */
const RUN_GAS = 60_000_000_000;

interface RunFlags {
  input: string[];
  env: Record<string, string>;
  dir: Mapped[];
  dataset?: string;
  out?: string;
  gas: number;
  bag: number;
  index: number;
  time?: number;
  task: Hash;
  callback?: boolean;
  timeout: number;
  json?: boolean;
}

interface Mapped {
  readonly name: "in" | "out";
  readonly path: string;
}

const mapped = (text: string, before: Mapped[] = []): Mapped[] => {
  const match = /^\/?(in|out)=(.+)$/.exec(text);
  if (!match) throw new InvalidArgumentError("in=<folder> or out=<folder> is expected");
  return [...before, { name: match[1] as "in" | "out", path: match[1] === "out" ? folder(match[2]!) : match[2]! }];
};

const taskId = (text: string): Hash => {
  const lower = text.toLowerCase();
  if (!isHex(lower, 32)) throw new InvalidArgumentError("a task id is expected: 0x and 64 hex digits");
  return lower;
};

const given = ({ name, path }: LocalInput) => ({ name, source: path });
const bytesOf = ({ name, path }: LocalInput): InputFile => ({ name, bytes: readRegular(path) });

/** Gives the variables, as a deal's parameters could have them. */
const environment = (env: Record<string, string>): Record<string, string> =>
  parseParams(JSON.stringify({ rolec_env: env }), NEWEST_RULES).env;

const writeResults = (path: string, files: TaskResult["files"]): void => {
  for (const [name, bytes] of files) {
    const target = join(path, name);
    mkdirSync(name.endsWith("/") ? target : dirname(target), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(target, bytes);
  }
};

/** Says in words how the task ended. */
const statusText = (result: TaskResult): string => {
  const end = describeEnd(result);
  return result.status === STATUS.invalid && result.reason ? `${end}: ${result.reason}` : end;
};

/** Says what the task cost, and what a job gives it where that is less than it took. */
const gasText = ({ gasUsed, gasExecuted, status }: TaskResult, gasLimit: number): string => {
  const text = `${gasUsed} of ${gasLimit}, ${gasExecuted} executed`;
  if (status === STATUS.outOfGas) return `${text}: --gas gives more`;
  return gasUsed > JOB_GAS ? `${text}: rolec job run needs --gas ${gasUsed}` : text;
};

/** Says why the memory did not grow, and what may help. */
const growthText = ({ pages, has }: RefusedGrowth, module: Uint8Array): string => {
  const { maxPages: most } = checkCommand(parseModule(module, NEWEST_RULES));
  const limit = NEWEST_RULES.limits.memoryPages;
  const why =
    most < limit
      ? `the module declares a maximum of ${most}: link it with --max-memory=${limit * PAGE_BYTES}`
      : `a task has at most ${limit}, which are ${(limit * PAGE_BYTES) / 2 ** 20} MiB`;
  return `has ${has} pages, and was refused ${pages} more: ${why}`;
};

const show = (
  result: TaskResult,
  module: Uint8Array,
  flags: RunFlags,
  startTime: number,
  seconds: number,
  out: string | undefined,
): void => {
  const entries = [...result.files].filter(([path]) => path.startsWith("out/") && path !== "out/");
  const bytes = entries.reduce((sum, [, content]) => sum + content.length, 0);
  const where = out ? `in ${out}` : "not kept: --out <folder> writes it";
  const rows = [
    ["status", statusText(result)],
    ["gas", gasText(result, flags.gas)],
    ["time", `${seconds.toFixed(2)} s, with the start of its process`],
    ["clock", `from ${new Date(1000 * startTime).toISOString()}; the same run again: --time ${startTime}`],
    ["digest", `${result.digest}, which workers agree on`],
    ["receipt", toHex(result.receipt)],
  ];
  if (result.refusedGrowth) rows.push(["memory", growthText(result.refusedGrowth, module)]);
  if (result.cid) rows.push(["output", `${result.cid}: ${entries.length} in /out, ${bytes} bytes, ${where}`]);
  if (flags.callback) rows.push(["callback", toHex(result.callbackData)]);
  for (const [label, text] of rows) print(`${label!.padEnd(9)} ${text}`);
};

export const runCommand = (): Command =>
  new Command("run")
    .description("run a WASI program here, exactly as a worker would, and print its receipt")
    .argument("<file>", "the module, a .wasm file")
    .argument("[args...]", "its arguments (put -- before those that begin with a dash)")
    .option("--dir <in=folder>", "in=<folder>: its files are /in; out=<folder>: as --out", mapped, [] as Mapped[])
    .option(
      "--input <file>",
      "a file or folder for /in, or <file>=/path (several may be given)",
      several,
      [] as string[],
    )
    .option("--env <NAME=value>", "a variable of its environment (several may be given)", variables, {})
    .option("--dataset <file>", "the deal's dataset, which is in /in too")
    .option("--out <folder>", "where out/, stdout and stderr are written", folder)
    .option(
      "--gas <n>",
      `gas limit; rolec job run gives ${JOB_GAS} unless told`,
      whole(0, Number.MAX_SAFE_INTEGER),
      RUN_GAS,
    )
    .option("--bag <n>", "size of the bag of tasks that it believes to be in", whole(1, 1_000_000), 1)
    .option("--index <n>", "its place in the bag", whole(0, 999_999), 0)
    .option("--time <seconds>", "what its clock begins at, Unix time (default: now)", whole(0, 2 ** 33 - 1))
    .option("--task <id>", "the task id, from which its random bytes follow", taskId, ZERO_HASH)
    .option("--callback", "as a deal with a callback: /out/callback is part of the receipt")
    .option("--timeout <seconds>", "give up after so long", whole(1, 86_400), 600)
    .option("--json", "print one JSON document")
    .action(async (file: string, args: string[], flags: RunFlags) => {
      const folders = flags.dir.filter(({ name }) => name === "in");
      const out = flags.out ?? flags.dir.find(({ name }) => name === "out")?.path;
      if (flags.index >= flags.bag) fail(`--index ${flags.index} is not in a bag of ${flags.bag}`);
      const inputs = [...folders.map(({ path }) => path), ...flags.input].flatMap(localInputs);
      const dataset = flags.dataset === undefined ? [] : [{ name: basename(flags.dataset), path: flags.dataset }];
      checkPlaces(inputs.map(given), dataset.map(given));
      const startTime = flags.time ?? Math.floor(Date.now() / 1000);
      const task: Task = {
        taskid: flags.task,
        args,
        env: environment(flags.env),
        inputs: inputs.map(bytesOf),
        ...(dataset[0] ? { dataset: { ...bytesOf(dataset[0]), address: ZERO_ADDRESS } } : {}),
        gasLimit: flags.gas,
        startTime,
        hasCallback: flags.callback ?? false,
        bot: { size: flags.bag, first: 0, index: flags.index },
      };
      const module = readRegular(file);
      const start = performance.now();
      const result = await runTask({ vmVersion: VM_VERSION, module, timeoutMs: flags.timeout * 1000 }, task).catch(
        (error: unknown) => {
          if (error instanceof ComputeFault) return fail(`this machine cannot compute it: ${error.message}`);
          throw error;
        },
      );
      const seconds = (performance.now() - start) / 1000;
      if (out) writeResults(resolve(out), result.files);
      if (flags.json) {
        const {
          status,
          code,
          gasUsed,
          gasExecuted,
          digest,
          outputRoot,
          stateRoot,
          cid,
          reason,
          receipt,
          callbackData,
        } = result;
        const files = [...result.files].map(([path, bytes]) => ({ path, bytes: bytes.length }));
        const hex = { receipt: toHex(receipt), callbackData: toHex(callbackData) };
        printJson({
          startTime,
          status: STATUS_NAMES[status],
          code,
          reason,
          gasUsed,
          gasExecuted,
          digest,
          outputRoot,
          stateRoot,
          cid,
          ...hex,
          files,
        });
      } else {
        process.stdout.write(result.files.get("stdout") ?? "");
        process.stderr.write(result.files.get("stderr") ?? "");
        print();
        show(result, module, flags, startTime, seconds, out === undefined ? undefined : resolve(out));
      }
      process.exitCode = result.status === STATUS.ok ? 0 : 1;
    });
