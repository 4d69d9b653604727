import type { Block, Evidence } from "../chain/block.ts";
import type { Params } from "../chain/params.ts";
import type { Address } from "../lib/bytes.ts";
import {
  type Attestation,
  evidenceId,
  isSlashable,
  proposalEvidence,
  type SignedHeader,
  voteEvidence,
} from "./evidence.ts";
import type { Link } from "./finality.ts";

/** How far back offences are looked for, and how much is remembered at most. */
const WATCHED_SECONDS = 1_024;
const WATCHED_SLOTS = 256;
const MAX_LINKS = 2_048;
const MAX_FOUND = 8;
const MAX_KEPT = 64;

/** Watches what validators sign, and finds what none may sign twice. Holds verified signatures alone. */
export interface Slasher {
  /** Takes a vote, of one or of several together; gives evidence against those that signed a conflicting one. */
  vote(attestation: Attestation): Evidence[];
  /** Takes a valid block by its proposer; gives evidence where it is the second of its slot. */
  proposal(slot: number, proposer: Address, block: Pick<Block, "hash" | keyof SignedHeader>): Evidence[];
}

interface Watched {
  readonly link: Link;
  readonly attestations: Attestation[];
  readonly indices: Set<number>;
}

/** Makes a slasher that has seen nothing. */
export const createSlasher = ({
  slotSeconds,
  slotsPerEpoch,
}: Pick<Params, "slotSeconds" | "slotsPerEpoch">): Slasher => {
  const watchedEpochs = Math.ceil(WATCHED_SECONDS / (slotSeconds * slotsPerEpoch));
  const links = new Map<string, Watched>();
  const proposals = new Map<number, Map<Address, { hash: string } & SignedHeader>>();
  let newest = 0;
  const keyOf = (link: Link) => `${link.sourceEpoch} ${link.sourceHash} ${link.targetEpoch} ${link.targetHash}`;

  /** Forgets targets and slots that are too old, then the oldest beyond the bound. */
  const forget = (): void => {
    for (const [key, { link }] of links) {
      if (link.targetEpoch + watchedEpochs >= newest && links.size <= MAX_LINKS) break;
      links.delete(key);
    }
    for (const slot of proposals.keys()) {
      if (proposals.size <= WATCHED_SLOTS) break;
      proposals.delete(slot);
    }
  };

  return {
    vote: (attestation) => {
      const { link, indices } = attestation;
      const key = keyOf(link);
      const watched = links.get(key) ?? { link, attestations: [], indices: new Set() };
      const fresh = new Set(indices.filter((index) => !watched.indices.has(index)));
      if (fresh.size === 0) return [];
      links.set(key, watched);
      watched.attestations.push(attestation);
      for (const index of fresh) watched.indices.add(index);
      newest = Math.max(newest, link.targetEpoch);
      forget();
      const found: Evidence[] = [];
      for (const other of links.values()) {
        if (!isSlashable(link, other.link)) continue;
        for (const each of other.attestations)
          if (found.length < MAX_FOUND && each.indices.some((index) => fresh.has(index)))
            found.push(voteEvidence(each, attestation));
      }
      return found;
    },
    proposal: (slot, proposer, { hash, header, signature }) => {
      const bySigner = proposals.get(slot) ?? new Map();
      proposals.set(slot, bySigner);
      const before = bySigner.get(proposer);
      if (before && before.hash !== hash)
        return [proposalEvidence({ header: before.header, signature: before.signature }, { header, signature })];
      bySigner.set(proposer, { hash, header, signature });
      forget();
      return [];
    },
  };
};

/** Evidence that waits to be included. Bounded; holds what was checked alone. */
export interface EvidencePool {
  /** Keeps evidence; false where it is known or there is no room. */
  add(evidence: Evidence): boolean;
  has(evidence: Evidence): boolean;
  all(): readonly Evidence[];
  /** Keeps those alone that a test holds for. */
  retain(keep: (evidence: Evidence) => boolean): void;
}

/** Makes an empty pool of evidence. */
export const createEvidencePool = (): EvidencePool => {
  const kept = new Map<string, Evidence>();
  return {
    add: (evidence) => {
      const id = evidenceId(evidence);
      if (kept.has(id) || kept.size >= MAX_KEPT) return false;
      kept.set(id, evidence);
      return true;
    },
    has: (evidence) => kept.has(evidenceId(evidence)),
    all: () => [...kept.values()],
    retain: (keep) => {
      for (const [id, evidence] of kept) if (!keep(evidence)) kept.delete(id);
    },
  };
};
