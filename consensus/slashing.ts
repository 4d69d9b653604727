import type { Params } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Address } from "../lib/bytes.ts";
import { VALIDATORS } from "../vm/addresses.ts";
import { validators } from "../vm/validator-store.ts";
import { bondsBurned, must, slashingEpochs, slashings } from "./records.ts";
import { powerQ32, reweigh } from "./sets.ts";

/** Parts of spec section 6: what is taken at once, and what the reporter gets of anything taken. */
const SLASHED_AT_ONCE = 32n;
const REPORTER_PART = 64n;
const ONE_Q32 = 1n << 32n;
const CORRELATION = 3n;

/** Burns wei of a bond that a validator's record has already lost. */
export const burnBond = (state: State, wei: bigint): void => {
  if (wei === 0n) return;
  state.debit(VALIDATORS, wei);
  bondsBurned.set(state, ONLY, (bondsBurned.get(state, ONLY) ?? 0n) + wei);
};

/** Takes wei of a bond: a part for who reported the offence, the rest is burned. */
const take = (state: State, index: number, wei: bigint, reporter: Address): void => {
  const validator = must(validators.get(state, index), `validator ${index}`);
  validators.set(state, { ...validator, bond: validator.bond - wei });
  const reward = wei / REPORTER_PART;
  state.debit(VALIDATORS, reward);
  state.credit(reporter, reward);
  burnBond(state, wei - reward);
};

/** Slashes a validator: takes bond/32, halves its credits, jails it; the rest follows at later boundaries. */
export const slash = (state: State, epoch: number, index: number, reporter: Address): void => {
  const validator = must(validators.get(state, index), `validator ${index}`);
  const entry = { index, powerQ32: powerQ32(state, index), reporter };
  validators.set(state, {
    ...validator,
    workCredit: validator.workCredit / 2n,
    contributionCredit: validator.contributionCredit / 2n,
    pendingContribution: validator.pendingContribution / 2n,
    slashedEpoch: epoch,
  });
  take(state, index, validator.bond / SLASHED_AT_ONCE, reporter);
  const known = slashings.get(state, epoch);
  slashings.set(state, epoch, { penalized: false, entries: [...(known?.entries ?? []), entry] });
  if (!known) slashingEpochs.set(state, ONLY, [...(slashingEpochs.get(state, ONLY) ?? []), epoch]);
};

/** Takes the votes of those slashed in the epoch that ends at a boundary. */
export const silenceSlashed = (state: State, boundary: number): void => {
  const slashed = new Set(slashings.get(state, boundary - 1)?.entries.map((entry) => entry.index));
  if (slashed.size > 0) reweigh(state, ({ index, votePower }) => (slashed.has(index) ? 0n : votePower));
};

/**
 * Takes what is due half of `evidenceEpochs` after a slashing: the more power was slashed within that time before and after it,
 * the more; all from a third on. Forgets slashings that no other can be measured with any more.
 */
export const penalizeSlashed = (state: State, params: Params, boundary: number): void => {
  const epochs = slashingEpochs.get(state, ONLY);
  if (!epochs) return;
  const half = Math.floor(params.evidenceEpochs / 2);
  for (const epoch of epochs) {
    const { penalized, entries } = must(slashings.get(state, epoch), `slashings ${epoch}`);
    if (penalized || epoch + half > boundary) continue;
    const near = epochs.filter((other) => other >= epoch - half && other < epoch + half);
    // Who was slashed again within that time counts once.
    const shares = new Map(
      near
        .flatMap((other) => must(slashings.get(state, other), `slashings ${other}`).entries)
        .map(({ index, powerQ32: share }) => [index, share]),
    );
    const slashed = [...shares.values()].reduce((sum, share) => sum + share, 0n);
    const factor = CORRELATION * slashed < ONE_Q32 ? CORRELATION * slashed : ONE_Q32;
    for (const { index, reporter } of entries) {
      const { bond } = must(validators.get(state, index), `validator ${index}`);
      take(state, index, (bond * factor) >> 32n, reporter);
    }
    slashings.set(state, epoch, { penalized: true, entries });
  }
  // One that is penalized at `epoch + half` looks back to `epoch - half`; and until then they are jailed.
  const kept = epochs.filter((epoch) => epoch + params.evidenceEpochs >= boundary);
  if (kept.length === epochs.length) return;
  for (const epoch of epochs) if (!kept.includes(epoch)) slashings.set(state, epoch, undefined);
  slashingEpochs.set(state, ONLY, kept.length === 0 ? undefined : kept);
};
