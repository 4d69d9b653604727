// Times Ethash: the kernel in WebAssembly against plain JavaScript over @noble/hashes, taking turns. Times are the processor's,
// not the clock's: others may use the same cores.
// Usage: node test/bench/ethash.ts [rounds]
import { allocate, openKernel } from "../../consensus/ethash/kernel.ts";
import { type EthashEpoch, ethashEpoch, PAGE_BYTES } from "../../consensus/ethash/sizes.ts";
import type { Hash, Hex } from "../../lib/bytes.ts";
import { referenceCache, referenceHash } from "../helpers/ethash-reference.ts";

const ROUNDS = Number(process.argv[2] ?? 5);
const MIB = 2 ** 20;
const SEAL: Hash = "0x2a8de2adf89af77358250bf908bf04ba94a6e8c3ba87775564a41d269a05e4ce";
const NONCE: Hex = "0x4242424242424242";
const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
/** Milliseconds of processor time. */
const timed = (work: () => void): number => {
  const started = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1000;
};
/** Milliseconds of each, taking turns: medians. */
const race = (rounds: number, ...works: (() => void)[]): number[] => {
  const times: number[][] = works.map(() => []);
  for (let i = 0; i < rounds; i++) for (const [w, work] of works.entries()) times[w]!.push(timed(work));
  return times.map(median);
};
const line = (what: string, ours: number, plain: number): void =>
  console.log(
    `${what}: ${ours.toFixed(2)} ms, plain JavaScript ${plain.toFixed(2)} ms, ratio ${(plain / ours).toFixed(1)}`,
  );
const open = (epoch: EthashEpoch, isFull: boolean) => {
  const kernel = openKernel(allocate(epoch, 1, isFull), 0);
  kernel.makeCache();
  return kernel;
};

const real = ethashEpoch(0, { ethashCacheBytes: 16 * MIB, ethashDatasetBytes: 1024 * MIB });
const small = ethashEpoch(0, { ethashCacheBytes: MIB / 2, ethashDatasetBytes: 32 * MIB });
const realKernel = openKernel(allocate(real, 1, false), 0);
const cacheMs = median(Array.from({ length: ROUNDS }, () => timed(() => realKernel.makeCache())));
console.log(`cache of 16 MiB (epoch 0): ${cacheMs.toFixed(0)} ms`);
const smallKernel = open(small, true);
const [ours, plain] = race(
  ROUNDS,
  () => smallKernel.makeCache(),
  () => referenceCache(small),
);
line("cache of 0.5 MiB", ours!, plain!);
const realCache = referenceCache(real);
const [light, plainLight] = race(
  ROUNDS * 8,
  () => realKernel.hash(SEAL, NONCE),
  () => referenceHash(real, realCache, SEAL, NONCE),
);
line("verification by a cache of 16 MiB", light!, plainLight!);

const pages = small.datasetBytes / PAGE_BYTES;
const fillMs = timed(() => smallKernel.makePages(0, pages));
console.log(
  `dataset: ${((fillMs * 1000) / pages).toFixed(1)} us for 128 bytes, ${(small.datasetBytes / MIB / (fillMs / 1000)).toFixed(1)} MiB a second`,
);
const HASHES = 20_000;
const fullMs = median(Array.from({ length: ROUNDS }, () => timed(() => smallKernel.search(SEAL, 0n, 0n, HASHES))));
const [lightMs] = race(ROUNDS, () => realKernel.search(SEAL, 0n, 0n, 200));
console.log(`search over a dataset of 32 MiB: ${Math.round((HASHES * 1000) / fullMs)} hashes a second and core`);
console.log(`search by the cache of 16 MiB: ${Math.round(200_000 / lightMs!)} hashes a second and core`);
