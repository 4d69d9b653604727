/** Judges each command of a script of the specification suite. */
import { STOP } from "../../../../vm/wasm/meter.ts";
import { WasmRefused } from "../../../../vm/wasm/refusal.ts";
import type { Assembler, Value } from "./assembler.ts";
import { type Accepted, acceptModule, createLinker, type Running, Stopped } from "./linker.ts";
import { reduceModule } from "./reduce.ts";
import { type Action, type Line, type ModuleText, readScript } from "./wast.ts";

/** Rules that refuse a feature of WebAssembly 2.0 on purpose: their modules are a class of their own. */
const FEATURES: readonly (readonly [string, RegExp])[] = [
  ["reference values", /reference values are not allowed/],
  ["several tables", /several tables are not allowed/],
  ["table operations", /table operations are not allowed|table\.get and table\.set are not allowed/],
  ["passive, declared and expression elements", /element segment of kind [1-7] is not allowed/],
];
const featureOf = (rule: string): string | undefined => FEATURES.find(([, pattern]) => pattern.test(rule))?.[0];

/** What V8 says where the suite expects a trap. */
const TRAPS: readonly (readonly [RegExp, RegExp])[] = [
  [/integer divide by zero/, /divide by zero|remainder by zero/],
  [/integer overflow|invalid conversion to integer/, /unrepresentable/],
  [/out of bounds memory/, /memory access out of bounds|data segment .* out of bounds/],
  [
    /undefined element|out of bounds table|uninitialized element|indirect call/,
    /table|null function|signature mismatch/,
  ],
  [/unreachable/, /unreachable/],
  [/unaligned atomic/, /unaligned/],
  [/expected shared memory/, /Atomics\.wait cannot be called/],
];

/** Counts per class, and each failure in words. */
export interface Verdict {
  readonly counts: Record<string, number>;
  readonly failures: string[];
  /** Modules refused by feature, by file. */
  readonly features: Map<string, Map<string, number>>;
}

const same = (got: Value, expected: Value): boolean => {
  if (got.type !== expected.type) return false;
  if (expected.lanes) {
    const width = 128 / expected.lanes.length;
    const lane = (i: number): bigint => BigInt.asUintN(width, got.bits >> BigInt(width * i));
    return expected.lanes.every((one, i) => same({ type: one.type, bits: lane(i) }, one));
  }
  if (expected.nan === undefined) return got.bits === expected.bits;
  const [exponent, quiet] = got.type === "f32" ? [0x7f800000n, 0x400000n] : [0x7ff0000000000000n, 0x8000000000000n];
  const payload = got.bits & (got.type === "f32" ? 0x7fffffn : 0xfffffffffffffn);
  if ((got.bits & exponent) !== exponent) return false;
  return expected.nan === "canonical" ? payload === quiet : (payload & quiet) !== 0n;
};
const show = (values: readonly Value[]): string =>
  values.map(({ type, bits, nan }) => `${type} ${nan ?? `0x${bits.toString(16)}`}`).join(", ");

