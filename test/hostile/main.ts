/** Attacks a network of processes: node test/hostile/main.ts [--attack <name>[+<name>…][,…] | all] [--seconds 30] [--targets 1] [--fresh] [--json <file>] */
import { appendFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { ATTACKS, attacksOf } from "./attacks.ts";
import { failuresOf } from "./judge.ts";
import { attackAll, type Window } from "./run.ts";

const { values } = parseArgs({
  options: {
    attack: { type: "string" },
    seconds: { type: "string", default: "30" },
    targets: { type: "string", default: "1" },
    port: { type: "string", default: "19545" },
    json: { type: "string" },
    fresh: { type: "boolean", default: false },
    quiet: { type: "boolean", default: false },
  },
});

const tell = (window: Window, failures: readonly string[]): void => {
  const { attack, target, report, transfers } = window;
  const longest = target?.longest[0];
  console.log(
    [
      attack.padEnd(24),
      `${report.steps} steps`,
      `missed ${window.missedSlots}/${window.seconds}`,
      `final +${window.finalized}${window.finalizesAfter ? "" : " THEN NONE"}`,
      `longest ${longest?.ms ?? "?"} ms (all ${longest?.allMs ?? "?"}, garbage ${target?.longestGcMs ?? "?"})`,
      `cpu ${target ? Math.round((target.cpuMs / target.seconds) * 10) / 10 : "?"} ms/s`,
      `RSS ${window.idleMiB} -> ${window.peakMiB}, others +${window.othersGrewMiB} MiB`,
      `asked ${window.asked} unanswered ${window.unanswered} slowest ${window.slowestMs} ms`,
      `user ${transfers.mined}/${transfers.sent}${transfers.refused ? ` refused ${transfers.refused}` : ""}`,
      `behind ${window.behind}${window.caughtUpAfter === undefined ? "" : ` caught up ${window.caughtUpAfter} s`}`,
      report.out ? `OUT after ${report.outAfter} s${report.banned ? ", banned" : ""}` : "connected",
      ...(window.died ? [`DIED ${window.died}`] : []),
    ].join(" | "),
  );
  if (!values.quiet) {
    console.log(`    counts ${JSON.stringify(report.counts)}${report.error ? ` error ${report.error}` : ""}`);
    if (target) {
      console.log(`    turns ${JSON.stringify(target.turns)}, block samples ${target.transitionSamples}`);
      for (const { ms, inside } of target.longest.slice(0, 3)) console.log(`    ${ms} ms: ${inside.join("; ")}`);
      console.log(`    busiest: ${target.busiest.join("; ")}`);
    }
    for (const error of window.errors) console.log(`    logged: ${error}`);
  }
  for (const failure of failures) console.log(`    FAILS: ${failure}`);
  if (values.json) appendFileSync(values.json, `${JSON.stringify({ ...window, failures })}\n`);
};

if (values.attack === undefined) {
  for (const [name, { about }] of Object.entries(ATTACKS)) console.log(`${name.padEnd(24)} ${about}`);
} else {
  const names =
    values.attack === "all"
      ? Object.keys(ATTACKS).filter((name) => !name.startsWith("none"))
      : values.attack.split(",");
  for (const name of names) attacksOf(name);
  const seconds = Number(values.seconds);
  let failed = 0;
  const options = { targets: Number(values.targets), port: Number(values.port) };
  for await (const { window, control } of attackAll(names, seconds, { ...options, fresh: values.fresh })) {
    const failures = control ? failuresOf(window, control) : [];
    failed += failures.length;
    tell(window, failures);
  }
  process.exitCode = failed > 0 ? 1 : 0;
}
