import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Address } from "../lib/bytes.ts";
import type { RpcClient } from "../rpc/client.ts";
import { SEAT } from "../vm/market/lot.ts";
import { uploadData } from "./data-client.ts";
import { costsOfDeal, deployApp, fetchResults, type LotCost, type Submitted, submitJob } from "./jobs.ts";
import type { LotView } from "./market-client.ts";
import { followJob } from "./progress.ts";
import type { Testnet } from "./testnet.ts";

/** What a validator's power comes from, as `rolec_power` gives it. */
export interface PowerRow {
  readonly validator: Address;
  /** Hashes. */
  readonly work: string;
  /** Wei. */
  readonly contribution: string;
  /** Wei. */
  readonly stake: string;
  readonly power: string;
}

export interface DemoReport {
  readonly app: Address;
  readonly job: Submitted;
  readonly lots: readonly LotView[];
  readonly costs: readonly LotCost[];
  readonly completed: number;
  readonly jobSeconds: number;
  readonly powerBefore: readonly PowerRow[];
  readonly powerAfter: readonly PowerRow[];
  readonly files: readonly string[];
}

const TASKS = 20;
/** What the one-minute category allows: a busy machine still answers in time, and what is not used is given back. */
const GAS_LIMIT = 12_000_000_000;
const TRUST = 4;
const ARGS = "--paths 500000 --seed 42 --horizon 10 --confidence 0.99";
/** Lots done, finality, an era to mint and one to begin: about a minute in the development profile. */
const POWER_TIMEOUT_MS = 120_000;
const FINAL_TIMEOUT_MS = 60_000;

const asset = (name: string): Buffer =>
  readFileSync(fileURLToPath(new URL(`../apps/option-pricing/${name}`, import.meta.url)));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const powerOf = async (client: RpcClient): Promise<PowerRow[]> => (await client.call("rolec_power", [])) as PowerRow[];

const untilFinal = async (client: RpcClient, block: number): Promise<void> => {
  const deadline = Date.now() + FINAL_TIMEOUT_MS;
  while (
    Number(((await client.call("eth_getBlockByNumber", ["finalized", false])) as { number: string }).number) < block
  ) {
    if (Date.now() > deadline) throw new Error(`block ${block} was not final within ${FINAL_TIMEOUT_MS / 1000} s`);
    await sleep(200);
  }
};

interface EraClock {
  readonly genesisTime: number;
  readonly params: { readonly slotSeconds: number; readonly slotsPerEpoch: number; readonly epochsPerEra: number };
}

/** The era of the latest block. */
const eraNow = async (client: RpcClient, { genesisTime, params }: EraClock): Promise<number> => {
  const block = (await client.call("eth_getBlockByNumber", ["latest", false])) as { timestamp: string };
  const eraSeconds = params.slotSeconds * params.slotsPerEpoch * params.epochsPerEra;
  return Math.floor((Number(block.timestamp) - genesisTime) / eraSeconds);
};

/** Waits until a set is active that counts what was earned up to now: chosen at the next era, in force one era later. */
const untilPowerMoves = async (client: RpcClient, before: readonly PowerRow[]): Promise<PowerRow[]> => {
  const clock = (await client.call("rolec_genesis", [])) as EraClock;
  const era = (await eraNow(client, clock)) + 2;
  const known = new Map(before.map((row) => [row.validator, row.power]));
  const deadline = Date.now() + POWER_TIMEOUT_MS;
  for (;;) {
    const rows = await powerOf(client);
    const isCounted = (await eraNow(client, clock)) >= era;
    if (isCounted && rows.some((row) => row.power !== known.get(row.validator))) return rows;
    if (Date.now() > deadline)
      throw new Error(`no set that counts the job was active within ${POWER_TIMEOUT_MS / 1000} s`);
    await sleep(500);
  }
};

/** Sells, computes, verifies and pays a real job on a network: prices an option book in twenty tasks. */
export const runDemo = async (testnet: Testnet, out: string, say: (line: string) => void): Promise<DemoReport> => {
  const { client } = testnet;
  const node = testnet.members[0]!.rpcUrl;
  const [owner, buyer] = testnet.accounts;
  const powerBefore = await powerOf(client);
  const { app } = await deployApp(client, node, owner!.privateKey, asset("option-pricing.wasm"), "option-pricing");
  say(`app option-pricing deployed: ${app}`);
  const book = await uploadData(node, asset("positions.csv"));
  const started = Date.now();
  const job = await submitJob(client, buyer!.privateKey, {
    app,
    params: JSON.stringify({ iexec_args: ARGS, iexec_input_files: [`/ipfs/${book}?filename=positions.csv`] }),
    tasks: TASKS,
    gasLimit: GAS_LIMIT,
    trust: TRUST,
  });
  say(`deal ${job.dealid} submitted: ${TASKS} tasks over the book`);
  const lots = await followJob(client, job.dealid, say);
  const jobSeconds = (Date.now() - started) / 1000;
  const costs = await costsOfDeal(client, job.dealid);
  const completed =
    costs.length === 0
      ? 0
      : lots.filter((lot) => costs.some((cost) => cost.lot === lot.id)).reduce((sum, lot) => sum + lot.count, 0);
  await untilFinal(client, Math.max(0, ...costs.map((cost) => cost.block)));
  say("all final; getting the results …");
  const files = await fetchResults(client, node, job.dealid, out);
  say("waiting for the set of validators that counts the job …");
  const powerAfter = await untilPowerMoves(client, powerBefore);
  return { app, job, lots, costs, completed, jobSeconds, powerBefore, powerAfter, files };
};

/** Who computed how many seats, and for which validator. */
export const seatsByWorker = (
  lots: readonly LotView[],
): { worker: Address; validator: Address; proved: number; other: number }[] => {
  const rows = new Map<Address, { worker: Address; validator: Address; proved: number; other: number }>();
  for (const seat of lots.flatMap((lot) => lot.seats)) {
    const row = rows.get(seat.worker) ?? { worker: seat.worker, validator: seat.validator, proved: 0, other: 0 };
    if (seat.status === SEAT.proved) row.proved += 1;
    else row.other += 1;
    rows.set(seat.worker, row);
  }
  return [...rows.values()];
};
