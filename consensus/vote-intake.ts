import { epochOf, slotOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { blsVerify } from "../lib/bls.ts";
import type { Hex } from "../lib/bytes.ts";
import { forgetOldest } from "../lib/lru.ts";
import { RuleError } from "../lib/rule-error.ts";
import { validators } from "../vm/validator-store.ts";
import { FUTURE_TOLERANCE_MS } from "./admission.ts";
import type { Chain } from "./chain.ts";
import { isCheckpointOf, KEPT_EPOCHS, namedBlock } from "./epochs.ts";
import type { Attestation } from "./evidence.ts";
import { voteMessage } from "./finality.ts";
import { finality, must } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { activeSets } from "./sets.ts";
import { watchedEpochs } from "./slasher.ts";
import type { VoteVerifier } from "./vote-verifier.ts";
import type { Target, Vote, VotePool } from "./votes.ts";

/** Votes of a validator for one epoch: an honest one has one, and two prove an offence. */
const MAX_SIGNED = 2;
/** Verifications of votes that count for nothing here, of a validator and epoch; more than its own, since anybody can forge them. */
const MAX_STRAY_TRIES = 4;
const MAX_COUNTS = 65_536;

/** Judges votes: clock, what is known, what the state says of target, source and membership, and the signature last. */
export interface VoteIntake {
  /** Keeps a vote that came from elsewhere, `from` a peer; false where it is known. Rejects with RuleError. */
  add(vote: Vote, from?: string): Promise<boolean>;
  /** Keeps a vote of a validator of this node's, at once; false where it is known. Throws RuleError. */
  cast(vote: Vote): boolean;
  /** Keeps a vote that this node verified before it was stopped. Throws RuleError. */
  restore(vote: Vote): boolean;
}

export interface VoteIntakeOptions {
  readonly chain: Chain;
  readonly store: Store;
  readonly votes: VotePool;
  readonly verifier: Pick<VoteVerifier, "verify">;
  readonly now: () => number;
  readonly head: () => BlockHead;
  readonly stateOf: (block: BlockHead) => State;
  readonly isOnFinal: (block: BlockHead) => boolean;
  /** Told of every vote whose signature is verified, whether it counts here or not. */
  readonly onVerified: (attestation: Attestation) => void;
}

/** What a validator signed for an epoch, and verifications of its strays. */
interface Count {
  readonly signed: Set<string>;
  tries: number;
}

interface Parts extends VoteIntakeOptions {
  /** By epoch and validator. */
  readonly counts: Map<string, Count>;
}

/** A vote whose signature is worth a verification: what it is for, or why it counts for nothing here and may prove an offence. */
type Judged = { readonly publicKey: Hex } & ({ readonly target: Target } | { readonly fault: RuleError });

const nameOf = ({ link, signature }: Vote): string =>
  `${link.sourceEpoch} ${link.sourceHash} ${link.targetHash} ${signature}`;

const countOf = ({ counts }: Parts, { index, link }: Vote): Count => {
  const key = `${link.targetEpoch} ${index}`;
  const known = counts.get(key) ?? { signed: new Set<string>(), tries: 0 };
  counts.set(key, known);
  forgetOldest(counts, MAX_COUNTS);
  return known;
};

/** Finds the checkpoint that a vote is for. Throws RuleError where it can be none that counts. */
const targetOf = (parts: Parts, head: State, { targetEpoch, targetHash }: Vote["link"], present: number): Target => {
  const { chain, store, stateOf, isOnFinal } = parts;
  if (targetEpoch < must(finality.get(head, ONLY), "finality").finalizedEpoch) failConsensus("vote-stale", targetEpoch);
  const block = store.head(targetHash) ?? failConsensus("vote-unknown-target", targetHash);
  const empty = targetEpoch - epochOf(chain.genesis, slotOf(chain.genesis, block.header.timestamp));
  if (empty < 0 || targetEpoch + KEPT_EPOCHS < present || !isOnFinal(block)) failConsensus("vote-stale", targetEpoch);
  const state = stateOf(block);
  const checkpoint = namedBlock(state, chain.genesis, block.header, block.hash);
  if (!isCheckpointOf(chain.genesis, checkpoint, targetEpoch)) failConsensus("vote-unknown-target", targetHash);
  return { state, checkpoint };
};

/**
 * A vote that counts for nothing here is verified all the same, where a validator with a vote signed it and not more of the
 * kind than it takes to prove an offence: what is signed for another chain is seen too.
 */
const isWatched = (parts: Parts, head: State, vote: Vote, present: number): boolean => {
  const { index, link } = vote;
  if (link.targetEpoch + watchedEpochs(parts.chain.genesis.params) <= present) return false;
  const { members, before } = activeSets(head);
  if (![...members, ...before].some((member) => member.index === index && member.votePower > 0n)) return false;
  const count = countOf(parts, vote);
  if (count.signed.has(nameOf(vote)) || count.tries >= MAX_STRAY_TRIES || count.signed.size >= MAX_SIGNED) return false;
  count.tries += 1;
  return true;
};

/** Judges target, source and membership; gives the fault of a vote that is worth a verification all the same. Throws RuleError. */
const judgeTarget = (
  parts: Parts,
  head: State,
  vote: Vote,
  present: number,
): { target: Target } | { fault: RuleError } => {
  try {
    const target = targetOf(parts, head, vote.link, present);
    parts.votes.check(target, vote);
    return { target };
  } catch (error) {
    if (!(error instanceof RuleError) || error.code === "vote-member" || !isWatched(parts, head, vote, present))
      throw error;
    return { fault: error };
  }
};

/** Judges all of a vote but its signature; undefined where it is known. Throws RuleError. */
const judge = (parts: Parts, vote: Vote): Judged | undefined => {
  const { link, index, signature } = vote;
  const { genesis } = parts.chain;
  const present = epochOf(genesis, Math.floor(slotOf(genesis, (parts.now() + FUTURE_TOLERANCE_MS) / 1000)));
  if (link.targetEpoch > present) failConsensus("vote-future", { got: link.targetEpoch, present });
  const kept = parts.votes.signature(vote);
  if (kept === signature) return undefined;
  // Signatures are unique: other bytes for a vote that is known are no vote, and not worth a verification.
  if (kept !== undefined) failConsensus("vote-known", index);
  const head = parts.stateOf(parts.head());
  const judged = judgeTarget(parts, head, vote, present);
  const voter = validators.get(head, index) ?? failConsensus("vote-member", index);
  const { signed } = countOf(parts, vote);
  if (signed.size >= MAX_SIGNED && !signed.has(nameOf(vote))) failConsensus("vote-equivocation", index);
  return { publicKey: voter.blsPublicKey, ...judged };
};

/** Keeps a vote whose signature is verified; false where it came meanwhile. Throws RuleError. */
const accept = (parts: Parts, vote: Vote, judged: Judged): boolean => {
  const { link, index, signature } = vote;
  if (parts.votes.signature(vote) === signature) return false;
  countOf(parts, vote).signed.add(nameOf(vote));
  parts.onVerified({ indices: [index], link, signature });
  if ("fault" in judged) throw judged.fault;
  parts.votes.add(judged.target, vote);
  return true;
};

/** Makes the intake of an engine. */
export const createVoteIntake = (options: VoteIntakeOptions): VoteIntake => {
  const parts: Parts = { ...options, counts: new Map() };
  return {
    add: async (vote, from) => {
      const judged = judge(parts, vote);
      if (!judged) return false;
      const judgement = await parts.verifier.verify(judged.publicKey, vote.link, vote.signature, from);
      if (judgement === "left") failConsensus("vote-busy", vote.index);
      if (judgement === "bad") failConsensus("vote-signature", vote.index);
      return accept(parts, vote, judged);
    },
    cast: (vote) => {
      const judged = judge(parts, vote);
      if (!judged) return false;
      if (!blsVerify(judged.publicKey, voteMessage(parts.chain.genesisHash, vote.link), vote.signature))
        failConsensus("vote-signature", vote.index);
      return accept(parts, vote, judged);
    },
    restore: (vote) => {
      const judged = judge(parts, vote);
      return judged !== undefined && accept(parts, vote, judged);
    },
  };
};
