/**
 * Measures what the meters cost: `node test/bench/vm/kernels.ts [rounds]`. Each kernel runs as clang left it, rewritten,
 * and as a native program of `clang -O2`, in turns; figures are medians of
 * processor time, so that others on the machine disturb little. Needs clang and lld.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { parseModule } from "../../../vm/wasm/parse.ts";
import { EXPORTS, IMPORTS, rewriteModule } from "../../../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../../../vm/wasm/versions.ts";

interface Kernel {
  readonly name: string;
  readonly kind: "integer" | "float";
  /** Argument that makes a run of about 50 ms. */
  readonly size: number;
}
const KERNELS: readonly Kernel[] = [
  { name: "sha256", kind: "integer", size: 150_000 },
  { name: "quicksort", kind: "integer", size: 12 },
  { name: "recursion", kind: "integer", size: 34 },
  { name: "interpreter", kind: "integer", size: 2_000_000 },
  { name: "sieve", kind: "integer", size: 12 },
  { name: "matmul", kind: "float", size: 24 },
  { name: "nbody", kind: "float", size: 40_000 },
  { name: "lattice", kind: "float", size: 200 },
  { name: "montecarlo", kind: "float", size: 400_000 },
  { name: "heat", kind: "float", size: 600 },
];

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const geometricMean = (values: readonly number[]): number =>
  Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

const GAS = 2 ** 53 - 1;
const rounds = Number(process.argv[2] ?? 15);
// As a job's process does: without it, a function that is entered once stays in baseline code.
setFlagsFromString("--no-liftoff");
const folder = mkdtempSync(join(tmpdir(), "rolec-kernels-"));
const clang = (...args: string[]): void => {
  execFileSync("clang", ["-O2", "-fno-math-errno", ...args], { stdio: "inherit" });
};
const source = (name: string): string => new URL(`./kernels/${name}.c`, import.meta.url).pathname;
const WASM = [
  "--target=wasm32",
  "-nostdlib",
  "-mbulk-memory",
  "-msign-ext",
  "-mnontrapping-fptoint",
  "-Wl,--no-entry",
  "-Wl,-z,stack-size=65536",
];

type Run = (size: number) => number;
const timed = (run: Run, size: number): [number, number] => {
  const from = process.threadCpuUsage();
  const result = run(size) >>> 0;
  const { user, system } = process.threadCpuUsage(from);
  return [result, (user + system) / 1000];
};

console.log("kernel        plain ms  metered ms   ratio   native ms   plain/native   Ggas   Ggas/s");
const ratios: Record<Kernel["kind"], number[]> = { integer: [], float: [] };
const toNative: number[] = [];
for (const { name, kind, size } of KERNELS) {
  const wasm = join(folder, `${name}.wasm`);
  const native = join(folder, name);
  clang(...WASM, "-o", wasm, source(name));
  clang("-o", native, source(name), source("native"));
  const module = parseModule(new Uint8Array(readFileSync(wasm)), NEWEST_RULES);
  const { bytes: rewritten } = rewriteModule(module, { exports: module.exports, maxPages: 1_024, gas: GAS });
  const instance = (bytes: Uint8Array): WebAssembly.Exports =>
    new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), {
      [IMPORTS.own]: { [IMPORTS.fault]: () => undefined },
    }).exports;
  const plain = instance(module.bytes);
  const metered = instance(rewritten);
  const gas = metered[EXPORTS.gas] as WebAssembly.Global<"i64">;
  const times: Record<"plain" | "metered" | "native", number[]> = { plain: [], metered: [], native: [] };
  let used = 0;
  for (let round = -1; round < rounds; round++) {
    const [expected, plainMs] = timed(plain.run as Run, size);
    gas.value = BigInt(GAS);
    const [got, meteredMs] = timed(metered.run as Run, size);
    used = GAS - Number(gas.value);
    const [nativeResult, ns] = execFileSync(native, [String(size)], { encoding: "utf8" })
      .trim()
      .split(" ")
      .map(Number);
    if (got !== expected || nativeResult !== expected) throw new Error(`${name}: ${expected}, ${got}, ${nativeResult}`);
    if (round < 0) continue;
    times.plain.push(plainMs);
    times.metered.push(meteredMs);
    times.native.push(ns! / 1e6);
  }
  const ratio = median(times.plain.map((ms, i) => times.metered[i]! / ms));
  const nativeRatio = median(times.plain.map((ms, i) => ms / times.native[i]!));
  ratios[kind].push(ratio);
  toNative.push(ratio * nativeRatio);
  const cells = [
    median(times.plain).toFixed(1),
    median(times.metered).toFixed(1),
    ratio.toFixed(3),
    median(times.native).toFixed(1),
    nativeRatio.toFixed(2),
    (used / 1e9).toFixed(3),
    (used / 1e6 / median(times.metered)).toFixed(2),
  ];
  console.log(name.padEnd(12), ...cells.map((cell) => cell.padStart(10)));
}
rmSync(folder, { recursive: true });
console.log(
  `metered to plain: integer kernels ${geometricMean(ratios.integer).toFixed(3)}, float kernels ${geometricMean(ratios.float).toFixed(3)}`,
);
console.log(`metered to native: ${geometricMean(toNative).toFixed(2)}`);
