import type { Params } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { type Validator, validators } from "../vm/validator-store.ts";
import { hasBit } from "./finality.ts";
import { type Checkpoint, finality, must, withScore } from "./records.ts";
import { reweigh, votersOf } from "./sets.ts";
import { burnBond } from "./slashing.ts";

/** Points an epoch (spec section 6). Both are in proportion: epochs of another length change neither who leaks nor who recovers when. */
const LEAK_BIAS = 4;
const LEAK_RECOVERY = 16;

/** The inactivity score of a member after an epoch in which it voted or not. */
export const nextScore = (score: number, voted: boolean, leaking: boolean): number =>
  Math.max(0, score + (voted ? -1 : leaking ? LEAK_BIAS : 0) - (leaking ? 0 : LEAK_RECOVERY));

/** What a member that did not vote loses of x at a score. */
export const leakOf = (x: bigint, score: number, leakQuotient: bigint): bigint => {
  const loss = (x * BigInt(score)) / leakQuotient;
  return loss < x ? loss : x;
};

/** Lets those who did not vote in an epoch lose vote power, bond and credits (spec section 6, leak). O(members). */
export const leakEpoch = (state: State, params: Params, epoch: number, checkpoint: Checkpoint): void => {
  const { finalizedEpoch } = must(finality.get(state, ONLY), "finality");
  const leaking = epoch - finalizedEpoch > params.leakAfterEpochs;
  const scored = withScore.get(state, ONLY) ?? 0;
  // Without a leak and without a score nobody changes: the usual case, and it costs nothing.
  if (!leaking && scored === 0) return;
  let risen = 0;
  /** Scores of those that lose, by index. */
  const losers = new Map<number, number>();
  for (const [place, index] of votersOf(state, checkpoint).order.entries()) {
    const voted = hasBit(checkpoint.bits, place);
    const validator = must(validators.get(state, index), `validator ${index}`);
    const score = nextScore(validator.inactivityScore, voted, leaking);
    risen += Number(score > 0) - Number(validator.inactivityScore > 0);
    if (voted || score === 0) {
      if (score !== validator.inactivityScore) validators.set(state, { ...validator, inactivityScore: score });
      continue;
    }
    losers.set(index, score);
    lose(state, params.leakQuotient, { ...validator, inactivityScore: score });
  }
  if (risen !== 0) withScore.set(state, ONLY, scored + risen);
  if (losers.size > 0)
    reweigh(
      state,
      ({ index, votePower }) => votePower - leakOf(votePower, losers.get(index) ?? 0, params.leakQuotient),
    );
};

const lose = (state: State, quotient: bigint, validator: Validator): void => {
  const of = (x: bigint) => leakOf(x, validator.inactivityScore, quotient);
  const bond = of(validator.bond);
  validators.set(state, {
    ...validator,
    bond: validator.bond - bond,
    workCredit: validator.workCredit - of(validator.workCredit),
    contributionCredit: validator.contributionCredit - of(validator.contributionCredit),
  });
  burnBond(state, bond);
};
