/**
 * The real consensus code in a simulated network, honest and attacked:
 *   node --import ./test/bench/sim/hooks.ts test/bench/sim/main.ts [scenario …] [--slots n] [--validators n] [--seed n] [--seeds n]
 * Without names it runs all. Scenarios: honest, costs, partition, offline, silence, late, withheld, equivocation, balancing, censorship,
 * fork, longrange, randao, rented, selfdealing; and recovery, which takes hours and runs when it is named alone:
 *   … main.ts recovery [--seeds n] [--validators n] [--profiles slotsPerEpoch/epochsPerEra,…] [--shares percent,…] [--out file]
 * Prints a line for each attacker's share, of all seeds together: finality in epochs (median and longest stall), missed slots, forks,
 * deepest reorganisation on honest nodes, the attacker's share of blocks, its validators slashed (fewest to most), and whether safety held.
 */

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { devGenesis, readGenesis } from "../../../chain/genesis.ts";
import { TESTNET_PARAMS } from "../../../chain/profiles.ts";
import { RLC } from "../../../lib/units.ts";
import { genesisValidator, validatorKeys } from "../../../node/folder.ts";
import * as attacks from "./attacks.ts";
import { randomFrom } from "./clock.ts";
import { randaoBias, rentedHash, selfDealing } from "./economy.ts";
import { SHARES as ATTACKERS, recoveryTable } from "./recovery-table.ts";
import { type Attack, createWorld, type Measured, type Options } from "./world.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    slots: { type: "string" },
    validators: { type: "string" },
    seed: { type: "string" },
    seeds: { type: "string" },
    profiles: { type: "string" },
    out: { type: "string" },
    shares: { type: "string" },
  },
});
const slots = Number(values.slots ?? 400);
const validators = Number(values.validators ?? 32);
const seed = Number(values.seed ?? 1);

const BASE: Options = { validators, nodes: 6, delayMs: [40, 60], lossShare: 0.02, skewMs: 200, seed };
const SHARES = [0.1, 0.2, 0.25, 0.31, 0.35, 0.4, 0.45];

const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
const line = (name: string, m: Measured, mostSlashed: number): void => {
  const median = m.finality[m.finality.length >> 1];
  console.log(
    [
      name.padEnd(44),
      `final ${median === undefined ? "never" : `${median.toFixed(2)}`}`,
      `stall ${m.longestStall.toFixed(1)}`,
      `missed ${percent(1 - m.blocks / m.slots)}`,
      `forks ${m.forks}`,
      `reorg ${m.deepestReorg}`,
      `attacker ${percent(m.attackerBlocks)}`,
      mostSlashed > 0 ? `slashed ${m.slashedAttackers}-${mostSlashed}` : "",
      m.isSafe ? "" : "NOT SAFE",
    ].join("  "),
  );
};

/** What several runs have together. */
const together = (runs: readonly Measured[]): Measured => {
  const sum = (of: (run: Measured) => number): number => runs.reduce((total, run) => total + of(run), 0);
  return {
    slots: sum((run) => run.slots),
    blocks: sum((run) => run.blocks),
    forks: sum((run) => run.forks),
    deepestReorg: Math.max(...runs.map((run) => run.deepestReorg)),
    finality: runs.flatMap((run) => run.finality).sort((a, b) => a - b),
    longestStall: Math.max(...runs.map((run) => run.longestStall)),
    isSafe: runs.every((run) => run.isSafe),
    attackerBlocks: sum((run) => run.attackerBlocks) / runs.length,
    slashedAttackers: Math.min(...runs.map((run) => run.slashedAttackers)),
  };
};

const simulate = async (name: string, options: Options, attackOf?: () => Attack): Promise<void> => {
  const runs: Measured[] = [];
  for (let i = 0; i < Number(values.seeds ?? 1); i++) {
    const attack = attackOf?.();
    const world = await createWorld({ ...options, seed: seed + i, ...(attack && { attack }) });
    try {
      await world.run(slots);
      runs.push(world.measure());
    } finally {
      world.stop();
    }
  }
  line(name, together(runs), Math.max(...runs.map((run) => run.slashedAttackers)));
};
/** Each of the attacker's shares; the attack is made anew for each. */
const sweep =
  (attack: () => Attack, options: Partial<Options> = {}) =>
  async (): Promise<void> => {
    for (const attackerShare of SHARES)
      await simulate(`${attack().name} at ${percent(attackerShare)}`, { ...BASE, ...options, attackerShare }, attack);
  };
