import { epochOf, firstSlot, slotOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { blsVerify } from "../lib/bls.ts";
import type { Hash, Hex } from "../lib/bytes.ts";
import { RuleError } from "../lib/rule-error.ts";
import { validators } from "../vm/validator-store.ts";
import { FUTURE_TOLERANCE_MS } from "./admission.ts";
import type { Chain } from "./chain.ts";
import { KEPT_EPOCHS } from "./epochs.ts";
import type { Attestation } from "./evidence.ts";
import { voteMessage } from "./finality.ts";
import { checkpoints, finality, must } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { activeSets } from "./sets.ts";
import { watchedEpochs } from "./slasher.ts";
import type { VoteVerifier } from "./vote-verifier.ts";
import type { Vote, VotePool } from "./votes.ts";

const CACHED_VIEWS = 8;
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

/** A vote whose signature is worth a verification. */
interface Judged {
  readonly publicKey: Hex;
  /** Why it counts for nothing here, though it may prove an offence. */
  readonly fault: RuleError | undefined;
}

/** Makes the intake of an engine. */
export const createVoteIntake = (options: {
  readonly chain: Chain;
  readonly store: Store;
  readonly votes: VotePool;
  readonly verifier: Pick<VoteVerifier, "verify">;
  readonly now: () => number;
  readonly head: () => BlockHead;
  readonly stateOf: (block: BlockHead) => State;
  /** The post-state of a block as the first block of a later slot would find it. */
  readonly viewAt: (block: BlockHead, slot: number) => State;
  readonly isOnFinal: (block: BlockHead) => boolean;
  /** Told of every vote whose signature is verified, whether it counts here or not. */
  readonly onVerified: (attestation: Attestation) => void;
}): VoteIntake => {
  const { chain, store, votes, verifier, now, head, stateOf, viewAt, isOnFinal, onVerified } = options;
  const { genesis } = chain;
  const views = new Map<string, State>();
  const nameOf = ({ link, signature }: Vote): string =>
    `${link.sourceEpoch} ${link.sourceHash} ${link.targetHash} ${signature}`;
  /** By epoch and validator: the votes that it signed, and verifications of strays. */
  const counts = new Map<string, { readonly signed: Set<string>; tries: number }>();

  const countOf = ({ index, link }: Vote): { readonly signed: Set<string>; tries: number } => {
    const key = `${link.targetEpoch} ${index}`;
    const known = counts.get(key) ?? { signed: new Set<string>(), tries: 0 };
    counts.set(key, known);
    if (counts.size > MAX_COUNTS) counts.delete(counts.keys().next().value!);
    return known;
  };
  /** The state in which a block is the checkpoint of an epoch, where it is at hand. */
  const knownView = (state: State, target: Hash, epoch: number): State | undefined =>
    checkpoints.get(state, epoch)?.hash === target ? state : views.get(`${target} ${epoch}`);
  const makeView = (target: BlockHead, epoch: number): State => {
    const slot = Math.max(slotOf(genesis, target.header.timestamp), firstSlot(genesis, epoch)) + 1;
    const view = viewAt(target, slot);
    if (views.size >= CACHED_VIEWS) views.delete(views.keys().next().value!);
    views.set(`${target.hash} ${epoch}`, view);
    return view;
  };

  /** Finds the block that a vote names as a checkpoint. Throws RuleError where it can be none that counts. */
  const targetOf = (state: State, { targetEpoch, targetHash }: Vote["link"], present: number): BlockHead => {
    if (targetEpoch < must(finality.get(state, ONLY), "finality").finalizedEpoch)
      failConsensus("vote-stale", targetEpoch);
    const target = store.head(targetHash) ?? failConsensus("vote-unknown-target", targetHash);
    const empty = targetEpoch - epochOf(genesis, slotOf(genesis, target.header.timestamp));
    if (empty < 0 || targetEpoch + KEPT_EPOCHS < present || !isOnFinal(target))
      failConsensus("vote-stale", targetEpoch);
    return target;
  };

  /**
   * A vote that counts for nothing here is verified all the same, where a validator with a vote signed it and not more of the
   * kind than it takes to prove an offence: what is signed for another chain is seen too.
   */
  const isWatched = (state: State, vote: Vote, present: number): boolean => {
    const { index, link } = vote;
    if (link.targetEpoch + watchedEpochs(genesis.params) <= present) return false;
    const { members, before } = activeSets(state);
    if (![...members, ...before].some((member) => member.index === index && member.votePower > 0n)) return false;
    const count = countOf(vote);
    if (count.signed.has(nameOf(vote)) || count.tries >= MAX_STRAY_TRIES || count.signed.size >= MAX_SIGNED)
      return false;
    count.tries += 1;
    return true;
  };

  const judge = (vote: Vote): Judged | undefined => {
    const { link, index, signature } = vote;
    const present = epochOf(genesis, Math.floor(slotOf(genesis, (now() + FUTURE_TOLERANCE_MS) / 1000)));
    if (link.targetEpoch > present) failConsensus("vote-future", { got: link.targetEpoch, present });
    const kept = votes.signature(vote);
    if (kept === signature) return undefined;
    // Signatures are unique: other bytes for a vote that is known are no vote, and not worth a verification.
    if (kept !== undefined) failConsensus("vote-known", index);
    const state = stateOf(head());
    let fault: RuleError | undefined;
    try {
      const target = targetOf(state, link, present);
      const view = knownView(state, target.hash, link.targetEpoch);
      if (view) votes.check(view, vote);
    } catch (error) {
      if (!(error instanceof RuleError) || error.code === "vote-member" || !isWatched(state, vote, present))
        throw error;
      fault = error;
    }
    const voter = validators.get(state, index) ?? failConsensus("vote-member", index);
    const { signed } = countOf(vote);
    if (signed.size >= MAX_SIGNED && !signed.has(nameOf(vote))) failConsensus("vote-equivocation", index);
    return { publicKey: voter.blsPublicKey, fault };
  };

  /** Keeps a vote whose signature is verified. A view that is not at hand may cost an era's boundary: only who has signed makes this node look. */
  const accept = (vote: Vote, { fault }: Judged): boolean => {
    const { link, index, signature } = vote;
    if (votes.signature(vote) === signature) return false;
    countOf(vote).signed.add(nameOf(vote));
    onVerified({ indices: [index], link, signature });
    if (fault) throw fault;
    const target = store.head(link.targetHash)!;
    votes.add(knownView(stateOf(head()), target.hash, link.targetEpoch) ?? makeView(target, link.targetEpoch), vote);
    return true;
  };

  return {
    add: async (vote, from) => {
      const judged = judge(vote);
      if (!judged) return false;
      const judgement = await verifier.verify(judged.publicKey, vote.link, vote.signature, from);
      if (judgement === "left") failConsensus("vote-busy", vote.index);
      if (judgement === "bad") failConsensus("vote-signature", vote.index);
      return accept(vote, judged);
    },
    cast: (vote) => {
      const judged = judge(vote);
      if (!judged) return false;
      if (!blsVerify(judged.publicKey, voteMessage(chain.genesisHash, vote.link), vote.signature))
        failConsensus("vote-signature", vote.index);
      return accept(vote, judged);
    },
    restore: (vote) => {
      const judged = judge(vote);
      return judged !== undefined && accept(vote, judged);
    },
  };
};
