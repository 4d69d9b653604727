/** Attacks that need no network: what power costs, computed with the chain's own functions. */

import type { Params } from "../../../chain/params.ts";
import { type Earner, fadeAndMint, mixPower } from "../../../consensus/power.ts";
import { drawProposer, epochSeed } from "../../../consensus/proposer.ts";
import { uint64 } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { RLC } from "../../../lib/units.ts";

const share = (part: bigint, whole: bigint): number => Number((part * 1_000_000n) / whole) / 1_000_000;

/** The power share of one with `bondShare` of all bonds who rents `multiple` times the others' hashes for an era. */
export const rentedHash = (params: Params, bondShare: number, multiple: number): number => {
  const bonds = 1_000_000n * RLC;
  const mine = (bonds * BigInt(Math.round(bondShare * 1_000))) / 1_000n;
  const honest = 10n ** 14n;
  const base = { pendingContribution: 0n };
  const others: Earner = { ...base, index: 0, bond: bonds - mine, workCredit: honest, contributionCredit: 10n ** 21n };
  const rented = (honest * BigInt(Math.round(multiple * 1_000))) / 1_000n;
  const attacker: Earner = { ...base, index: 1, bond: mine, workCredit: rented, contributionCredit: 0n };
  const mixed = mixPower(params, [others, attacker], 0);
  const total = mixed.reduce((sum, each) => sum + each.power, 0n);
  return share(mixed[1]!.power, total);
};

/**
 * Eras and RLC that somebody burns for a share of contribution credit against others who burn `honestPerEra` each era, all of it
 * jobs of its own. Undefined where the mint's bound keeps it from that share within 100,000 eras.
 */
export const selfDealing = (
  params: Params,
  wanted: number,
  perEra: bigint,
  honestPerEra: bigint,
): { eras: number; burnedRlc: number } | undefined => {
  let earners: Earner[] = [0, 1].map((index) => ({
    index,
    bond: 0n,
    workCredit: 0n,
    contributionCredit: 0n,
    pendingContribution: 0n,
  }));
  const era = (mine: bigint): void => {
    earners = fadeAndMint(
      params,
      earners.map((each) => ({ ...each, pendingContribution: each.index === 0 ? honestPerEra : mine })),
      1,
    );
  };
  // Until the others' credit has come to rest.
  for (let i = 0; i < 20_000; i++) era(0n);
  for (let eras = 1; eras <= 100_000; eras++) {
    era(perEra);
    const [honest, attacker] = earners.map((each) => each.contributionCredit) as [bigint, bigint];
    if (share(attacker, honest + attacker) >= wanted) return { eras, burnedRlc: Number((perEra * BigInt(eras)) / RLC) };
  }
  return undefined;
};

/** Slots in a row that an attacker is tried with, and the blocks that a choice of seed leaves out of them. */
const MAX_TAIL = 8;
const leftOut = (choice: number): number => choice.toString(2).replaceAll("0", "").length;

/**
 * What the last proposers of the epoch that seeds another one gain by leaving their block out: the mean share of slots of one
 * with `power`, who picks the best of the seeds that its run of last slots lets it choose from.
 */
export const randaoBias = (power: number, slotsPerEpoch: number, rounds: number, random: () => number): number => {
  const unit = 1_000_000n;
  const mine = BigInt(Math.round(power * 1_000_000));
  const members = [mine, unit - mine].map((each, index) => ({
    index,
    power: each,
    votePower: each,
    bond: 0n,
    contribution: 0n,
  }));
  let slots = 0;
  for (let round = 0; round < rounds; round++) {
    let tail = 0;
    while (tail < MAX_TAIL && random() < power) tail += 1;
    let best = 0;
    for (let choice = 0; choice < 2 ** tail; choice++) {
      const seed = epochSeed(round, keccak256(uint64(Math.floor(random() * 2 ** 48)), uint64(choice)));
      let got = 0;
      for (let slot = 0; slot < slotsPerEpoch; slot++)
        if (drawProposer(seed, round * slotsPerEpoch + slot, members).index === 0) got += 1;
      best = Math.max(best, got - leftOut(choice));
    }
    slots += best;
  }
  return slots / (rounds * slotsPerEpoch);
};
