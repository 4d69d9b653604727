import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { forgetOldest } from "../lib/lru.ts";
import type { Member } from "../vm/validator-store.ts";

const MAX_BLOCKS = 4_096;
/** Whoever has not been seen beyond the upgrade for so long may have come back. */
const SEEN_EPOCHS = 32;
/** A part of power, from which on it is told. */
const WARN_PART = 10n;

/** Watches who goes on under an upgrade that this program does not know (spec section 14). */
export interface UpgradeWatch {
  /** Takes a block by a validator that counts more upgrades than are known here. */
  onBlock(index: number, hash: Hash, epoch: number, present: number): void;
  /** Takes a vote whose signature is verified. */
  onVote(index: number, targetHash: Hash, epoch: number, present: number): void;
}

/**
 * Makes the watch. It warns once an epoch from a tenth of power on, and calls `onQuorum` where two thirds of it build on or vote
 * for blocks that this node cannot judge: what is final from then on is not seen here.
 */
export const createUpgradeWatch = (options: {
  readonly members: () => readonly Member[];
  readonly log: Log;
  readonly onQuorum: (error: Error) => void;
}): UpgradeWatch => {
  const { members, log, onQuorum } = options;
  const blocks = new Set<Hash>();
  /** The last epoch in which a validator was seen beyond the upgrade. */
  const seen = new Map<number, number>();
  let warned = -1;

  const count = (index: number, epoch: number, present: number): void => {
    // Of an upgrade that was given up long ago anybody may tell again.
    if (epoch <= present - SEEN_EPOCHS) return;
    if ((seen.get(index) ?? -1) >= epoch) return;
    seen.set(index, epoch);
    let [total, part] = [0n, 0n];
    for (const member of members()) {
      total += member.votePower;
      if ((seen.get(member.index) ?? Number.NEGATIVE_INFINITY) > present - SEEN_EPOCHS) part += member.votePower;
    }
    if (total > 0n && 3n * part >= 2n * total)
      onQuorum(
        new Error(
          "an upgrade is in force that this program does not know: validators with two thirds of the power have gone on without this node. Install the version that knows it",
        ),
      );
    else if (WARN_PART * part >= total && epoch > warned) {
      warned = epoch;
      const percent = Number((100n * part) / total);
      log.warn({ percent }, "validators follow an upgrade that this program does not know: a newer version is needed");
    }
  };
  return {
    onBlock: (index, hash, epoch, present) => {
      blocks.add(hash);
      forgetOldest(blocks, MAX_BLOCKS);
      count(index, epoch, present);
    },
    onVote: (index, targetHash, epoch, present) => {
      if (blocks.has(targetHash)) count(index, epoch, present);
    },
  };
};
