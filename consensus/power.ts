import type { Params } from "../chain/params.ts";
import type { Member } from "../vm/validator-store.ts";
import { sharesAt } from "./schedule.ts";

/** What power is computed from. Work in hashes, the others in wei. */
export interface Earner {
  readonly index: number;
  readonly bond: bigint;
  readonly workCredit: bigint;
  readonly contributionCredit: bigint;
  readonly pendingContribution: bigint;
}

const ONE = 10n ** 9n;
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const sumOf = <T>(items: readonly T[], value: (item: T) => bigint): bigint =>
  items.reduce((sum, item) => sum + value(item), 0n);

/** Computes decay^n in Q64: square and multiply, low bit first, each product floored (spec section 2). */
export const decayPower = (decayQ64: bigint, n: number): bigint => {
  let result = 1n << 64n;
  let square = decayQ64;
  for (let left = n; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = (result * square) >> 64n;
    square = (square * square) >> 64n;
  }
  return result;
};

/** Fades credits over `eras` and mints what is pending, at most M in all (spec section 3, step 1). */
export const fadeAndMint = <T extends Earner>(params: Params, earners: readonly T[], eras: number): T[] => {
  const work = decayPower(params.workDecayQ64, eras);
  const contribution = decayPower(params.contributionDecayQ64, eras);
  const faded = earners.map((each) => ({
    ...each,
    workCredit: (each.workCredit * work) >> 64n,
    contributionCredit: (each.contributionCredit * contribution) >> 64n,
  }));
  const most = sumOf(faded, (each) => each.contributionCredit) / params.mintDivisor + params.mintFloorWei;
  const pending = sumOf(faded, (each) => each.pendingContribution);
  return faded.map((each) => {
    const minted = pending > most ? (each.pendingContribution * most) / pending : each.pendingContribution;
    return { ...each, contributionCredit: each.contributionCredit + minted, pendingContribution: 0n };
  });
};

/** What each resource gives a validator, before and after the cap; parts of 10^9. */
export interface Mix {
  readonly index: number;
  readonly work: bigint;
  readonly contribution: bigint;
  readonly stake: bigint;
  readonly power: bigint;
}

/** Mixes the resources of the eligible with the shares of an era, and caps by bond (spec section 3, step 2). O(n). */
export const mixPower = (params: Params, eligible: readonly Earner[], era: number): Mix[] => {
  const share = sharesAt(params.schedule, era);
  const work = sumOf(eligible, (each) => each.workCredit);
  const contribution = sumOf(eligible, (each) => each.contributionCredit);
  const bonds = sumOf(eligible, (each) => each.bond);
  if (bonds === 0n) return [];
  const workBase = max(work, params.workFloorHashes);
  const contributionBase = max(contribution, params.contributionFloorWei);
  const stakeShare = 65_536n - (share.work * work) / workBase - (share.contribution * contribution) / contributionBase;
  return eligible.map((each) => {
    const workPart = share.work * ((each.workCredit * ONE) / workBase);
    const contributionPart = share.contribution * ((each.contributionCredit * ONE) / contributionBase);
    const stakePart = stakeShare * ((each.bond * ONE) / bonds);
    const cap = (params.leverage * each.bond * ONE) / min(bonds, params.leverageBondCeilingWei);
    return {
      index: each.index,
      work: workPart >> 16n,
      contribution: contributionPart >> 16n,
      stake: stakePart >> 16n,
      power: min((workPart + contributionPart + stakePart) >> 16n, cap),
    };
  });
};

/** Chooses the most powerful, ties to the lower index, ordered by index. O(n log n). */
export const chooseSet = (params: Params, eligible: readonly Earner[], era: number): Member[] => {
  const earners = new Map(eligible.map((each) => [each.index, each]));
  return mixPower(params, eligible, era)
    .filter((each) => each.power > 0n)
    .sort((a, b) => (a.power === b.power ? a.index - b.index : a.power > b.power ? -1 : 1))
    .slice(0, params.maxValidators)
    .sort((a, b) => a.index - b.index)
    .map(({ index, power }) => {
      const { bond, contributionCredit } = earners.get(index)!;
      return { index, power, votePower: power, bond, contribution: contributionCredit };
    });
};
