/**
 * Measures how long blocks of a network of real processes take to be final, with the testnet's parameters:
 * `node test/bench/finality.ts [validators=16] [seconds=120] [processes=validators]`. Validators are spread over the processes. Time
 * runs from the start of a block's slot until a node's disk has it as final; figures of all nodes together. Stops by itself.
 */

import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { devGenesis } from "../../chain/genesis.ts";
import { TESTNET_PARAMS } from "../../chain/profiles.ts";
import { RLC } from "../../lib/units.ts";
import { devKey, genesisValidator, validatorKeys } from "../../node/folder.ts";
import type { Told } from "./finality-node.ts";

const validators = Number(process.argv[2] ?? 16);
const seconds = Number(process.argv[3] ?? 120);
const processes = Number(process.argv[4] ?? validators);
const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.floor(q * (sorted.length - 1))] ?? Number.NaN;
/** What nodes need from their start until they take part: proofs of possession are checked one by one. */
const startSeconds = 10 + Math.ceil(validators / 4) + 2 * processes;

const folder = mkdtempSync(join(tmpdir(), "rolec-finality-"));
const indices = Array.from({ length: validators }, (_, i) => i);
const document = devGenesis({
  genesisTime: 0,
  validators: indices.map((i) => genesisValidator(validatorKeys(devKey("validator", i)), 10_000n * RLC)),
  accounts: [],
  slots: [],
  params: TESTNET_PARAMS,
});
const genesisTime = Math.ceil(Date.now() / 1000) + startSeconds;
writeFileSync(join(folder, "genesis.json"), JSON.stringify({ ...document, genesisTime }));

const children: ChildProcess[] = [];
const told = <T>(child: ChildProcess): Promise<T> =>
  new Promise((resolve, reject) => {
    child.once("message", (message) => resolve(message as T));
    child.once("exit", (code) => reject(new Error(`a node ended with ${code}; see ${folder}`)));
  });
const launch = async (at: number, bootstrap: readonly string[]): Promise<readonly string[]> => {
  const datadir = join(folder, `node-${at}`);
  mkdirSync(datadir);
  const own = indices.filter((i) => i % processes === at).join(",");
  const child = fork(join(import.meta.dirname, "finality-node.ts"), [datadir, own, ...bootstrap]);
  children.push(child);
  const { addresses } = await told<{ addresses: readonly string[] }>(child);
  return addresses;
};
try {
  const first = await launch(0, []);
  await Promise.all(Array.from({ length: processes - 1 }, (_, i) => launch(i + 1, first)));
  // Nodes that came late have the chain, and the first epochs are over.
  await sleep(Math.max(0, genesisTime * 1000 - Date.now()) + 10_000);
  for (const child of children) child.send("begin");
  await sleep(seconds * 1000);
  const reports = await Promise.all(
    children.map((child) => {
      const report = told<Told>(child);
      child.send("stop");
      return report;
    }),
  );
  const { slotSeconds, slotsPerEpoch } = TESTNET_PARAMS;
  const sorted = reports.flatMap(({ latenciesMs }) => latenciesMs).sort((a, b) => a - b);
  const [median, most, all] = [0.5, 0.95, 1].map((q) => (quantile(sorted, q) / 1000).toFixed(2));
  const { slots, blocks } = reports[0]!;
  const cpu = reports.map(({ cpuMs }) => cpuMs).sort((a, b) => a - b);
  console.log(
    `${validators} validators in ${processes} processes, epochs of ${slotsPerEpoch} slots of ${slotSeconds} s, ${blocks} blocks`,
  );
  console.log(`seconds from a block's slot to its finality: median ${median}, 95 % ${most}, most ${all}`);
  console.log(`slots without a block: ${slots - blocks} of ${slots}`);
  console.log(`processor time of a node: median ${quantile(cpu, 0.5).toFixed(0)} ms a slot`);
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
