import type { Certificate } from "../chain/block.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { blsSumOfKeys, blsVerifyAggregate } from "../lib/bls.ts";
import { type Address, type Hash, type Hex, utf8 } from "../lib/bytes.ts";
import { encodeWith, hash, raw, record, uint } from "../lib/codec.ts";
import { active, type Member, sets } from "../vm/validator-store.ts";
import { type Checkpoint, checkpoints, finality, must, tallies } from "./records.ts";
import { failConsensus } from "./rules.ts";
import { confirmSet, setAt, type Voter, votersOf, votersWithKeys } from "./sets.ts";

/** A link between checkpoints: what a vote is for. */
export interface Link {
  readonly sourceEpoch: number;
  readonly sourceHash: Hash;
  readonly targetEpoch: number;
  readonly targetHash: Hash;
}

const linkFields = { sourceEpoch: uint, sourceHash: hash, targetEpoch: uint, targetHash: hash };
export const linkCoder = record(linkFields);
const message = record({ domain: raw, genesisHash: hash, ...linkFields });

/** The bytes that a vote signs (spec section 6). */
export const voteMessage = (genesisHash: Hash, link: Link): Uint8Array =>
  encodeWith(message, { ...link, domain: utf8("rolec/vote"), genesisHash });

/** Bit i of a bitmap. */
export const hasBit = (bitmap: Uint8Array, i: number): boolean => ((bitmap[i >> 3] ?? 0) & (1 << (i & 7))) !== 0;
/** Sets bits of a bitmap of `count` members. */
export const bitmapOf = (bits: Iterable<number>, count: number): Uint8Array => {
  const bitmap = new Uint8Array(Math.ceil(count / 8));
  for (const i of bits) bitmap[i >> 3]! |= 1 << (i & 7);
  return bitmap;
};

/** Who votes for a checkpoint: the members of its set by index, then those that only the set before has. */
export interface Electorate {
  readonly voters: readonly Voter[];
  /** Tells whether these bits are a quorum: two thirds of the set, and of the set before while it counts. */
  isQuorum(bitmap: Uint8Array): boolean;
  /** Vote power of the set, all and behind these bits. */
  weigh(bitmap: Uint8Array): { readonly signed: bigint; readonly total: bigint };
}

/** Gives the electorate of a checkpoint, by the sets that its header names. O(members). */
export const electorateOf = (state: State, checkpoint: Pick<Checkpoint, "set" | "setBefore">): Electorate => {
  const { members, before, order } = votersOf(state, checkpoint);
  const position = new Map(order.map((index, i) => [index, i]));
  const weighSet = (set: readonly Member[], bitmap: Uint8Array) => {
    let [signed, total] = [0n, 0n];
    for (const member of set) {
      total += member.votePower;
      if (hasBit(bitmap, position.get(member.index)!)) signed += member.votePower;
    }
    return { signed, total };
  };
  const isTwoThirds = ({ signed, total }: { signed: bigint; total: bigint }): boolean => 3n * signed >= 2n * total;
  return {
    voters: votersWithKeys(state, checkpoint),
    isQuorum: (bitmap) => {
      const now = weighSet(members, bitmap);
      // A set in which nobody has a vote decides nothing, and as the set before it asks for nothing (docs/adr/0014).
      return now.total > 0n && isTwoThirds(now) && isTwoThirds(weighSet(before, bitmap));
    },
    weigh: (bitmap) => weighSet(members, bitmap),
  };
};

/** The indices of those who signed a certificate, ascending; none where the state does not know its target. */
export const attesters = (
  state: State,
  { targetEpoch, bitmap }: Pick<Certificate, "targetEpoch" | "bitmap">,
): number[] => {
  const checkpoint = checkpoints.get(state, targetEpoch);
  if (!checkpoint) return [];
  return electorateOf(state, checkpoint)
    .voters.filter((_, place) => hasBit(bitmap, place))
    .map((voter) => voter.index)
    .sort((a, b) => a - b);
};

/** Voters whose keys are summed once for all certificates that all of them signed; a multiple of 8. */
const GROUP = 32;
const sums = new WeakMap<readonly Voter[], Map<number, readonly Hex[]>>();

/** The keys behind a bitmap, those of whole groups as their sum: 1,024 additions take as long as the verification. */
const keysBehind = (voters: readonly Voter[], bitmap: Uint8Array): Hex[] => {
  const known = sums.get(voters) ?? new Map<number, readonly Hex[]>();
  sums.set(voters, known);
  const keysOf = (first: number): readonly Hex[] => {
    const group = voters.slice(first, first + GROUP);
    const signed = group.filter((_, i) => hasBit(bitmap, first + i)).map((voter) => voter.blsPublicKey);
    if (signed.length < GROUP) return signed;
    const found = known.get(first);
    if (found) return found;
    const sum = blsSumOfKeys(signed);
    // Keys of one hand may cancel out: such a group has no key that stands for it.
    const keys = sum ? [sum] : signed;
    known.set(first, keys);
    return keys;
  };
  return Array.from({ length: Math.ceil(voters.length / GROUP) }, (_, i) => keysOf(i * GROUP)).flat();
};

/** Verifies an aggregate signature of the voters behind a bitmap. About 1 ms and a little per voter. */
export const verifyVotes = (
  electorate: Pick<Electorate, "voters">,
  genesisHash: Hash,
  link: Link,
  bitmap: Uint8Array,
  signature: Hex,
): boolean => {
  return blsVerifyAggregate(keysBehind(electorate.voters, bitmap), voteMessage(genesisHash, link), signature);
};

