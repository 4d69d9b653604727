import { failData } from "./rules.ts";

/** Names a worker as the holder of what the tasks of a lot, or one task, wrote. */
export const outputHolder = (id: string): string => `worker:${id}`;
const isOutput = (holder: string): boolean => holder.startsWith(outputHolder(""));

/** Who holds what tasks wrote, and what that costs; a tree that several hold counts once. */
export interface OutputShare {
  /** Counts a tree of a holder. Throws RuleError "data-limit" where it is strict and the share has no room for it. */
  add(holder: string, root: string, bytes: number, isStrict?: boolean): void;
  remove(holder: string, root: string, bytes: number): void;
  /** Roots that a holder of outputs holds. */
  of(holder: string): readonly string[];
  bytes(): number;
  left(): number;
}

/** Makes the share of `most` bytes, beside which other holders have what is left of a store. */
export const createOutputShare = (most: number): OutputShare => {
  const byHolder = new Map<string, Set<string>>();
  const holdersOf = new Map<string, number>();
  let held = 0;
  return {
    add: (holder, root, bytes, isStrict = false) => {
      if (!isOutput(holder) || byHolder.get(holder)?.has(root)) return;
      const others = holdersOf.get(root) ?? 0;
      if (isStrict && others === 0 && held + bytes > most)
        failData("data-limit", `${held + bytes} bytes of results kept, at most ${most}`);
      if (others === 0) held += bytes;
      holdersOf.set(root, others + 1);
      const own = byHolder.get(holder) ?? new Set();
      byHolder.set(holder, own.add(root));
    },
    remove: (holder, root, bytes) => {
      const own = byHolder.get(holder);
      if (!own?.delete(root)) return;
      if (own.size === 0) byHolder.delete(holder);
      const others = holdersOf.get(root)! - 1;
      if (others > 0) holdersOf.set(root, others);
      else {
        holdersOf.delete(root);
        held -= bytes;
      }
    },
    of: (holder) => [...(byHolder.get(holder) ?? [])],
    bytes: () => held,
    left: () => most - held,
  };
};
