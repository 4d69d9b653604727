/** A block runs the same on every node: the simulator runs it once. */
import type { Block, WorkShare } from "../../../chain/block.ts";
import type { Chain } from "../../../consensus/chain.ts";
import { type Base, type Outcome, importBlock as run } from "../../../consensus/transition.ts";
import type { Hash } from "../../../lib/bytes.ts";

export * from "../../../consensus/transition.ts";

const MAX_KEPT = 4_096;
const outcomes = new Map<Hash, { readonly outcome?: Outcome; readonly error?: unknown }>();

export const importBlock = (
  chain: Chain,
  base: Base,
  block: Block,
  isEthash: (share: WorkShare) => boolean,
): Outcome => {
  let known = outcomes.get(block.hash);
  if (!known) {
    try {
      known = { outcome: run(chain, base, block, isEthash) };
    } catch (error) {
      known = { error };
    }
    if (outcomes.size >= MAX_KEPT) outcomes.delete(outcomes.keys().next().value!);
    outcomes.set(block.hash, known);
  }
  if (known.error) throw known.error;
  return known.outcome!;
};