/** A bitmap has exactly the bytes that its voters need, at least one bit, and none beyond them. */
const checkBitmap = (bitmap: Uint8Array, count: number): void => {
  if (bitmap.length !== Math.ceil(count / 8))
    failConsensus("certificate-bitmap", { got: bitmap.length, expected: Math.ceil(count / 8) });
  for (let i = count; i < bitmap.length * 8; i++)
    if (hasBit(bitmap, i)) failConsensus("certificate-bitmap", `bit ${i} of ${count}`);
  if (bitmap.every((byte) => byte === 0)) failConsensus("certificate-bitmap", "no bits");
};

/**
 * Includes a certificate into the state: adds its bits to its checkpoint's, and justifies and finalizes what they carry
 * (spec section 6). `openEpoch` is the oldest that is not closed. Throws RuleError where it may not be included; the signature,
 * which costs most, is checked last.
 */
export const includeCertificate = (
  state: State,
  genesisHash: Hash,
  openEpoch: number,
  includer: Address,
  certificate: Certificate,
): void => {
  const { targetEpoch, targetHash, sourceEpoch, sourceHash, bitmap, signature } = certificate;
  const checkpoint = checkpoints.get(state, targetEpoch);
  if (!checkpoint || checkpoint.hash !== targetHash) {
    failConsensus("certificate-target", { targetEpoch, targetHash });
    return;
  }
  if (checkpoint.sourceEpoch !== sourceEpoch || checkpoint.sourceHash !== sourceHash)
    failConsensus("certificate-source", { got: sourceEpoch, expected: checkpoint.sourceEpoch });
  const electorate = electorateOf(state, checkpoint);
  checkBitmap(bitmap, electorate.voters.length);
  const bits = new Uint8Array(bitmap.length);
  for (let i = 0; i < bits.length; i++) bits[i] = bitmap[i]! | (checkpoint.bits[i] ?? 0);
  if (bits.every((byte, i) => byte === (checkpoint.bits[i] ?? 0))) failConsensus("certificate-useless");
  const was = must(finality.get(state, ONLY), "finality");
  const isQuorum = electorate.isQuorum(bits);
  const justifies = isQuorum && targetEpoch > was.justifiedEpoch;
  if (targetEpoch < openEpoch && !justifies) failConsensus("certificate-target", { targetEpoch, openEpoch });
  if (!verifyVotes(electorate, genesisHash, certificate, bitmap, signature)) failConsensus("certificate-signature");
  // What comes after its epoch is closed tells the chain, but is not paid.
  if (targetEpoch >= openEpoch) {
    const tally = tallies.get(state, targetEpoch) ?? { held: false, inclusions: [] };
    const fresh = bits.map((byte, i) => byte & ~(checkpoint.bits[i] ?? 0));
    tallies.set(state, targetEpoch, { ...tally, inclusions: [...tally.inclusions, { includer, bits: fresh }] });
  }
  checkpoints.set(state, targetEpoch, { ...checkpoint, bits, justified: checkpoint.justified || isQuorum });
  if (justifies) finality.set(state, ONLY, { ...was, justifiedEpoch: targetEpoch, justifiedHash: targetHash });
  if (isQuorum && !checkpoint.justified) finalizeFrom(state, targetEpoch, openEpoch);
};

/**
 * Finalizes the source of each link that spans justified epochs alone, from the one with a new quorum on. Later links are looked
 * at too, since a quorum may come after those that it stands between.
 */
const finalizeFrom = (state: State, from: number, openEpoch: number): void => {
  const isJustified = (epoch: number): boolean => checkpoints.get(state, epoch)?.justified ?? false;
  for (let target = from; isJustified(target); target++) {
    const { sourceEpoch } = must(checkpoints.get(state, target), `checkpoint ${target}`);
    let between = target - 1;
    while (between > sourceEpoch && isJustified(between)) between--;
    if (between <= sourceEpoch && sourceEpoch > must(finality.get(state, ONLY), "finality").finalizedEpoch)
      finalize(state, sourceEpoch, openEpoch);
  }
};

/**
 * Finalizes the checkpoint of an epoch, confirms the set that it names, and forgets the checkpoints before it whose epochs are
 * closed, with their sets.
 */
const finalize = (state: State, epoch: number, openEpoch: number): void => {
  const was = must(finality.get(state, ONLY), "finality");
  const source = must(checkpoints.get(state, epoch), `checkpoint ${epoch}`);
  finality.set(state, ONLY, {
    ...was,
    finalizedEpoch: epoch,
    finalizedHash: source.hash,
    finalizedSlot: source.slot,
    finalizedMix: source.mixHash,
  });
  const current = must(active.get(state, ONLY), "the active set");
  const originOf = (set: number): number => setAt(state, set).origin;
  if (current.setBefore !== 0 && originOf(source.set) === originOf(current.set)) confirmSet(state);
  let oldest = source;
  let at = source.before;
  let next = checkpoints.get(state, at);
  while (next) {
    if (at >= openEpoch) oldest = next;
    else checkpoints.set(state, at, undefined);
    const { before } = next;
    // Epoch 0 names itself.
    next = before < at ? checkpoints.get(state, before) : undefined;
    at = before;
  }
  const kept = oldest.setBefore === 0 ? oldest.set : Math.min(oldest.set, oldest.setBefore);
  for (let set = kept - 1; set > 0 && sets.raw(state, set); set--) sets.set(state, set, undefined);
};
