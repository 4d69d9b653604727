import type { Block, Certificate } from "../chain/block.ts";
import { firstSlot, slotOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import { forgetOldest } from "../lib/lru.ts";
import { active } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import type { Attestation } from "./evidence.ts";
import { bitmapOf, type Electorate, electorateOf, hasBit, type Link, verifyVotes } from "./finality.ts";
import { type Checkpoint, checkpoints, must } from "./records.ts";

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
const MAX_TALLIES = 1_024;
/** Certificates of one link that do not complete a quorum. */
const MAX_CERTIFICATES = 32;

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

/** A block of another chain. */
interface Rival {
  readonly parent: Hash;
  readonly slot: number;
  /** The first block of its chain that is not on ours. */
  readonly branch: Hash;
}
/** The votes of an electorate for a link. */
interface Tally {
  readonly link: Link;
  readonly certificates: Certificate[];
  readonly electorate: Electorate;
  bits: Uint8Array;
  isQuorum: boolean;
}

export interface RivalWatchOptions {
  readonly chain: Chain;
  readonly store: Store;
  readonly head: () => Block;
  readonly final: () => { readonly epoch: number; readonly block: BlockHead };
  readonly stateOf: (block: BlockHead) => State;
  /** Tells whether a block is on the final block's chain, before or after it. */
  readonly isOnChain: (block: BlockHead) => boolean;
  /** The present epoch, and how far back what is signed can be punished: older keys prove nothing. */
  readonly present: () => { readonly epoch: number; readonly evidenceEpochs: number };
  readonly onVerified: (attestation: Attestation) => void;
  /** Branches that the operator has settled: they stop nobody again. */
  readonly settled: readonly Hash[];
  readonly onConflict: (error: ConflictError) => void;
}

interface Parts extends RivalWatchOptions {
  readonly rivals: Map<Hash, Rival>;
  /** By link, and by the sets that it is weighed with. */
  readonly tallies: Map<string, Tally>;
}

/** Sets that weigh a certificate, and a state that holds them. */
interface Weights {
  readonly state: State;
  readonly sets: Pick<Checkpoint, "set" | "setBefore">;
}

/** The sets that this node's chain named for an epoch; those in force now where it has come to none. */
const setsOf = ({ chain: { genesis }, store, head, stateOf }: Parts, epoch: number): Weights[] => {
  const child = blockAfter(
    store,
    head(),
    (block) => slotOf(genesis, block.header.timestamp) > firstSlot(genesis, epoch),
  );
  const past = child && stateOf(child);
  const named = past && checkpoints.get(past, epoch);
  if (past && named) return [{ state: past, sets: named }];
  const state = stateOf(head());
  const { set, setBefore } = must(active.get(state, ONLY), "the active set");
  return [{ set, setBefore }, ...(setBefore === 0 ? [] : [{ set, setBefore: 0 }])].map((sets) => ({ state, sets }));
};

/** Counts a certificate for each electorate that it may be of; gives the tallies that it adds to. */
const count = (parts: Parts, certificate: Certificate): Tally[] => {
  const { chain, present, onVerified, tallies } = parts;
  const { bitmap, signature, ...link } = certificate;
  const { epoch, evidenceEpochs } = present();
  if (link.sourceEpoch >= link.targetEpoch || link.targetEpoch > epoch || link.targetEpoch + evidenceEpochs < epoch)
    return [];
  return setsOf(parts, link.targetEpoch).flatMap(({ state, sets }) => {
    const key = [...Object.values(link), sets.set, sets.setBefore].join(" ");
    const tally = tallies.get(key) ?? newTally(link, electorateOf(state, sets));
    const { electorate, bits, certificates } = tally;
    if (bits.length !== bitmap.length || bitmap.every((byte, i) => (byte & ~bits[i]!) === 0)) return [];
    const joined = bits.map((byte, i) => byte | bitmap[i]!);
    const isQuorum = electorate.isQuorum(joined);
    if (certificates.length >= MAX_CERTIFICATES && !isQuorum) return [];
    if (!verifyVotes(electorate, chain.genesisHash, link, bitmap, signature)) return [];
    const indices = electorate.voters.filter((_, place) => hasBit(bitmap, place)).map(({ index }) => index);
    onVerified({ indices: indices.sort((a, b) => a - b), link, signature });
    Object.assign(tally, { bits: joined, isQuorum });
    certificates.push(certificate);
    tallies.set(key, tally);
    forgetOldest(tallies, MAX_TALLIES);
    return [tally];
  });
};

/** The checkpoint of an epoch on the chain of a block; undefined where that chain is not known so far back. */
const checkpointOn = ({ chain: { genesis }, store, rivals }: Parts, of: Hash, epoch: number): Hash | undefined => {
  for (let hash = of, steps = 0; steps < MAX_HEADERS; steps++) {
    const rival = rivals.get(hash);
    const known = rival ? undefined : store.head(hash);
    const slot = rival?.slot ?? (known && slotOf(genesis, known.header.timestamp));
    if (slot === undefined || slot <= firstSlot(genesis, epoch)) return slot === undefined ? undefined : hash;
    hash = rival?.parent ?? known!.header.parentHash;
  }
  return undefined;
};

const hasQuorum = ({ tallies }: Parts, epoch: number, target: Hash): boolean =>
  [...tallies.values()].some(
    ({ isQuorum, link }) => isQuorum && link.targetEpoch === epoch && link.targetHash === target,
  );

/** Tells whether a link makes its source final, which is on a known chain that excludes this node's final block. */
const excludes = (parts: Parts, { link, isQuorum }: Tally): boolean => {
  const { store, rivals, settled, isOnChain } = parts;
  const { sourceHash, sourceEpoch, targetHash, targetEpoch } = link;
  const source = rivals.get(sourceHash);
  const known = store.head(sourceHash);
  if (!isQuorum || !source || settled.includes(source.branch) || (known && isOnChain(known))) return false;
  for (let between = targetEpoch - 1; between > sourceEpoch; between--) {
    const checkpoint = checkpointOn(parts, targetHash, between);
    if (checkpoint === undefined || !hasQuorum(parts, between, checkpoint)) return false;
  }
  return true;
};

/** Tells of a link that makes a checkpoint final which excludes this node's, with what proves both. */
const conflictOf = ({ store, head, final, rivals, tallies }: Parts, { link }: Tally): ConflictError => {
  const theirs = [...tallies.values()].filter((each) => each.isQuorum).flatMap((each) => each.certificates);
  const { epoch, block: ours } = final();
  const { sourceEpoch, sourceHash } = link;
  const message = `two conflicting final checkpoints: ${ours.hash} of epoch ${epoch} here, ${sourceHash} of epoch ${sourceEpoch} on another chain`;
  const proofs = { ours: certificatesFor(store, head(), final()), theirs };
  return new ConflictError(message, rivals.get(sourceHash)!.branch, proofs);
};

const add = (parts: Parts, block: Block): void => {
  const { chain, rivals, tallies, onConflict } = parts;
  const { parentHash: parent, timestamp } = block.header;
  const branch = rivals.get(parent)?.branch ?? block.hash;
  rivals.set(block.hash, { parent, slot: slotOf(chain.genesis, timestamp), branch });
  forgetOldest(rivals, MAX_HEADERS);
  for (const certificate of block.body.certificates) {
    if (count(parts, certificate).length === 0) continue;
    // New votes may complete a link that spans their epoch too.
    const completed = [...tallies.values()].find((tally) => excludes(parts, tally));
    if (completed) onConflict(conflictOf(parts, completed));
  }
};

/** Makes the watch of an engine. */
export const createRivalWatch = (options: RivalWatchOptions): RivalWatch => {
  const parts: Parts = { ...options, rivals: new Map(), tallies: new Map() };
  return { has: (hash) => parts.rivals.has(hash), add: (block) => add(parts, block) };
};

const newTally = (link: Link, electorate: Electorate): Tally => ({
  link,
  certificates: [],
  electorate,
  bits: bitmapOf([], electorate.voters.length),
  isQuorum: false,
});

/** The first block on the chain of the head that a test holds for, from which on it holds for all. O(log blocks). */
const blockAfter = (store: Store, head: BlockHead, holds: (block: BlockHead) => boolean): BlockHead | undefined => {
  const at = (number: number): BlockHead => must(store.head(must(store.canonical(number), "a block")), "a block");
  if (!holds(head)) return undefined;
  let [low, high] = [0, head.header.number];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (holds(at(middle))) high = middle;
    else low = middle + 1;
  }
  return at(low);
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
