import type { Block, Certificate } from "../chain/block.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import type { Chain } from "./chain.ts";
import type { Attestation } from "./evidence.ts";
import { bitmapOf, type Electorate, electorateOf, hasBit, type Link, verifyVotes } from "./finality.ts";
import { active, checkpoints, must, ONLY } from "./records.ts";

/** Two checkpoints that exclude each other are final: a third of the power signed for both, and these certificates prove it. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";
  /** The first block of the other chain that is not on ours. */
  readonly branch: Hash;
  readonly proofs: { readonly ours: readonly Certificate[]; readonly theirs: readonly Certificate[] };

  constructor(message: string, branch: Hash, proofs: ConflictError["proofs"]) {
    super(message);
    this.branch = branch;
    this.proofs = proofs;
  }
}

const MAX_HEADERS = 16_384;
const MAX_LINKS = 1_024;
const MAX_CERTIFICATES_OF_LINK = 32;

/**
 * Follows chains that exclude what is final here, by headers that validators signed and the certificates that they carry. It
 * runs none of their blocks: certificates are weighed with the sets of this node's own chain, which are those of the rival
 * too until finality of its own changes them, and that would have been noticed before.
 */
export interface RivalWatch {
  /** Tells whether a block is known to be on a chain that excludes the final block. */
  has(hash: Hash): boolean;
  /** Takes a block of such a chain. Calls `onConflict` where its certificates make a checkpoint final that excludes ours. */
  add(block: Block): void;
}

interface Tally {
  readonly link: Link;
  readonly certificates: Certificate[];
  readonly electorate: Electorate;
  bits: Uint8Array;
  isQuorum: boolean;
}

