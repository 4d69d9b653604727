/**
 * Compares receipts of generated programs and of the apps between V8's compilers and versions of Node:
 * `ROLEC_NODES=<bin>:<bin> node test/vm/wasm/determinism.ts [programs] [seed]`.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import loadWabt from "wabt";
import { STATUS_NAMES } from "../../../vm/wasm/status.ts";
import { FEATURES, generateProgram } from "./determinism/generator.ts";

const TIERS: readonly (readonly string[])[] = [["--no-liftoff"], ["--liftoff-only"], []];
const GAS_LIMIT = 200_000_000;
const APPS = fileURLToPath(new URL("../../../apps", import.meta.url));
const RUNNER = fileURLToPath(new URL("./determinism/receipts.ts", import.meta.url));
const TASK = {
  taskid: `0x${"11".repeat(32)}`,
  args: [] as string[],
  inputs: [] as { name: string; text: string }[],
  gasLimit: GAS_LIMIT,
  startTime: 1_700_000_000,
  hasCallback: false,
};

/** What was compared. */
export interface Comparison {
  readonly programs: number;
  /** Programs by their status. */
  readonly statuses: Record<string, number>;
  /** The apps, each with its status. */
  readonly apps: Record<string, string>;
  readonly configurations: readonly string[];
  readonly differences: readonly string[];
}

const writePrograms = async (folder: string, count: number, seed: number): Promise<void> => {
  const wabt = await loadWabt();
  const tapes = fc.sample(fc.array(fc.nat(0xffff), { minLength: 20, maxLength: 200 }), { numRuns: count, seed });
  for (const [i, tape] of tapes.entries()) {
    const module = wabt.parseWat("generated.wat", generateProgram(tape), FEATURES);
    const name = join(folder, String(i).padStart(5, "0"));
    writeFileSync(`${name}.wasm`, module.toBinary({}).buffer);
    writeFileSync(`${name}.json`, JSON.stringify(TASK));
    module.destroy();
  }
};

/** The real programs, each with a task of its own. */
const writeApps = (folder: string): void => {
  const read = (app: string, name: string): string => readFileSync(join(APPS, app, name), "utf8");
  const text = { name: "text.txt", text: read("word-count", "README.md") };
  const tasks = {
    "option-pricing": {
      args: ["--paths", "20000"],
      inputs: [{ name: "positions.csv", text: read("option-pricing", "positions.csv") }],
    },
    plasma: { args: ["--time", "5"], inputs: [] },
    "wind-tunnel": { args: ["--time", "2"], inputs: [] },
    "word-count": { args: [], inputs: [text] },
  };
  for (const [app, task] of Object.entries(tasks)) {
    writeFileSync(join(folder, `${app}.wasm`), readFileSync(join(APPS, app, `${app}.wasm`)));
    writeFileSync(join(folder, `${app}.json`), JSON.stringify({ ...TASK, ...task, gasLimit: 20 * 10 ** 9 }));
  }
};

/** Runs `count` generated programs and the apps everywhere; `nodes` are programs of other versions of Node. */
export const compareReceipts = async (count: number, seed: number, nodes: readonly string[]): Promise<Comparison> => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-programs-"));
  try {
    await writePrograms(folder, count, seed);
    writeApps(folder);
    const runs = [process.execPath, ...nodes].flatMap((node) =>
      TIERS.map((flags) => {
        const options = { encoding: "utf8", maxBuffer: 2 ** 28, env: {} } as const;
        const version = execFileSync(node, ["--version"], options).trim();
        const text = execFileSync(node, [...flags, "--disable-warning=ExperimentalWarning", RUNNER, folder], options);
        return { name: `Node ${version} ${flags.join(" ") || "default tiers"}`, lines: text.trim().split("\n") };
      }),
    );
    const [first, ...others] = runs;
    const statuses: Record<string, number> = {};
    const apps: Record<string, string> = {};
    for (const line of first!.lines) {
      const [file, status, code] = line.split(" ");
      const key = `status ${status}${status === "2" ? ` code ${code}` : ""}`;
      statuses[key] = (statuses[key] ?? 0) + 1;
      if (!/^\d/.test(file!)) apps[file!.replace(/\.wasm$/, "")] = `${STATUS_NAMES[Number(status)]} ${code}`;
    }
    const differences = others.flatMap(({ name, lines }) =>
      first!.lines.flatMap((line, i) => (line === lines[i] ? [] : [`${first!.name}: ${line}\n${name}: ${lines[i]}`])),
    );
    return { programs: first!.lines.length, statuses, apps, configurations: runs.map(({ name }) => name), differences };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

/** Reads the programs of other versions of Node from ROLEC_NODES. */
export const otherNodes = (): string[] => (process.env.ROLEC_NODES ?? "").split(":").filter(Boolean);

if (import.meta.main) {
  const nodes = otherNodes();
  if (nodes.length === 0) console.log("ROLEC_NODES names no other versions of Node: only this one runs");
  const result = await compareReceipts(Number(process.argv[2] ?? 1_000), Number(process.argv[3] ?? 1), nodes);
  console.log(`${result.programs} programs on ${result.configurations.join(", ")}`);
  for (const [status, count] of Object.entries(result.statuses)) console.log(`${String(count).padStart(6)}  ${status}`);
  for (const [app, status] of Object.entries(result.apps)) console.log(`${app}: ${status}`);
  for (const difference of result.differences) console.log(`DIFFERENT\n${difference}`);
  console.log(`${result.differences.length} differences`);
  process.exit(result.differences.length > 0 ? 1 : 0);
}
