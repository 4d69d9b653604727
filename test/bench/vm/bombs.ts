/**
 * Measures modules that are dear to check, rewrite, compile, start or hash for what they pay: `node test/bench/vm/bombs.ts [name]`.
 * Each runs in a process of its own; printed are seconds of processor time per Ggas and the most memory, the worst three last. A
 * limit or a price is wrong where one passes LIMIT.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { startGas } from "../../../vm/wasm/gas.ts";
import { compileModule, runIn } from "../../../vm/wasm/instance.ts";
import { invalidReceipt } from "../../../vm/wasm/receipt.ts";
import { WasmRefused } from "../../../vm/wasm/refusal.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { BOMBS } from "./bomb-modules.ts";

/** Seconds that a Ggas may take at most. */
const LIMIT = 40;
const GAS = 2 ** 50;
/** As a job's process has it. */
const FLAGS = ["--no-liftoff", "--stack-size=60000", "--max-old-space-size=1024"];

interface Measured {
  readonly name: string;
  readonly bytes: number;
  readonly end: string;
  readonly seconds: number;
  readonly perGgas: number;
  readonly mib: number;
}

const measure = (name: string): Measured => {
  const bytes = BOMBS.get(name)!();
  const from = process.cpuUsage();
  let end: string;
  let gas: number;
  try {
    const compiled = compileModule(bytes, NEWEST_RULES);
    const tree = createFileTree([], NEWEST_RULES);
    const world = {
      taskid: `0x${"11".repeat(32)}`,
      args: [],
      environment: [],
      startTime: 0,
      tree,
      root: tree.root,
    } as const;
    const outcome = runIn(compiled, world, GAS, 0);
    end = `status ${outcome.status}`;
    gas =
      outcome.gasUsed === GAS
        ? startGas(bytes.length, compiled.prepared.compileGas, 0, compiled.prepared.initialPages)
        : outcome.gasUsed;
  } catch (error) {
    if (!(error instanceof WasmRefused)) throw error;
    end = error.rule;
    gas = invalidReceipt(bytes.length, GAS, "0x", NEWEST_RULES).gasUsed;
  }
  const { user, system } = process.cpuUsage(from);
  const seconds = (user + system) / 1e6;
  const mib = Math.round(process.resourceUsage().maxRSS / 1024);
  return { name, bytes: bytes.length, end, seconds, perGgas: (seconds / gas) * 1e9, mib };
};

const show = ({ name, bytes, end, seconds, perGgas, mib }: Measured): void =>
  console.log(
    name.padEnd(46),
    `${(bytes / 1e6).toFixed(2)} MB`.padStart(9),
    `${seconds.toFixed(2)} s`.padStart(8),
    `${perGgas.toFixed(1)} s/Ggas`.padStart(13),
    `${mib} MiB`.padStart(9),
    end.slice(0, 60),
    perGgas > LIMIT ? "OVER THE LIMIT" : "",
  );

if (process.send) {
  process.send(measure(process.argv[2]!));
} else {
  const all: Measured[] = [];
  for (const name of BOMBS.keys()) {
    if (!name.includes(process.argv[2] ?? "")) continue;
    const child = fork(fileURLToPath(import.meta.url), [name], { execArgv: FLAGS });
    const [[measured]] = await Promise.all([
      Promise.race([once(child, "message"), once(child, "exit").then(([code, signal]) => [`${signal ?? code}`])]),
      once(child, "exit"),
    ]);
    if (typeof measured === "string") {
      console.log(`${name.padEnd(46)} its process ended: ${measured}`);
      continue;
    }
    all.push(measured as Measured);
    show(measured as Measured);
  }
  console.log("worst:");
  for (const one of all.toSorted((a, b) => b.perGgas - a.perGgas).slice(0, 3)) show(one);
}
