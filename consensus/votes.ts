import type { Certificate } from "../chain/block.ts";
import type { State } from "../chain/state.ts";
import { blsAggregate } from "../lib/bls.ts";
import type { Hash, Hex } from "../lib/bytes.ts";
import { decodeWith, encodeWith, hexOf, record, uint } from "../lib/codec.ts";
import { bitmapOf, type Electorate, electorateOf, hasBit, type Link, linkCoder } from "./finality.ts";
import { type Checkpoint, checkpoints, finality, must, ONLY } from "./records.ts";
import { failConsensus } from "./rules.ts";

/** One validator's vote for a link. */
export interface Vote {
  readonly index: number;
  readonly link: Link;
  readonly signature: Hex;
}

const coder = record({
  index: uint,
  link: linkCoder,
  signature: hexOf(96),
});
/** Encodes a vote for gossip. */
export const encodeVote = (vote: Vote): Uint8Array => encodeWith(coder, vote);
/** Decodes a vote strictly. Throws RuleError. */
export const decodeVote = (bytes: Uint8Array): Vote => decodeWith(coder, bytes, { maxBytes: 512, maxDepth: 2 });

interface Tally {
  readonly link: Link;
  readonly electorate: Electorate;
  /** By place in the electorate. */
  readonly signatures: Map<number, Hex>;
}

/** Votes that this node knows, by the link that they are for. Bounded by epochs and members. */
export interface VotePool {
  /** Keeps a vote whose signature the caller has verified. `state` names its target as a checkpoint. Throws RuleError. */
  add(state: State, vote: Vote): void;
  /** The signature of the vote for this link by this validator, where it is known. */
  signature(vote: Pick<Vote, "index" | "link">): Hex | undefined;
  /** Makes a certificate for each link whose votes tell a state something new, oldest target first, at most `max`. */
  certificates(state: State, openEpoch: number, max: number): Certificate[];
  /** Tells whether the votes for a link are a quorum. */
  isQuorum(targetHash: Hash, targetEpoch: number): boolean;
  /** Forgets targets before an epoch. */
  prune(epoch: number): void;
  all(): Vote[];
}

/** Makes an empty pool of votes. */
export const createVotePool = (): VotePool => {
  const tallies = new Map<string, Tally>();
  const keyOf = (link: Link) => `${link.targetEpoch} ${link.targetHash} ${link.sourceEpoch} ${link.sourceHash}`;
  return {
    add: (state, vote) => {
      const { link } = vote;
      const checkpoint: Checkpoint | undefined = checkpoints.get(state, link.targetEpoch);
      if (!checkpoint || checkpoint.hash !== link.targetHash)
        return failConsensus("vote-unknown-target", link.targetHash);
      if (checkpoint.sourceEpoch !== link.sourceEpoch || checkpoint.sourceHash !== link.sourceHash)
        failConsensus("vote-source", { got: link.sourceEpoch, expected: checkpoint.sourceEpoch });
      const tally = tallies.get(keyOf(link)) ?? {
        link,
        electorate: electorateOf(state, checkpoint),
        signatures: new Map(),
      };
      const place = tally.electorate.voters.findIndex((voter) => voter.index === vote.index);
      if (place === -1) failConsensus("vote-member", vote.index);
      tally.signatures.set(place, vote.signature);
      tallies.set(keyOf(link), tally);
    },
    signature: ({ link, index }) => {
      const tally = tallies.get(keyOf(link));
      return tally?.signatures.get(tally.electorate.voters.findIndex((voter) => voter.index === index));
    },
    certificates: (state, openEpoch, max) => {
      const made: Certificate[] = [];
      for (const { link, electorate, signatures } of [...tallies.values()].sort(
        (a, b) => b.link.targetEpoch - a.link.targetEpoch,
      )) {
        if (made.length >= max) break;
        const checkpoint = checkpoints.get(state, link.targetEpoch);
        if (!checkpoint || checkpoint.hash !== link.targetHash || checkpoint.sourceHash !== link.sourceHash) continue;
        const fresh = [...signatures.keys()].some((place) => !hasBit(checkpoint.bits, place));
        const bitmap = bitmapOf(signatures.keys(), electorate.voters.length);
        const { justifiedEpoch } = must(finality.get(state, ONLY), "finality");
        const timely =
          link.targetEpoch >= openEpoch || (link.targetEpoch > justifiedEpoch && electorate.isQuorum(bitmap));
        if (fresh && timely) made.push({ ...link, bitmap, signature: blsAggregate([...signatures.values()]) });
      }
      return made;
    },
    isQuorum: (targetHash, targetEpoch) =>
      [...tallies.values()].some(
        ({ link, electorate, signatures }) =>
          link.targetHash === targetHash &&
          link.targetEpoch === targetEpoch &&
          electorate.isQuorum(bitmapOf(signatures.keys(), electorate.voters.length)),
      ),
    prune: (epoch) => {
      for (const [key, { link }] of tallies) if (link.targetEpoch < epoch) tallies.delete(key);
    },
    all: () =>
      [...tallies.values()].flatMap(({ link, electorate, signatures }) =>
        [...signatures].map(([place, signature]) => ({ index: electorate.voters[place]!.index, link, signature })),
      ),
  };
};
