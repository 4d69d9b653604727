/**
 * What the market's rules promise, measured on the real state machine (draw, agreement, faults, pay, credit) with genesis.json's
 * parameters, in a pool of 300 slots that two sides share:
 *   node test/bench/security/main.ts [wrong] [prices] [idle] [grief] [absence] [censor] [issuance] [waiting] [--tasks 10000] [--seed n] [--seeds 20]
 * Without names it prints all tables: wrong results accepted; the price of contribution credit for who buys its own jobs, and for jobs
 * that do not compute; what withheld inputs and spiteful declines cost; what silence and dripping inputs cost; how often censors make
 * a worker silent; what bought credit earns at issuance; how long lots wait beside one who holds up the draw (of so many seeds).
 */
import "./hooks.ts";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tasks: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "20" },
  },
});
// After the hooks: they are for what is imported later.
const { run } = await import("./run.ts");
run(positionals, { tasks: Number(values.tasks), seed: Number(values.seed), seeds: Number(values.seeds) });