/** Runs one script and adds to `verdict`. */
export const judgeScript = (file: string, source: Uint8Array, assembler: Assembler, verdict: Verdict): void => {
  const script = readScript(source);
  const linker = createLinker(assembler);
  const values = assembler.evaluate(
    script.flatMap((line) =>
      line.kind === "return"
        ? [...line.action.args, ...line.expected]
        : line.kind === "trap" || line.kind === "exhaustion" || line.kind === "action"
          ? line.action.args
          : [],
    ),
  );
  const valuesOf = (constants: Action["args"]): Value[] =>
    constants.map(({ op, value }) => values.get(`${op} ${value}`)!);
  const named = new Map<string, Running>();
  let current: Running | undefined;
  /** Functions that use a refused feature were taken out of the current module. */
  let isReduced = false;

  const fail = ({ kind, line }: Line, why: string): string => {
    verdict.failures.push(`${file}:${line} ${kind}: ${why}`);
    return `${kind}: FAILED`;
  };
  const noteFeature = (feature: string): void => {
    const files = verdict.features.get(feature) ?? new Map<string, number>();
    files.set(file, (files.get(file) ?? 0) + 1);
    verdict.features.set(feature, files);
  };
  const refusal = (bytes: Uint8Array): Accepted | WasmRefused => {
    try {
      return acceptModule(bytes);
    } catch (error) {
      if (error instanceof WasmRefused) return error;
      throw error;
    }
  };

  /** Gives what is left of a module without its refused features, if that is still a module. */
  const reduced = (text: ModuleText): Accepted | undefined => {
    const rest = reduceModule(text);
    if (!rest) return undefined;
    try {
      return acceptModule(assembler.assemble(rest));
    } catch {
      return undefined;
    }
  };

  const judgeModule = (line: Line, text: ModuleText): string => {
    current = undefined;
    isReduced = false;
    if (text.name !== undefined) named.delete(text.name);
    let result = refusal(assembler.assemble(text));
    if (result instanceof WasmRefused) {
      const feature = featureOf(result.rule);
      if (feature === undefined) return fail(line, `refused: ${result.message}`);
      noteFeature(feature);
      const rest = reduced(text);
      if (!rest) return "module: refused feature";
      isReduced = true;
      result = rest;
    }
    try {
      current = linker.instantiate(result);
    } catch (error) {
      // A module that it imports from was refused.
      if (error instanceof WebAssembly.LinkError) return "module: accepted, but imports from a refused one";
      throw error;
    }
    if (text.name !== undefined) named.set(text.name, current);
    return isReduced ? "module: refused feature, tested without it" : "module: accepted and started";
  };

  const judgeRefused = (line: Extract<Line, { module: ModuleText; reason: string }>): string => {
    const text = line.module;
    if (text.form === "quoted") return `${line.kind}: text format, no matter of the validator`;
    const result = refusal(assembler.assemble(text));
    if (!(result instanceof WasmRefused)) return fail(line, `accepted, expected: ${line.reason}`);
    if (!/^section [a-z ]+(, function \d+)?, offset \d+: /.test(result.message))
      return fail(line, `an error without its place: ${result.message}`);
    return featureOf(result.rule) === undefined ? `${line.kind}: refused by its rule` : `${line.kind}: refused feature`;
  };

  const judgeStart = (line: Extract<Line, { module: ModuleText; reason: string }>): string => {
    const result = refusal(assembler.assemble(line.module));
    if (result instanceof WasmRefused)
      return featureOf(result.rule) === undefined ? fail(line, result.message) : `${line.kind}: refused feature`;
    try {
      linker.instantiate(result);
    } catch (error) {
      if (line.kind === "unlinkable")
        return error instanceof WebAssembly.LinkError ? "unlinkable: the same" : fail(line, String(error));
      if (error instanceof WebAssembly.LinkError) return "trapping: imports from a refused module";
      return judgeTrap(line, error, line.reason);
    }
    return fail(line, "started");
  };

  const judgeTrap = (line: Line, error: unknown, reason: string): string => {
    if (!(error instanceof Stopped)) throw error;
    const pattern = TRAPS.find(([expected]) => expected.test(reason))?.[1];
    if (error.stop === STOP.stack || error.stop === STOP.gas || !pattern?.test(error.message))
      return fail(line, `${error.message}, stop ${error.stop}, expected: ${reason}`);
    return `${line.kind}: the same`;
  };

  const judgeAction = (line: Line & { action: Action }): string => {
    const { action } = line;
    const running = action.module === undefined ? current : named.get(action.module);
    if (!running) return `${line.kind}: module refused for a feature`;
    if (isReduced && !running.module.exports.some(({ name }) => name === action.field))
      return `${line.kind}: function refused for a feature`;
    const args = valuesOf(action.args);
    let got: Value[];
    try {
      got = action.kind === "get" ? [linker.read(running, action.field)] : linker.invoke(running, action.field, args);
    } catch (error) {
      if (line.kind === "trap") return judgeTrap(line, error, line.reason);
      if (error instanceof Stopped && line.kind === "exhaustion" && error.stop === STOP.stack)
        return "exhaustion: the same";
      return fail(line, `${action.field}: ${error}`);
    }
    if (line.kind === "trap" || line.kind === "exhaustion") return fail(line, `${action.field} returned`);
    if (line.kind === "return") {
      const expected = valuesOf(line.expected);
      if (got.length !== expected.length || !got.every((one, i) => same(one, expected[i]!)))
        return fail(line, `${action.field}(${show(args)}) gave ${show(got)}, not ${show(expected)}`);
    }
    return `${line.kind}: the same`;
  };

  const judge = (line: Line): string | undefined => {
    switch (line.kind) {
      case "module":
        return judgeModule(line, line.module);
      case "register": {
        const running = line.module === undefined ? current : named.get(line.module);
        if (running) linker.register(line.as, running);
        return undefined;
      }
      case "invalid":
      case "malformed":
        return judgeRefused(line);
      case "trapping":
      case "unlinkable":
        return judgeStart(line);
      default:
        return judgeAction(line);
    }
  };
  for (const line of script) {
    const name = judge(line);
    if (name !== undefined) verdict.counts[name] = (verdict.counts[name] ?? 0) + 1;
  }
};
