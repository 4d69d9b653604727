import type { Block } from "../chain/block.ts";
import { epochOf, firstSlot, slotOf } from "../chain/params.ts";
import { RuleError } from "../lib/rule-error.ts";
import { validators } from "../vm/validator-store.ts";
import type { Engine } from "./engine.ts";
import { namedBlock } from "./epochs.ts";
import type { Link } from "./finality.ts";
import type { Signer, SlashingProtection } from "./signer.ts";
import { mustBlock } from "./tree.ts";
import type { Vote } from "./votes.ts";

/** The votes of a node's validators: one an epoch, for the head as it was held half a slot before it began (spec section 6). */
export interface Voting {
  /** Tells whether a slot is one to vote in: behind the first of an epoch in which this node has not voted. */
  isDue(slot: number): boolean;
  /** Votes for an epoch; false where no validator of this node's is registered. */
  vote(epoch: number): Promise<boolean>;
  /** Remembers what this node holds, where the next slot begins an epoch. */
  hold(slot: number): void;
}

export interface VotingOptions {
  readonly engine: Engine;
  readonly signers: readonly Signer[];
  readonly protection: SlashingProtection;
  readonly publishVote: (vote: Vote) => void;
}

interface Parts extends VotingOptions {
  votedEpoch: number;
  /** What this node held half a slot before an epoch began. */
  held: { readonly epoch: number; readonly head: Block; readonly justifiedEpoch: number } | undefined;
}

const slotAt = ({ engine }: Parts, { header }: Block): number => slotOf(engine.chain.genesis, header.timestamp);

const ancestorBy = (parts: Parts, block: Block, slot: number): Block => {
  let at = block;
  while (slotAt(parts, at) > slot) at = mustBlock(parts.engine.store, at.header.parentHash);
  return at;
};

const named = ({ engine }: Parts, block: Block) =>
  namedBlock(engine.stateOf(block), engine.chain.genesis, block.header, block.hash);

/**
 * The head to vote for in an epoch: of what was held half a slot before it began, and the block of its first slot with
 * what that one builds on, if it has come. Who holds certificates back until the last moment moves no vote by them.
 */
const voteHead = (parts: Parts, epoch: number): Block => {
  const { engine, held } = parts;
  const head = engine.head();
  if (held?.epoch !== epoch) return head; // started after the epoch's begin: the best that it knows
  const beginsAt = firstSlot(engine.chain.genesis, epoch);
  const first = ancestorBy(parts, head, beginsAt);
  if (slotAt(parts, first) !== beginsAt) return held.head;
  const justifiedEpoch = named(parts, first).sourceEpoch;
  const isAhead = first.header.number > held.head.header.number || justifiedEpoch > held.justifiedEpoch;
  return isAhead ? first : held.head;
};

/** The vote for an epoch: its checkpoint on the chain of the head, from the justified one of its post-state. */
const linkOf = (parts: Parts, epoch: number): Link => {
  const target = ancestorBy(parts, voteHead(parts, epoch), firstSlot(parts.engine.chain.genesis, epoch));
  const { sourceEpoch, sourceHash } = named(parts, target);
  return { sourceEpoch, sourceHash, targetEpoch: epoch, targetHash: target.hash };
};

const cast = async (parts: Parts, signer: Signer, index: number, link: Link): Promise<void> => {
  const { engine, protection, publishVote } = parts;
  await protection.allowVote(signer.address, link.sourceEpoch, link.targetEpoch, link.targetHash);
  const vote: Vote = { index, link, signature: await signer.vote(engine.genesisHash, link) };
  try {
    engine.castVote(vote);
  } catch (error) {
    // Not (or no longer) a member of the electorate: nothing to vote for.
    if (error instanceof RuleError && error.code === "vote-member") return;
    throw error;
  }
  publishVote(vote);
};

const vote = async (parts: Parts, epoch: number): Promise<boolean> => {
  const { engine, signers } = parts;
  const state = engine.stateOf(engine.head());
  const members = signers.flatMap((signer) => {
    const index = validators.indexOf(state, signer.address);
    return index === undefined ? [] : [{ signer, index }];
  });
  if (members.length === 0) return false;
  const link = linkOf(parts, epoch);
  parts.votedEpoch = epoch;
  // All at once: a signer that is slow to answer holds up no other, nor the next slot.
  const results = await Promise.allSettled(members.map(({ signer, index }) => cast(parts, signer, index, link)));
  const failed = results.find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
  return true;
};

/** Makes the votes of a node. */
export const createVoting = (options: VotingOptions): Voting => {
  const parts: Parts = { ...options, votedEpoch: -1, held: undefined };
  const { engine } = options;
  const { genesis } = engine.chain;
  return {
    isDue: (slot) => {
      const epoch = epochOf(genesis, slot);
      return epoch >= 1 && epoch > parts.votedEpoch && slot > firstSlot(genesis, epoch);
    },
    vote: (epoch) => vote(parts, epoch),
    hold: (slot) => {
      const epoch = epochOf(genesis, slot + 1);
      if (firstSlot(genesis, epoch) === slot + 1)
        parts.held = { epoch, head: engine.head(), justifiedEpoch: engine.justified().epoch };
    },
  };
};
