import type { Hash } from "../../lib/bytes.ts";
import { weightOf } from "../../vm/market/scheduled/consensus.ts";
import { MAX_CONTRIBUTORS } from "../../vm/market/scheduled/task.ts";

/** A result that was contributed, with the score of who did. */
export interface Word {
  readonly resultHash: Hash;
  readonly score: bigint;
}

/**
 * Tells whether a task has workers enough: whether its leading result has the trust that the deal asks for, should those who are
 * still asked (`pending`, their scores) all agree with it. PoCo's rule (spec section 10.4, 3): a group weighs the product of its
 * workers' weights, and is agreed once group * trust > total * (trust - 1), the total being 1 and all groups.
 */
export const isEnough = (trust: bigint, words: readonly Word[], pending: readonly bigint[]): boolean => {
  const groups = new Map<Hash, bigint>();
  for (const { resultHash, score } of words) groups.set(resultHash, (groups.get(resultHash) ?? 1n) * weightOf(score));
  const weights = [...groups.values()];
  const leading = weights.reduce((most, weight) => (weight > most ? weight : most), 0n);
  const others = weights.reduce((sum, weight) => sum + weight, 0n) - leading;
  if (leading === 0n && pending.length === 0) return false;
  const group = pending.reduce((product, score) => product * weightOf(score), leading > 1n ? leading : 1n);
  return group * trust > (1n + others + group) * (trust - 1n);
};

/** Counts the workers without a history whose agreement has the trust that a deal asks for. */
export const workersFor = (trust: bigint): number => {
  const pending: bigint[] = [];
  while (!isEnough(trust, [], pending) && pending.length < MAX_CONTRIBUTORS) pending.push(0n);
  return pending.length;
};
