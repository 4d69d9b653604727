import { epochOf, firstSlot, slotOf } from "../chain/params.ts";
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
import { checkpoints, finality, must, ONLY } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { activeSets } from "./sets.ts";
import { watchedEpochs } from "./slasher.ts";
import { createVoteVerifier } from "./vote-verifier.ts";
import type { Vote, VotePool } from "./votes.ts";

const CACHED_VIEWS = 8;
/** How long the first vote for a link waits for others, where there are so many that some come. */
const VOTE_WAIT_MS = 30;
const MANY_VOTERS = 32;
/** Votes of a validator for one epoch: an honest one has one, and two prove an offence. */
const MAX_SIGNED = 2;
/** Verifications of votes that count for nothing here, of a validator and epoch; more than its own, since anybody can forge them. */
const MAX_STRAY_TRIES = 4;
const MAX_COUNTS = 65_536;

/** Judges the votes that come from outside. */
export interface VoteIntake {
  /**
   * Keeps a vote that `from` brought; false where it is known. Rejects with RuleError: clock, what is known, what the state says of
   * target, source and membership, and the signature last, together with others'.
   */
  add(vote: Vote, from?: string): Promise<boolean>;
  /** Keeps a vote of this node's own at once. Throws RuleError. */
  cast(vote: Vote): boolean;
  /** Verifies what waits and ends. */
  stop(): Promise<void>;
}

/** Makes the intake of an engine. */
export const createVoteIntake = (options: {
  readonly chain: Chain;
  readonly store: Store;
  readonly votes: VotePool;
  readonly now: () => number;
  readonly head: () => BlockHead;
  readonly stateOf: (block: BlockHead) => State;
  /** The post-state of a block as the first block of a later slot would find it. */
  readonly viewAt: (block: BlockHead, slot: number) => State;
  readonly isOnFinal: (block: BlockHead) => boolean;
  /** Told of every vote whose signature is verified, whether it counts here or not. */
  readonly onVerified: (attestation: Attestation) => void;
}): VoteIntake => {
  const { chain, store, votes, now, head, stateOf, viewAt, isOnFinal, onVerified } = options;
  const { genesis } = chain;
  const views = new Map<string, State>();
  /** By epoch and validator: votes that it signed, and verifications of strays. */
  const counts = new Map<string, { signed: number; tries: number }>();

  const countOf = ({ index, link }: Vote): { signed: number; tries: number } => {
    const key = `${link.targetEpoch} ${index}`;
    const known = counts.get(key) ?? { signed: 0, tries: 0 };
    counts.set(key, known);
    if (counts.size > MAX_COUNTS) counts.delete(counts.keys().next().value!);
    return known;
  };
  /** Where many vote, it is worth while to wait for some of them. */
  const verifier = createVoteVerifier(chain.genesisHash, () =>
    activeSets(stateOf(head())).members.length < MANY_VOTERS ? 0 : VOTE_WAIT_MS,
  );
  /** The key that a vote's signature is verified with. Throws RuleError where its validator has signed enough for the epoch. */
  const keyOf = (vote: Vote, state: State): Hex => {
    if (countOf(vote).signed >= MAX_SIGNED) failConsensus("vote-equivocation", vote.index);
    return (validators.get(state, vote.index) ?? failConsensus("vote-member", vote.index)).blsPublicKey;
  };
  const noteVerified = (vote: Vote): void => {
    countOf(vote).signed += 1;
    onVerified({ indices: [vote.index], link: vote.link, signature: vote.signature });
  };
  const verify = (vote: Vote, state: State): void => {
    const message = voteMessage(chain.genesisHash, vote.link);
    if (!blsVerify(keyOf(vote, state), message, vote.signature)) failConsensus("vote-signature", vote.index);
    noteVerified(vote);
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
   * Verifies a vote that counts for nothing here all the same, where a validator with a vote signed it and not more of the
   * kind than it takes to prove an offence: what is signed for another chain is seen too.
   */
  const watchStray = (state: State, vote: Vote, present: number): void => {
    const { index, link } = vote;
    if (link.targetEpoch + watchedEpochs(genesis.params) <= present) return;
    const { members, before } = activeSets(state);
    if (![...members, ...before].some((member) => member.index === index && member.votePower > 0n)) return;
    const count = countOf(vote);
    if (count.tries >= MAX_STRAY_TRIES || count.signed >= MAX_SIGNED) return;
    count.tries += 1;
    verify(vote, state);
  };

  const isKnown = (vote: Vote): boolean => {
    const kept = votes.signature(vote);
    // Signatures are unique: other bytes for a vote that is known are no vote, and not worth a verification.
    if (kept !== undefined && kept !== vote.signature) failConsensus("vote-known", vote.index);
    return kept !== undefined;
  };
  /** Judges a vote by all but its signature, and gives the state it was judged by; undefined where it is known. */
  const judge = (vote: Vote): State | undefined => {
    const { link } = vote;
    const present = epochOf(genesis, Math.floor(slotOf(genesis, (now() + FUTURE_TOLERANCE_MS) / 1000)));
    if (link.targetEpoch > present) failConsensus("vote-future", { got: link.targetEpoch, present });
    if (isKnown(vote)) return undefined;
    const state = stateOf(head());
    try {
      const target = targetOf(state, link, present);
      const view = knownView(state, target.hash, link.targetEpoch);
      if (view) votes.check(view, vote);
    } catch (error) {
      if (error instanceof RuleError && error.code !== "vote-member") watchStray(state, vote, present);
      throw error;
    }
    return state;
  };
  // A view that is not at hand may cost an era's boundary: only who has signed makes this node look.
  const keep = (vote: Vote, state: State): void => {
    const { targetEpoch, targetHash } = vote.link;
    const target = store.head(targetHash)!;
    votes.add(knownView(state, target.hash, targetEpoch) ?? makeView(target, targetEpoch), vote);
  };

  return {
    add: async (vote, from) => {
      const before = judge(vote);
      if (!before) return false;
      const key = keyOf(vote, before);
      const judgement = await verifier.verify(key, vote.link, vote.signature, from);
      if (judgement === "left") failConsensus("vote-busy", vote.index);
      if (judgement === "bad") failConsensus("vote-signature", vote.index);
      // While others were waited for the same vote may have come, and the head may have moved.
      if (isKnown(vote)) return false;
      noteVerified(vote);
      const state = judge(vote);
      if (!state) return false;
      if (validators.get(state, vote.index)?.blsPublicKey !== key) failConsensus("vote-member", vote.index);
      keep(vote, state);
      return true;
    },
    cast: (vote) => {
      const state = judge(vote);
      if (!state) return false;
      verify(vote, state);
      keep(vote, state);
      return true;
    },
    stop: verifier.stop,
  };
};
