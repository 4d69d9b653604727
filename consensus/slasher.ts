import type { Evidence } from "../chain/block.ts";
import type { Params } from "../chain/params.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Address } from "../lib/bytes.ts";
import { type Attestation, isSlashable, proposalEvidence, voteEvidence } from "./evidence.ts";

/** How far back offences are looked for: headers in slots, votes in seconds. */
export const WATCHED_SLOTS = 256;
const WATCHED_SECONDS = 1_024;
/** Headers remembered, about a kilobyte each: those of 64 validators that sign every slot watched. */
const MAX_HEADERS = 16_384;

type Times = Pick<Params, "slotSeconds" | "slotsPerEpoch">;
/** Epochs in which votes are watched. */
export const watchedEpochs = ({ slotSeconds, slotsPerEpoch }: Times): number =>
  Math.ceil(WATCHED_SECONDS / (slotSeconds * slotsPerEpoch));

/** Watches what validators sign, and finds what none may sign twice. Holds verified signatures alone. */
export interface Slasher {
  /**
   * Takes a vote, of one or of several together. `evidence` is against those that signed another that excludes it, one piece
   * for each vote before; `isNew` tells whether it holds a vote that was not known. O(indices), and O(epochs watched) for
   * votes that span or are spanned by others.
   */
  vote(attestation: Attestation): { readonly evidence: Evidence[]; readonly isNew: boolean };
  /** Takes a signed header; gives evidence where it is the second of its slot. */
  proposal(slot: number, signer: Address, block: BlockHead): { readonly evidence: Evidence[]; readonly isNew: boolean };
}

const NOTHING = { evidence: [], isNew: false };

/** Makes a slasher that has seen nothing. An honest validator has one vote in an epoch, so that one of each is remembered. */
export const createSlasher = (times: Times): Slasher => {
  const watched = watchedEpochs(times);
  /** The first vote of each validator, by target epoch and index. */
  const votes = new Map<number, Map<number, Attestation>>();
  /** The first header of each validator, by slot. */
  const proposals = new Map<number, Map<Address, BlockHead>>();
  let newestEpoch = 0;
  let newestSlot = 0;
  let headers = 0;

  const dropSlot = (slot: number): void => {
    headers -= proposals.get(slot)?.size ?? 0;
    proposals.delete(slot);
  };

  return {
    vote: (attestation) => {
      const { link, indices } = attestation;
      if (link.targetEpoch + watched <= newestEpoch) return NOTHING;
      if (link.targetEpoch > newestEpoch) {
        newestEpoch = link.targetEpoch;
        for (const epoch of votes.keys()) if (epoch + watched <= newestEpoch) votes.delete(epoch);
      }
      const own = votes.get(link.targetEpoch) ?? new Map<number, Attestation>();
      votes.set(link.targetEpoch, own);
      // Besides this epoch's, only a vote of an epoch within the link, or of a later one, can exclude it.
      const others = [...votes].filter(([epoch]) => epoch !== link.targetEpoch && epoch > link.sourceEpoch + 1);
      const found = new Map<Attestation, Attestation>();
      let isNew = false;
      for (const index of indices) {
        const before = own.get(index);
        if (before && isSlashable(link, before.link)) found.set(before, attestation);
        if (before) continue;
        own.set(index, attestation);
        isNew = true;
        for (const [, each] of others) {
          const other = each.get(index);
          if (other && isSlashable(link, other.link)) found.set(other, attestation);
        }
      }
      return { evidence: [...found].map(([first, second]) => voteEvidence(first, second)), isNew };
    },
    proposal: (slot, signer, { hash, header, signature }) => {
      if (slot + WATCHED_SLOTS <= newestSlot) return NOTHING;
      newestSlot = Math.max(newestSlot, slot);
      const bySigner = proposals.get(slot) ?? new Map<Address, BlockHead>();
      const before = bySigner.get(signer);
      if (before?.hash === hash) return NOTHING;
      if (before) return { evidence: [proposalEvidence(before, { header, signature })], isNew: true };
      proposals.set(slot, bySigner.set(signer, { hash, header, signature }));
      headers += 1;
      for (const old of [...proposals.keys()].sort((a, b) => a - b)) {
        if (headers <= MAX_HEADERS && old + WATCHED_SLOTS > newestSlot) break;
        dropSlot(old);
      }
      return { evidence: [], isNew: true };
    },
  };
};