/** Makes the watch of an engine. */
export const createRivalWatch = (options: {
  readonly chain: Chain;
  readonly store: Store;
  readonly head: () => Block;
  readonly final: () => { readonly epoch: number; readonly block: BlockHead };
  readonly stateOf: (block: BlockHead) => State;
  /** Tells whether a block is on the final block's chain, before or after it. */
  readonly isOnChain: (block: BlockHead) => boolean;
  /** The present epoch, and how far back what is signed can be punished: older keys prove nothing. */
  readonly window: () => { readonly present: number; readonly epochs: number };
  readonly onVerified: (attestation: Attestation) => void;
  /** Branches that the operator has settled: they stop nobody again. */
  readonly settled: readonly Hash[];
  readonly onConflict: (error: ConflictError) => void;
}): RivalWatch => {
  const { chain, store, head, final, stateOf, isOnChain, window, onVerified, settled, onConflict } = options;
  const { genesisHash } = chain;
  /** Blocks of other chains, each with the first of its branch. */
  const rivals = new Map<Hash, Hash>();
  const tallies = new Map<string, Tally>();

  /** The electorates that a certificate may be of: those named here for its epoch, or in force now, whose bitmap it has. */
  const electoratesOf = (state: State, { targetEpoch, bitmap }: Certificate): Electorate[] => {
    const { set, setBefore } = must(active.get(state, ONLY), "the active set");
    const named = checkpoints.get(state, targetEpoch);
    const sets = [...(named ? [named] : []), { set, setBefore }, { set, setBefore: 0 }];
    const distinct = sets.filter(
      (each, i) => sets.findIndex((other) => other.set === each.set && other.setBefore === each.setBefore) === i,
    );
    return distinct
      .map((each) => electorateOf(state, each))
      .filter(({ voters }) => bitmap.length === Math.ceil(voters.length / 8));
  };

  const count = (certificate: Certificate): Tally | undefined => {
    const { bitmap, signature, ...link } = certificate;
    const { present, epochs } = window();
    if (link.targetEpoch > present || link.targetEpoch + epochs < present) return undefined;
    const key = `${link.sourceEpoch} ${link.sourceHash} ${link.targetEpoch} ${link.targetHash}`;
    const known = tallies.get(key);
    if (known && (known.certificates.length >= MAX_CERTIFICATES_OF_LINK || isKnown(known, bitmap))) return undefined;
    const electorates = known ? [known.electorate] : electoratesOf(stateOf(head()), certificate);
    const electorate = electorates.find((each) => verifyVotes(each, genesisHash, link, bitmap, signature));
    if (!electorate) return undefined;
    const indices = electorate.voters.filter((_, place) => hasBit(bitmap, place)).map(({ index }) => index);
    onVerified({ indices: indices.sort((a, b) => a - b), link, signature });
    const tally = known ?? {
      link,
      certificates: [],
      electorate,
      bits: bitmapOf([], electorate.voters.length),
      isQuorum: false,
    };
    tally.bits = tally.bits.map((byte, i) => byte | bitmap[i]!);
    tally.isQuorum = electorate.isQuorum(tally.bits);
    tally.certificates.push(certificate);
    tallies.set(key, tally);
    if (tallies.size > MAX_LINKS) tallies.delete(tallies.keys().next().value!);
    return tally;
  };
  const isKnown = ({ bits }: Tally, bitmap: Uint8Array): boolean =>
    bits.length !== bitmap.length || bitmap.every((byte, i) => (byte & ~bits[i]!) === 0);

  const isJustified = (epoch: number): boolean =>
    [...tallies.values()].some((each) => each.isQuorum && each.link.targetEpoch === epoch);
  /** Tells whether a link makes its source final, and that is not on this node's final chain. */
  const excludes = ({ link, isQuorum }: Tally): boolean => {
    if (!isQuorum) return false;
    for (let between = link.targetEpoch - 1; between > link.sourceEpoch; between--)
      if (!isJustified(between)) return false;
    const source = store.head(link.sourceHash);
    if (source && isOnChain(source)) return false;
    return link.sourceEpoch <= final().epoch || rivals.has(link.sourceHash);
  };
  /** The link of a rival that new votes for an epoch complete: theirs, or one that spans it. */
  const completedBy = ({ link: { targetEpoch } }: Tally): Link | undefined =>
    [...tallies.values()].find(
      (each) => each.link.sourceEpoch < targetEpoch && targetEpoch <= each.link.targetEpoch && excludes(each),
    )?.link;

  return {
    has: (hash) => rivals.has(hash),
    add: (block) => {
      const branch = rivals.get(block.header.parentHash) ?? block.hash;
      rivals.set(block.hash, branch);
      if (rivals.size > MAX_HEADERS) rivals.delete(rivals.keys().next().value!);
      if (settled.includes(branch)) return;
      for (const certificate of block.body.certificates) {
        const tally = count(certificate);
        const completed = tally && completedBy(tally);
        if (!completed) continue;
        const theirs = [...tallies.values()].filter((each) => each.isQuorum).flatMap((each) => each.certificates);
        const { epoch, block: ours } = final();
        const { sourceEpoch, sourceHash } = completed;
        const message = `two conflicting final checkpoints: ${ours.hash} of epoch ${epoch} here, ${sourceHash} of epoch ${sourceEpoch} on another chain`;
        onConflict(new ConflictError(message, branch, { ours: certificatesFor(store, head(), final()), theirs }));
      }
    },
  };
};

/**
 * The certificates on the chain of a tip that link a final block to what follows, and those for the epochs that such links span:
 * the proof that it is final. O(distance).
 */
const certificatesFor = (
  store: Store,
  tip: Block,
  { epoch, block }: { readonly epoch: number; readonly block: BlockHead },
): Certificate[] => {
  const links: Certificate[] = [];
  for (let at = tip; at.header.number > block.header.number; at = must(store.block(at.header.parentHash), "a parent"))
    links.unshift(...at.body.certificates.filter((each) => each.sourceEpoch <= epoch && each.targetEpoch > epoch));
  return links;
};
