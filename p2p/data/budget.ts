import { MAX_BLOCK_BYTES, type TreeLimits } from "./limits.ts";
import { failData } from "./rules.ts";

/** A walk may read a file twice, as an archive needs it: its checksum, then its bytes; and a little beside. */
const READINGS = 4;
/** Bytes of blocks beside those of their files. */
const OVERHEAD_BYTES = 8 * MAX_BLOCK_BYTES;

/** What a walk spends: what the tree has, and what is read to find that out. */
type Spending = Exclude<keyof TreeLimits, "depth"> | "reads" | "readBytes";

/** Counts what a walk has found and read; throws RuleError "data-limit" beyond what a tree may have. */
export const createBudget = (limits: TreeLimits) => {
  const most: Readonly<Record<Spending, number>> = {
    ...limits,
    reads: READINGS * limits.blocks,
    readBytes: READINGS * limits.bytes + OVERHEAD_BYTES,
  };
  const used: Record<Spending, number> = { bytes: 0, entries: 0, paths: 0, blocks: 0, reads: 0, readBytes: 0 };
  return {
    used: used as Readonly<Record<Spending, number>>,
    spend: (what: Spending, amount: number): void => {
      used[what] += amount;
      if (used[what] > most[what]) failData("data-limit", `over ${most[what]} ${what}`);
    },
    depth: (depth: number): void => {
      if (depth > limits.depth) failData("data-limit", `over ${limits.depth} levels`);
    },
  };
};
export type TreeBudget = ReturnType<typeof createBudget>;
