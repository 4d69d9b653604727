import { GWEI, NRLC, RLC } from "../lib/units.ts";
import type { Category } from "./params.ts";

/**
 * Computes floor(2^64 * 2^(-eraSeconds/halfLifeSeconds)) with integers alone: the q-th root of 2^(64q) / 2^p for the
 * reduced fraction p/q, by bisection. Slow for large q, and run once when a document is made.
 */
export const decayQ64 = (eraSeconds: number, halfLifeSeconds: number): bigint => {
  const divisor = gcd(eraSeconds, halfLifeSeconds);
  const p = eraSeconds / divisor;
  const q = halfLifeSeconds / divisor;
  const target = 1n << BigInt(64 * q - p);
  let low = 0n;
  let high = 1n << 64n;
  while (high - low > 1n) {
    const middle = (low + high) >> 1n;
    if (middle ** BigInt(q) <= target) low = middle;
    else high = middle;
  }
  return low;
};

const gcd = (a: number, b: number): number => (b === 0 ? a : gcd(b, a % b));

export const CATEGORIES: readonly Category[] = [
  { name: "10s", description: "ten seconds", workClockTimeRef: 10 },
  { name: "60s", description: "one minute", workClockTimeRef: 60 },
  { name: "XS", description: "five minutes", workClockTimeRef: 300 },
  { name: "S", description: "twenty minutes", workClockTimeRef: 1_200 },
  { name: "M", description: "one hour", workClockTimeRef: 3_600 },
  { name: "L", description: "three hours", workClockTimeRef: 10_800 },
  { name: "XL", description: "ten hours", workClockTimeRef: 36_000 },
];

/** Phase 1 of spec section 1: work and contribution each below a third. */
export const PHASE_1 = { era: 0, work: "21000", contribution: "21845", stake: "22691" };

/** The parameters of the development profile as they stand in a genesis document. */
export const DEV_PARAMS = {
  slotSeconds: 1,
  slotsPerEpoch: 2,
  epochsPerEra: 8,
  schedule: [PHASE_1],
  workDecayQ64: decayQ64(16, 120).toString(),
  contributionDecayQ64: decayQ64(16, 600).toString(),
  mintDivisor: "24",
  mintFloorWei: (RLC / 10n).toString(),
  contributionFloorWei: RLC.toString(),
  workFloorHashes: "3000000",
  leverage: "4",
  leverageBondCeilingWei: (40_000n * RLC).toString(),
  minBondWei: (1_000n * RLC).toString(),
  maxValidators: 1_024,
  leakQuotient: (2n ** 16n).toString(),
  leakAfterEpochs: 8,
  inclusionEpochs: 4,
  membershipEpochs: 4,
  unbondingEpochs: 120,
  evidenceEpochs: 80,
  trustingEpochs: 60,
  issuancePerSlotWei: RLC.toString(),
  burnQ16: "16384",
  slotStakeNrlc: ((10n * RLC) / NRLC).toString(),
  silencePenaltyNrlc: (RLC / 10n / NRLC).toString(),
  gasLimit: 300_000_000,
  initialBaseFeeWei: GWEI.toString(),
  workShareSeconds: 1,
  asertHalfLifeSeconds: 60,
  genesisDifficulty: (2n ** 12n).toString(),
  ethashEpochSlots: 30_000,
  ethashCacheBytes: 64 * 1024,
  ethashDatasetBytes: 4 * 1024 * 1024,
  pricePerGgasNrlc: (RLC / 100n / NRLC).toString(),
  weiPerGas: "2500000",
  maxTrust: "100",
  maxCommittee: 64,
  closesPerBlock: 256,
  drawsPerBlock: 256,
  serveSeconds: 600,
  poolStakeRatioPercent: "100",
  vmVersion: 2,
};

/** The parameters of the testnet profile: phase 1, then over 90 days (15,187 eras) to phase 2, which has a tenth of work. */
export const TESTNET_PARAMS = {
  ...DEV_PARAMS,
  slotSeconds: 2,
  slotsPerEpoch: 2,
  epochsPerEra: 128,
  schedule: [PHASE_1, { era: 15_187, work: "6554", contribution: "29491", stake: "29491" }],
  // decayQ64(512, 86_400) and decayQ64(512, 2_592_000): half-lives of a day and of 30 days, in eras of 512 s.
  workDecayQ64: "18371128758548627046",
  contributionDecayQ64: "18444218556011281372",
  mintDivisor: "3072",
  mintFloorWei: (10n * RLC).toString(),
  // Three times what an includer's eighth brings to all contribution while a credit lasts (docs/adr/0007).
  contributionFloorWei: (30_000n * RLC).toString(),
  // An hour of ten graphics cards at 30 million hashes a second.
  workFloorHashes: "1080000000000",
  leverageBondCeilingWei: (1_000_000n * RLC).toString(),
  leakQuotient: (2n ** 26n).toString(),
  leakAfterEpochs: 16,
  inclusionEpochs: 7,
  membershipEpochs: 8,
  unbondingEpochs: 7_200,
  evidenceEpochs: 5_400,
  trustingEpochs: 4_800,
  issuancePerSlotWei: (RLC / 10n).toString(),
  slotStakeNrlc: ((100n * RLC) / NRLC).toString(),
  silencePenaltyNrlc: (RLC / NRLC).toString(),
  gasLimit: 120_000_000,
  workShareSeconds: 2,
  asertHalfLifeSeconds: 600,
  genesisDifficulty: (2n ** 20n).toString(),
  ethashCacheBytes: 1024 * 1024,
  ethashDatasetBytes: 64 * 1024 * 1024,
  pricePerGgasNrlc: (RLC / 1_000n / NRLC).toString(),
  weiPerGas: "250000",
  maxTrust: "10000",
  serveSeconds: 86_400,
};

export const PROFILES = { dev: DEV_PARAMS, testnet: TESTNET_PARAMS } as const;
