/** What bought credit brings: contribution's issuance, and the includer's eighth of all that its power's blocks include. */

import { fadeAndMint, mixPower } from "../../../consensus/power.ts";
import { rewardsOf } from "../../../consensus/rewards.ts";
import { sharesAt } from "../../../consensus/schedule.ts";
import { NRLC, RLC } from "../../../lib/units.ts";
import { genesis } from "./pool.ts";

const { params } = genesis;
const wei = (rlc: number): bigint => BigInt(Math.round(rlc * 1e9)) * NRLC;
const rlc = (amount: bigint): number => Number(amount / NRLC) / 1e9;

/** All other bonds and the dealer's: the less of stake's part is its own, the more credit adds; the cap by bond does not bind. */
const BONDS = [3_900_000n * RLC, 100_000n * RLC];
const DEALER = 1;
/** Eras until a credit has its half. */
const HALF_LIFE = Math.round(Math.LN2 / -Math.log(Number(params.contributionDecayQ64) / 2 ** 64));
/** Eras of dealing, and of what is still earned after it: a 256th of the credit is left then. */
const DEALING = HALF_LIFE;
const AFTER = 8 * HALF_LIFE;
type Earners = Parameters<typeof mixPower>[1];

/** RLC that the dealer's validator gets in an era on average: what it earns, and its blocks' eighth of what all earn. */
const paidIn = (earners: Earners, era: number, burnedBefore: bigint): number => {
  const power = mixPower(params, earners, era);
  const total = power.reduce((sum, each) => sum + each.power, 0n);
  const blocks = Number((power[DEALER]!.power * 1_000_000n) / total) / 1_000_000;
  const includer = "0x00000000000000000000000000000000000000fe" as const;
  const payments = rewardsOf({
    params,
    shares: sharesAt(params.schedule, era),
    reserve: genesis.reserveWei,
    burnedBefore,
    members: earners.map(({ index, bond, contributionCredit }) => ({
      ...{ index, bond, contribution: contributionCredit },
      ...{ power: power[index]!.power, votePower: power[index]!.power },
    })),
    votes: earners.map(({ index }) => ({ index, includer })),
    workShares: [{ index: 0, difficulty: 1n, includer }],
  });
  const sum = (of: (payment: (typeof payments)[number]) => boolean): number =>
    payments.filter(of).reduce((all, payment) => all + rlc(payment.wei), 0);
  const included = sum((payment) => "to" in payment);
  const earned = sum((payment) => "index" in payment && payment.index === DEALER);
  return params.epochsPerEra * (earned + included * blocks);
};
/** RLC that the dealer gets from burning `mine` RLC an era for a half-life, under an era's shares, where all others burn `others`. */
const earnings = (era: number, mine: number, others: number): number => {
  const work = [params.workFloorHashes, 0n];
  let earners: Earners = BONDS.map((bond, index) => ({
    ...{ index, bond, workCredit: work[index]!, contributionCredit: 0n, pendingContribution: 0n },
  }));
  const close = (burned: readonly number[]): void => {
    const pending = earners.map((each, i) => ({ ...each, pendingContribution: wei(burned[i]!) }));
    earners = fadeAndMint(params, pending, 1).map((each, i) => ({ ...each, workCredit: work[i]! }));
  };
  // Until the others' credit has come to rest.
  for (let i = 0; i < AFTER; i++) close([others, 0]);
  let sum = 0;
  for (let i = 0; i < DEALING + AFTER; i++) {
    const burned = [others, i < DEALING ? mine : 0];
    close(burned);
    sum += paidIn(earners, era, wei(burned[0]! + burned[1]!) / NRLC);
  }
  return sum;
};

/** RLC of issuance for each RLC of credit that a dealer buys, beyond what its bond gets without, for each of its rates. */
export const returnsOf = (era: number, others: number, rates: readonly number[]): number[] => {
  const without = earnings(era, 0, others);
  return rates.map((mine) => (earnings(era, mine, others) - without) / (mine * DEALING));
};
