/**
 * Tries to earn pay or weight without useful work, in every way that is known, on the real rules of market and issuance:
 *   node test/bench/security/freeloader.ts [--lots 200] [--share 0.1] [--seeds 3] [--earns 0.88]
 * Prints for each what it spent, earned, and whether it lost. RLC; the testnet's prices.
 */
import { parseArgs } from "node:util";
import { freeload, receiptsOfJobs, selfish, WAYS } from "./freeloading.ts";

const text = { type: "string" } as const;
const { values } = parseArgs({ options: { lots: text, share: text, seeds: text, earns: text } });
const lots = Number(values.lots ?? 200);
const share = Number(values.share ?? 0.1);
const seeds = Number(values.seeds ?? 3);
const earns = Number(values.earns ?? 0.88);

const verdict = (net: number): string => (net < 0 ? "lost" : net > 0 ? "WON" : "earned nothing");

const receipts = await receiptsOfJobs();
console.log(`${lots} lots, ${seeds} seeds, ${100 * share} % of the slots; an RLC of credit earns ${earns} RLC\n`);
console.log("| way | spent on jobs | pay less fines | credit | its issuance | net | gas beside |");
console.log("| --- | --- | --- | --- | --- | --- | --- |");
for (const [name, way] of Object.entries(WAYS)) {
  const sums = { spent: 0, paid: 0, credit: 0, issued: 0, net: 0, gas: 0 };
  for (let seed = 0; seed < seeds; seed++) {
    const balance = freeload(way, receipts, { lots, share, seed: `freeloader ${seed}`, earns });
    for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += balance[key];
  }
  const { spent, paid, credit, issued, net, gas } = sums;
  const cells = [spent, paid, credit, issued].map((each) => each.toFixed(6));
  console.log(`| ${[name, ...cells, `${net.toFixed(6)} ${verdict(net)}`, gas.toFixed(3)].join(" | ")} |`);
}
const gained = selfish(share);
console.log(
  `| own certificates and work shares alone, an epoch | 0 | | | | ${gained.toFixed(6)} ${verdict(gained)} | |`,
);
