import type { Evidence } from "../chain/block.ts";
import type { State } from "../chain/state.ts";
import { encodeRlp } from "../lib/rlp.ts";
import { validators } from "../vm/validator-store.ts";
import { isGuilty, type Offence } from "./evidence.ts";
import { failConsensus } from "./rules.ts";

/** Pieces and bytes kept: one for each validator of the largest sets, most of them of one vote against one. */
const MAX_KEPT = 4_096;
const MAX_BYTES = 16 * 1024 * 1024;

interface Kept extends Offence {
  readonly evidence: Evidence;
  readonly bytes: number;
  /** What it stands for, see keysOf. */
  readonly keys: readonly string[];
}

/**
 * Evidence that waits until what it proves is final, by offence: one piece for each validator and slashing that it is to bring,
 * however many copies and subsets others make of it.
 */
export interface EvidencePool {
  /**
   * Tells whether an offence slashes anybody on a state whom nothing kept accuses of as late an epoch: what is nearly too old for
   * a block keeps nothing out.
   */
  isFresh(state: State, offence: Offence): boolean;
  /** Keeps evidence. Throws RuleError where there is no room. */
  add(state: State, evidence: Evidence, offence: Offence): void;
  all(): readonly Evidence[];
  /** Lists what slashes somebody on a state, oldest first. O(kept). */
  useful(state: State): Iterable<Evidence>;
  /** Forgets what slashes nobody on a state, or is of an epoch before one, and gives it. */
  drop(state: State, oldestEpoch: number): readonly Evidence[];
}

/** A validator, and how often it was slashed before: one slashing stands for all that it did until then. */
const keysOf = (state: State, { indices }: Offence): string[] =>
  indices.map((index) => `${index} ${validators.get(state, index)?.slashedEpoch ?? "-"}`);

/** Makes an empty pool of evidence. */
export const createEvidencePool = (): EvidencePool => {
  const kept = new Set<Kept>();
  /** The piece of the latest offence for each key. */
  const best = new Map<string, Kept>();
  let total = 0;
  const forget = (piece: Kept): void => {
    kept.delete(piece);
    total -= piece.bytes;
    for (const key of piece.keys) if (best.get(key) === piece) best.delete(key);
  };
  const isUseful = (state: State, { indices, epoch }: Offence): boolean =>
    indices.some((index) => isGuilty(state, index, epoch));
  const isLater = (key: string, epoch: number): boolean => epoch > (best.get(key)?.epoch ?? Number.NEGATIVE_INFINITY);
  return {
    isFresh: (state, offence) => keysOf(state, offence).some((key) => isLater(key, offence.epoch)),
    add: (state, evidence, { indices, epoch }) => {
      const bytes = encodeRlp(evidence).length;
      if (kept.size >= MAX_KEPT || total + bytes > MAX_BYTES)
        failConsensus("evidence-full", { kept: kept.size, total });
      const keys = keysOf(state, { indices, epoch });
      const piece = { evidence, indices, epoch, bytes, keys };
      kept.add(piece);
      total += bytes;
      for (const key of keys) {
        const before = best.get(key);
        if (!isLater(key, epoch)) continue;
        best.set(key, piece);
        if (before?.keys.every((each) => best.get(each) !== before)) forget(before);
      }
    },
    all: () => [...kept].map(({ evidence }) => evidence),
    useful: function* (state) {
      for (const each of kept) if (isUseful(state, each)) yield each.evidence;
    },
    drop: (state, oldestEpoch) => {
      const gone = [...kept].filter((each) => each.epoch < oldestEpoch || !isUseful(state, each));
      for (const each of gone) forget(each);
      return gone.map(({ evidence }) => evidence);
    },
  };
};
