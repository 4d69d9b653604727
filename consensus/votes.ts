import type { Certificate } from "../chain/block.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { blsAggregate } from "../lib/bls.ts";
import type { Hash, Hex } from "../lib/bytes.ts";
import { decodeWith, encodeWith, hexOf, record, uint } from "../lib/codec.ts";
import type { Named } from "./epochs.ts";
import { bitmapOf, type Electorate, electorateOf, hasBit, type Link, linkCoder } from "./finality.ts";
import { checkpoints, finality, must } from "./records.ts";
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

/** A checkpoint that is voted for, and its block's post-state, which holds the sets that it names. */
export interface Target {
  readonly state: State;
  readonly checkpoint: Named;
}

interface Tally {
  readonly link: Link;
  readonly electorate: Electorate;
  /** Places in the electorate, by index. */
  readonly places: ReadonlyMap<number, number>;
  /** By place in the electorate. */
  readonly signatures: Map<number, Hex>;
}

/** Votes that this node knows, by the link that they are for. Bounded by epochs and members. */
export interface VotePool {
  /** Checks source and membership of a vote for a checkpoint. Throws RuleError. */
  check(target: Target, vote: Pick<Vote, "index" | "link">): void;
  /** Keeps a vote whose signature the caller has verified, likewise. */
  add(target: Target, vote: Vote): void;
  /** The signature of the vote for this link by this validator, where it is known. */
  signature(vote: Pick<Vote, "index" | "link">): Hex | undefined;
  /**
   * Makes certificates for the links whose votes tell a state something new, by the rule of inclusion (spec section 6), newest
   * target first: what later epochs have overtaken takes nobody's place. Each is aggregated as it is asked for.
   */
  certificates(state: State, openEpoch: number): Iterable<Certificate>;
  /** Tells whether the votes for a link are a quorum. */
  isQuorum(targetHash: Hash, targetEpoch: number): boolean;
  /** Forgets targets before an epoch. */
  prune(epoch: number): void;
  all(): Vote[];
}

type Tallies = Map<string, Tally>;

const keyOf = (link: Link): string => `${link.targetEpoch} ${link.targetHash} ${link.sourceEpoch} ${link.sourceHash}`;

/** The tally of a link to a checkpoint, a new one where nobody has voted for it. Throws RuleError where its source is another. */
const tallyOf = (tallies: Tallies, { state, checkpoint }: Target, link: Link): Tally => {
  const known = tallies.get(keyOf(link));
  if (known) return known;
  if (checkpoint.sourceEpoch !== link.sourceEpoch || checkpoint.sourceHash !== link.sourceHash)
    failConsensus("vote-source", { got: link.sourceEpoch, expected: checkpoint.sourceEpoch });
  const electorate = electorateOf(state, checkpoint);
  const places = new Map(electorate.voters.map((voter, place) => [voter.index, place]));
  return { link, electorate, places, signatures: new Map() };
};

const placeOf = ({ places }: Tally, index: number): number => places.get(index) ?? failConsensus("vote-member", index);

const bitmapOfTally = ({ electorate, signatures }: Tally): Uint8Array =>
  bitmapOf(signatures.keys(), electorate.voters.length);

function* certificatesFor(tallies: Tallies, state: State, openEpoch: number): Iterable<Certificate> {
  const { justifiedEpoch } = must(finality.get(state, ONLY), "finality");
  const newestFirst = [...tallies.values()].sort((a, b) => b.link.targetEpoch - a.link.targetEpoch);
  for (const tally of newestFirst) {
    const { link, electorate, signatures } = tally;
    const checkpoint = checkpoints.get(state, link.targetEpoch);
    if (!checkpoint || checkpoint.hash !== link.targetHash || checkpoint.sourceHash !== link.sourceHash) continue;
    const isTimely = link.targetEpoch >= openEpoch;
    if (!isTimely && link.targetEpoch <= justifiedEpoch) continue;
    const bitmap = bitmapOfTally(tally);
    const isFresh = [...signatures.keys()].some((place) => !hasBit(checkpoint.bits, place));
    const joined = bitmap.map((byte, i) => byte | (checkpoint.bits[i] ?? 0));
    if (!isFresh || (!isTimely && !electorate.isQuorum(joined))) continue;
    yield { ...link, bitmap, signature: blsAggregate([...signatures.values()]) };
  }
}

/** Makes an empty pool of votes. */
export const createVotePool = (): VotePool => {
  const tallies: Tallies = new Map();
  return {
    check: (target, { link, index }) => void placeOf(tallyOf(tallies, target, link), index),
    add: (target, { link, index, signature }) => {
      const tally = tallyOf(tallies, target, link);
      tally.signatures.set(placeOf(tally, index), signature);
      tallies.set(keyOf(link), tally);
    },
    signature: ({ link, index }) => {
      const tally = tallies.get(keyOf(link));
      const place = tally?.places.get(index);
      return place === undefined ? undefined : tally!.signatures.get(place);
    },
    certificates: (state, openEpoch) => certificatesFor(tallies, state, openEpoch),
    isQuorum: (targetHash, targetEpoch) =>
      [...tallies.values()].some(
        (tally) =>
          tally.link.targetHash === targetHash &&
          tally.link.targetEpoch === targetEpoch &&
          tally.electorate.isQuorum(bitmapOfTally(tally)),
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
