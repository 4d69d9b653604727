/**
 * Measures how long blocks of a network of real processes take to be final:
 * `node test/bench/finality.ts [validators=16] [seconds=120]`. Time runs from the start of a block's slot until a node's RPC
 * says that the block is final. Stops by itself.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readGenesis } from "../../chain/genesis.ts";
import { readJson } from "../../node/folder.ts";
import { startTestnet, untilAgreed } from "../../node/testnet.ts";

const validators = Number(process.argv[2] ?? 16);
const seconds = Number(process.argv[3] ?? 120);
const quantile = (sorted: readonly number[], q: number): number => sorted[Math.floor(q * (sorted.length - 1))]!;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const datadir = mkdtempSync(join(tmpdir(), "rolec-finality-"));
const testnet = await startTestnet({
  datadir,
  validators,
  workers: 0,
  slotsPerWorker: 0,
  accounts: 0,
  rpcPort: 26_545,
  p2pPort: 26_745,
});
try {
  await untilAgreed(testnet);
  const genesis = readGenesis(readJson(join(datadir, "validator-1", "genesis.json")));
  const { slotSeconds, slotsPerEpoch } = genesis.params;
  interface Tip {
    readonly number: string;
    readonly timestamp: string;
  }
  const tip = async (tag: string): Promise<{ number: number; timestamp: number }> => {
    const { number, timestamp } = (await testnet.client.call("eth_getBlockByNumber", [tag, false])) as Tip;
    return { number: Number(number), timestamp: Number(timestamp) };
  };
  const first = await tip("latest");
  const waiting = new Map<number, number>();
  const epochs: number[] = [];
  let seen = first.number;
  const ends = Date.now() + seconds * 1000;
  while (Date.now() < ends) {
    const latest = await tip("latest");
    for (; seen < latest.number; seen++)
      waiting.set(seen + 1, (await tip(`0x${(seen + 1).toString(16)}`)).timestamp * 1000);
    const final = await tip("finalized");
    for (const [number, born] of waiting) {
      if (number > final.number) continue;
      epochs.push((Date.now() - born) / 1000 / (slotSeconds * slotsPerEpoch));
      waiting.delete(number);
    }
    await sleep(100);
  }
  const last = await tip("latest");
  const sorted = epochs.sort((a, b) => a - b);
  const slots = (last.timestamp - first.timestamp) / slotSeconds;
  console.log(
    `${validators} validators as processes, epochs of ${slotsPerEpoch} slots of ${slotSeconds} s, ${epochs.length} blocks`,
  );
  console.log(
    `epochs from a block's slot to its finality: median ${quantile(sorted, 0.5).toFixed(2)}, 95 % ${quantile(sorted, 0.95).toFixed(2)}, most ${quantile(sorted, 1).toFixed(2)}`,
  );
  console.log(`slots without a block: ${slots - (last.number - first.number)} of ${slots}`);
} finally {
  await testnet.stop();
  rmSync(datadir, { recursive: true, force: true });
}
