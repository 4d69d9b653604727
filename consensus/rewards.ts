import type { Params } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Address } from "../lib/bytes.ts";
import { NRLC } from "../lib/units.ts";
import { VALIDATORS } from "../vm/addresses.ts";
import type { Member } from "../vm/validator-store.ts";
import { isJailed, validators } from "../vm/validator-store.ts";
import { hasBit } from "./finality.ts";
import { must, reserve, slashingEpochs } from "./records.ts";
import type { Shares } from "./schedule.ts";

/** Of what a vote or a work share earns, the part of the block that first included it (spec section 9). */
const INCLUDER_PART = 8n;

/** What the rewards of an epoch are computed from. */
export interface Earned {
  /** Parameters and shares of the epoch's era. */
  readonly params: Params;
  readonly shares: Shares;
  /** Wei that are left to issue. */
  readonly reserve: bigint;
  /** nRLC of fees burned in the era before. */
  readonly burnedBefore: bigint;
  /** The set of the epoch's checkpoint. */
  readonly members: readonly Member[];
  /** Who voted, with the beneficiary of the block that first included the vote. */
  readonly votes: readonly { readonly index: number; readonly includer: Address }[];
  readonly workShares: readonly { readonly index: number; readonly difficulty: bigint; readonly includer: Address }[];
}

/** Wei for the address of a validator, or of a block's beneficiary. */
export type Payment = { readonly wei: bigint } & ({ readonly index: number } | { readonly to: Address });

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const sumOf = <T>(items: readonly T[], value: (item: T) => bigint): bigint =>
  items.reduce((sum, item) => sum + value(item), 0n);
const part = (whole: bigint, of: bigint, sum: bigint): bigint => (sum === 0n ? 0n : (whole * of) / sum);

/** Splits what an epoch issues into what its three parts may pay at most, in wei. */
export const budgetOf = ({
  params,
  shares,
  reserve: left,
  burnedBefore,
}: Omit<Earned, "members" | "votes" | "workShares">) => {
  const total = min(params.issuancePerSlotWei * BigInt(params.slotsPerEpoch), left);
  const work = (total * shares.work) >> 16n;
  const most = (total * shares.contribution) >> 16n;
  // Buying one's own jobs must lose money.
  const contribution = min(most, (3n * burnedBefore * NRLC) / (4n * BigInt(params.epochsPerEra)));
  return { work, contribution, stake: total - work - most };
};

/** Computes what an epoch pays to whom (spec section 9); producer and importer both call this alone. */
export const rewardsOf = (earned: Earned): Payment[] => {
  const budget = budgetOf(earned);
  const bonds = sumOf(earned.members, (member) => member.bond);
  const contributions = sumOf(earned.members, (member) => member.contribution);
  const difficulties = sumOf(earned.workShares, (share) => share.difficulty);
  const payments: Payment[] = [];
  const pay = (wei: bigint, index: number, includer: Address): void => {
    if (wei === 0n) return;
    const included = wei / INCLUDER_PART;
    payments.push({ to: includer, wei: included }, { index, wei: wei - included });
  };
  const byIndex = new Map(earned.members.map((member) => [member.index, member]));
  for (const { index, includer } of earned.votes) {
    const member = byIndex.get(index);
    if (!member) continue; // of the set before alone: its vote is owed, not paid
    const wei = part(budget.stake, member.bond, bonds) + part(budget.contribution, member.contribution, contributions);
    pay(wei, index, includer);
  }
  for (const { index, difficulty, includer } of earned.workShares)
    pay(part(budget.work, difficulty, difficulties), index, includer);
  return payments;
};

/** Pays out of the reserve. A jailed validator earns nothing: its part stays in the reserve. */
export const payRewards = (
  state: State,
  params: Params,
  epochNow: number,
  payments: readonly Payment[],
  addresses: ReadonlyMap<number, Address>,
): void => {
  const isAnyJailed = slashingEpochs.get(state, ONLY) !== undefined;
  const addressOf = (index: number): Address | undefined => {
    const known = addresses.get(index);
    if (known && !isAnyJailed) return known;
    const validator = must(validators.get(state, index), `validator ${index}`);
    return isJailed(validator, epochNow, params.evidenceEpochs) ? undefined : validator.address;
  };
  const sums = new Map<Address, bigint>();
  for (const payment of payments) {
    const to = "to" in payment ? payment.to : addressOf(payment.index);
    if (to) sums.set(to, (sums.get(to) ?? 0n) + payment.wei);
  }
  for (const [to, wei] of sums) state.credit(to, wei);
  const paid = sumOf([...sums.values()], (wei) => wei);
  if (paid === 0n) return;
  state.debit(VALIDATORS, paid);
  reserve.set(state, ONLY, must(reserve.get(state, ONLY), "the reserve") - paid);
};

/** Pairs each voter with the block that first included its vote. */
export const votesOf = (
  order: readonly number[],
  inclusions: readonly { readonly includer: Address; readonly bits: Uint8Array }[],
): { index: number; includer: Address }[] =>
  inclusions.flatMap(({ includer, bits }) =>
    order.filter((_, place) => hasBit(bits, place)).map((index) => ({ index, includer })),
  );