const genesisOf = (params: object) => {
  const keys = validatorKeys(`0x${"11".repeat(32)}`);
  const document = devGenesis({
    genesisTime: 0,
    validators: [genesisValidator(keys, 10_000n * RLC)],
    accounts: [],
    slots: [],
  }) as { params: object };
  return readGenesis({ ...document, params: { ...document.params, ...params } });
};

const SCENARIOS: Record<string, () => Promise<void> | void> = {
  honest: async () => {
    for (const [count, nodes] of [
      [4, 4],
      [32, 8],
      [128, 8],
    ] as const)
      await simulate(`honest, ${count} validators on ${nodes} nodes`, { ...BASE, validators: count, nodes });
  },
  // What votes and blocks took of a node's processors, verified together and with their gossip: test/bench/votes.ts.
  costs: async () => {
    for (const [count, vote, block] of [
      [128, (42 + 33) / 64, 40],
      [1_024, (179 + 291) / 512, 75],
    ] as const)
      await simulate(`honest, ${count} validators on 16 nodes, each vote ${vote.toFixed(2)} ms`, {
        ...BASE,
        validators: count,
        nodes: 16,
        costMs: { vote, block },
        params: { slotSeconds: TESTNET_PARAMS.slotSeconds },
      });
  },
  partition: () => simulate("two halves apart for a quarter", { ...BASE, partition: [slots / 4, slots / 2] }),
  offline: async () => {
    for (const offlineShare of [0.2, 0.4, 0.5])
      await simulate(`${percent(offlineShare)} offline for ever`, { ...BASE, offlineShare });
  },
  silence: sweep(() => attacks.silence),
  late: sweep(() => attacks.lateBlocks),
  withheld: sweep(() => attacks.withheldCertificates),
  equivocation: sweep(() => attacks.equivocation),
  balancing: sweep(() => attacks.balancing),
  censorship: sweep(() => attacks.censorship),
  fork: sweep(() => attacks.privateFork(3, 12)),
  longrange: sweep(() => attacks.longRange(Math.floor(slots / 2))),
  randao: () => {
    const random = randomFrom(seed);
    for (const power of [0.1, 0.2, 1 / 3, 0.45]) {
      const got = randaoBias(power, TESTNET_PARAMS.slotsPerEpoch, 20_000, random);
      console.log(
        `last reveals withheld at ${percent(power)}: ${percent(got)} of slots, ${percent(got / power - 1)} more`,
      );
    }
  },
  rented: () => {
    const { params } = genesisOf(TESTNET_PARAMS);
    for (const bond of [0.01, 0.05, 0.1])
      for (const multiple of [1, 10, 1_000])
        console.log(
          `${percent(bond)} of bonds, ${multiple} times the others' hashes for an era: ${percent(rentedHash(params, bond, multiple))} of power`,
        );
  },
  selfdealing: () => {
    const { params } = genesisOf(TESTNET_PARAMS);
    const honest = 10n * RLC;
    for (const wanted of [0.1, 1 / 3, 0.5])
      for (const times of [1n, 3n, 100n]) {
        const cost = selfDealing(params, wanted, times * honest, honest);
        const days = cost && (cost.eras * 512) / 86_400;
        console.log(
          `${percent(wanted)} of contribution by burning ${times} times what all others burn: ${
            cost ? `${days?.toFixed(1)} days, ${cost.burnedRlc} RLC burned` : "never"
          }`,
        );
      }
  },
};

const recovery = (): void => {
  const profiles = (values.profiles ?? "2/8,4/4").split(",").map((each) => {
    const [slotsPerEpoch, epochsPerEra] = each.split("/").map(Number);
    return [slotsPerEpoch!, epochsPerEra!] as const;
  });
  const out = values.out ?? join(mkdtempSync(join(tmpdir(), "recovery-")), "lines.jsonl");
  const shares = values.shares?.split(",").map(Number) ?? ATTACKERS;
  console.log(`lines go to ${out}`);
  recoveryTable({
    seeds: Number(values.seeds ?? 20),
    out,
    profiles,
    shares,
  });
};

for (const name of positionals.length > 0 ? positionals : Object.keys(SCENARIOS)) {
  if (name === "recovery") {
    recovery();
    continue;
  }
  const run = SCENARIOS[name];
  if (!run) throw new Error(`no scenario ${name}: ${Object.keys(SCENARIOS).join(", ")}`);
  await run();
}
