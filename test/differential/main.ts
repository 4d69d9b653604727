import { parseArgs } from "node:util";
import fc from "fast-check";
import type { Mode } from "./poco.ts";
import { createBase, tryOut } from "./run.ts";
import { sequences } from "./steps.ts";

/** Figures of a run of sequences. */
export interface Report {
  sequences: number;
  calls: number;
  succeeded: number;
  /** Calls by function: those that worked and those that reverted. */
  readonly coverage: Map<string, [worked: number, reverted: number]>;
  /** How often each known difference showed. */
  readonly known: Map<string, number>;
  /** Differences by kind: how often, and the shortest sequence that was found. */
  readonly differences: Map<string, { count: number; seed: number; text: string }>;
}

const SHRINK_MS = 30_000;

/** Runs sequences of a seed, one after another, and gives what was seen. A difference is shrunk when its kind is new. */
export const compareSequences = async (
  mode: Mode,
  count: number,
  seed: number,
  log: (line: string) => void,
): Promise<Report> => {
  const base = await createBase(mode);
  const report: Report = {
    sequences: 0,
    calls: 0,
    succeeded: 0,
    coverage: new Map(),
    known: new Map(),
    differences: new Map(),
  };
  for (let i = 0; i < count; i++) {
    let isFirst = true;
    let kind: string | undefined;
    const text: string[] = [];
    const property = fc.asyncProperty(sequences, async (steps) => {
      const { session, difference } = await tryOut(base, steps);
      if (isFirst) {
        isFirst = false;
        report.sequences += 1;
        report.calls += session.calls;
        report.succeeded += session.succeeded;
        for (const [id, times] of session.known) report.known.set(id, (report.known.get(id) ?? 0) + times);
        for (const [name, [worked, reverted]] of session.coverage) {
          const sum = report.coverage.get(name) ?? [0, 0];
          report.coverage.set(name, [sum[0] + worked, sum[1] + reverted]);
        }
        const before = difference && report.differences.get(difference.kind);
        if (before) before.count += 1;
        if (!difference || before) return;
        kind = difference.kind;
      }
      if (!difference || difference.kind !== kind) return;
      text.splice(0, text.length, ...session.trace, difference.message);
      throw difference;
    });
    await fc.check(property, { numRuns: 1, seed: seed + i, interruptAfterTimeLimit: SHRINK_MS });
    if (kind !== undefined) {
      report.differences.set(kind, { count: 1, seed: seed + i, text: text.join("\n") });
      log(`\n${kind} (seed ${seed + i})\n${text.join("\n")}`);
    }
    if ((i + 1) % 100 === 0)
      log(`${i + 1} sequences, ${report.calls} calls, ${report.differences.size} kinds of difference`);
  }
  return report;
};

/** Writes a report for people. */
export const reportText = (report: Report): string =>
  [
    `${report.sequences} sequences, ${report.calls} calls, of which ${report.succeeded} worked`,
    ...[...report.coverage]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(
        ([name, [worked, reverted]]) => `  ${name.split("(")[0]!.padEnd(34)} ${worked} worked, ${reverted} reverted`,
      ),
    ...[...report.known].map(([id, times]) => `known difference ${id}: ${times}`),
    ...[...report.differences].map(
      ([kind, { count, seed }]) => `DIFFERENCE ${kind}: ${count}, first with seed ${seed}`,
    ),
    `${report.differences.size} kinds of difference that nobody explained`,
  ].join("\n");

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      sequences: { type: "string", default: "200" },
      seed: { type: "string", default: "1" },
      mode: { type: "string", default: "native" },
    },
  });
  const mode = values.mode === "token" ? "token" : "native";
  const report = await compareSequences(mode, Number(values.sequences), Number(values.seed), console.log);
  console.log(reportText(report));
  process.exitCode = report.differences.size === 0 ? 0 : 1;
}
