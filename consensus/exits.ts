import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { active, validators } from "../vm/validator-store.ts";
import { candidate, must } from "./records.ts";
import { activeSets } from "./sets.ts";

/**
 * Begins the unbonding of those that asked to leave, once the confirmed set is without them and the next one is too
 * (spec section 6, exit).
 */
export const beginUnbonding = (state: State, boundary: number): void => {
  const exiting = validators.exiting(state);
  if (exiting.length === 0 || must(active.get(state, ONLY), "the active set").setBefore !== 0) return;
  const next = candidate.get(state, ONLY)?.members ?? [];
  const bound = new Set([...activeSets(state).members, ...next].map((member) => member.index));
  const leaving = exiting.filter((index) => !bound.has(index));
  if (leaving.length === 0) return;
  for (const index of leaving)
    validators.set(state, { ...must(validators.get(state, index), `validator ${index}`), unbondingEpoch: boundary });
  validators.setExiting(
    state,
    exiting.filter((index) => bound.has(index)),
  );
};
