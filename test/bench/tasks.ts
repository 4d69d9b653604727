/**
 * Measures tasks a second through the whole life of a job on a network of real processes, from the draw of their seats to their
 * pay: node test/bench/tasks.ts [seconds] [slots of each worker]. Tiny tasks, 4 workers, trust 4, in lots of one and in full lots.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { deployApp, submitJob } from "../../node/jobs.ts";
import { hubFunction, marketFunction, view, viewJob } from "../../node/market-client.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";
import { transact } from "../../node/wallet.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { HUB, MARKET } from "../../vm/addresses.ts";
import { CAP_GAS_PER_SECOND } from "../../vm/market/clock.ts";
import { build } from "../helpers/wasm-builder.ts";

const SECONDS = Number(process.argv[2] ?? 60);
const SLOTS = Number(process.argv[3] ?? 100);
/** Until the first lots have gone all the way. */
const WARM_SECONDS = 15;
const TRUST = 4;
const LOT_TASKS = 256;
/** The shortest whose lots may have so many tasks. */
const CATEGORY = 1;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const datadir = mkdtempSync(join(tmpdir(), "rolec-bench-tasks-"));
const ports = { rpcPort: 24_545, p2pPort: 24_745 };
const testnet = await startTestnet({
  datadir,
  validators: 4,
  workers: 4,
  slotsPerWorker: SLOTS,
  accounts: 2,
  ...ports,
});
try {
  await untilAgreed(testnet);
  const { client, accounts, members } = testnet;
  const [owner, buyer] = accounts.map(({ privateKey }) => privateKey);
  const { app } = await deployApp(client, members[0]!.rpcUrl, owner!, build({ functions: [{ code: [] }] }), "empty");
  const [category] = await view(client, HUB, hubFunction("viewCategory"), BigInt(CATEGORY));
  const cap = Number((category as readonly AbiValue[])[2]) * CAP_GAS_PER_SECOND;
  console.log(`4 validators, 4 workers of ${SLOTS} slots, trust ${TRUST}; load ${loadavg()[0]!.toFixed(1)}`);
  for (const [name, lotTasks, lots] of [
    ["lots of one", 1, 40 * (SECONDS + WARM_SECONDS)],
    ["lots of 256", LOT_TASKS, 20 * (SECONDS + WARM_SECONDS)],
  ] as const) {
    const gasLimit = Math.floor(cap / lotTasks);
    const request = { app, params: "{}", tasks: lotTasks * lots, gasLimit, trust: TRUST, category: CATEGORY };
    const { dealid } = await submitJob(client, buyer!, request);
    await sleep(WARM_SECONDS * 1_000);
    const before = await viewJob(client, dealid);
    const start = performance.now();
    await sleep(SECONDS * 1_000);
    const after = await viewJob(client, dealid);
    const seconds = (performance.now() - start) / 1_000;
    const rate = (lots: number): string => ((lots * lotTasks) / seconds).toFixed(1);
    const done = after.completed - before.completed;
    console.log(
      `${name.padEnd(12)} ${rate(done)} tasks a second, ${done} lots, ${after.failed} failed; load ${loadavg()[0]!.toFixed(1)}`,
    );
    await transact(client, buyer!, { to: MARKET, data: marketFunction("cancel").encode(dealid) });
    for (let i = 0; i < 60; i++) {
      const { completed, failed } = await viewJob(client, dealid);
      await sleep(1_000);
      const next = await viewJob(client, dealid);
      if (next.completed + next.failed === completed + failed && i > 8) break;
    }
  }
} finally {
  await testnet.stop();
  rmSync(datadir, { recursive: true, force: true });
}
