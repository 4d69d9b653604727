import type { Evidence } from "../chain/block.ts";
import { hashHeader, headerCoder } from "../chain/header.ts";
import { epochOf, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import { blsVerify, blsVerifyAggregate } from "../lib/bls.ts";
import type { Address } from "../lib/bytes.ts";
import { type Coder, decodeWith, encodeWith, hexOf, list, record, uint, type ValueOf } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { asBytes, asList, encodeRlp, type Item } from "../lib/rlp.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { isJailed, validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { type Link, linkCoder, voteMessage } from "./finality.ts";
import { randaoMessage } from "./proposer.ts";
import { failConsensus } from "./rules.ts";
import { slash } from "./slashing.ts";

/** A set before and a new one, at most 1,024 members each. */
const MAX_INDICES = 2_048;
/** Two attestations of all members with indices of three bytes. */
export const MAX_EVIDENCE_BYTES = 32_768;

const signedHeader = { header: headerCoder, signature: hexOf(65) };
const attestation = { indices: list(uint, MAX_INDICES), link: linkCoder, signature: hexOf(96) };
const proposals = record({ kind: uint, first: record(signedHeader), second: record(signedHeader) });
const votes = record({ kind: uint, first: record(attestation), second: record(attestation) });
const KIND = { proposals: 0, votes: 1 } as const;

export type SignedHeader = Readonly<ValueOf<typeof signedHeader>>;
/** A vote that several validators signed together; indices ascend. */
export type Attestation = Readonly<ValueOf<typeof attestation>>;

/** Makes evidence of two proposals for one slot. */
export const proposalEvidence = (first: SignedHeader, second: SignedHeader): Evidence =>
  proposals.encode({ kind: KIND.proposals, first, second });
/** Makes evidence of two votes that no validator may both sign. */
export const voteEvidence = (first: Attestation, second: Attestation): Evidence => {
  const mutable = (each: Attestation) => ({ ...each, indices: [...each.indices] });
  return votes.encode({ kind: KIND.votes, first: mutable(first), second: mutable(second) });
};
/** Names evidence by its content. */
export const evidenceId = (evidence: Evidence) => keccak256(encodeRlp(evidence));

/** Evidence as it travels in gossip. */
const coder: Coder<Item> = { encode: (item) => item, decode: (item) => item };
export const encodeEvidence = (evidence: Evidence): Uint8Array => encodeWith(coder, evidence);
/** Decodes evidence strictly as RLP; its form is checked with what it proves. Throws RuleError. */
export const decodeEvidence = (bytes: Uint8Array): Evidence =>
  decodeWith(coder, bytes, { maxBytes: MAX_EVIDENCE_BYTES, maxDepth: 5 });

/** Tells whether two links may not both be signed: two votes for one epoch, or one that surrounds the other. */
export const isSlashable = (a: Link, b: Link): boolean => {
  const isDouble =
    a.targetEpoch === b.targetEpoch &&
    (a.targetHash !== b.targetHash || a.sourceEpoch !== b.sourceEpoch || a.sourceHash !== b.sourceHash);
  const surrounds = (outer: Link, inner: Link) =>
    outer.sourceEpoch < inner.sourceEpoch && inner.targetEpoch < outer.targetEpoch;
  return isDouble || surrounds(a, b) || surrounds(b, a);
};

/** Who did it, and when: the epoch of the later of the two. */
interface Offence {
  readonly indices: readonly number[];
  readonly epoch: number;
}

/**
 * Checks two headers of one slot by one signer. Each has to carry the signer's reveal for this slot of this chain: a header names
 * no chain, and a key may serve on two.
 */
const proposalOffence = (chain: Chain, state: State, item: Item): Offence => {
  const { first, second } = proposals.decode(item);
  const slot = slotOf(chain.genesis, first.header.timestamp);
  const hashes = [first, second].map((each) => hashHeader(each.header));
  if (
    hashes[0] === hashes[1] ||
    first.header.timestamp !== second.header.timestamp ||
    !Number.isInteger(slot) ||
    slot < 1
  )
    failConsensus("evidence-not-slashable", { slot, hashes });
  const [signer, other] = [first, second].map((each, i) => recoverCompact(hashes[i]!, each.signature));
  const validator = signer === other && signer !== undefined ? validators.find(state, signer) : undefined;
  if (!validator) return failConsensus("evidence-signature", { signer, other });
  const message = randaoMessage(chain.genesisHash, slot);
  const reveal = first.header.randaoReveal;
  if (second.header.randaoReveal !== reveal || !blsVerify(validator.blsPublicKey, message, reveal))
    failConsensus("evidence-signature", "a header without the reveal of this chain");
  return { indices: [validator.index], epoch: epochOf(chain.genesis, slot) };
};

const voteOffence = (chain: Chain, state: State, item: Item): Offence => {
  const { first, second } = votes.decode(item);
  if (!isSlashable(first.link, second.link)) failConsensus("evidence-not-slashable", "the votes do not conflict");
  const both = new Set(first.indices);
  for (const { indices } of [first, second])
    if (indices.length === 0 || indices.some((index, i) => i > 0 && index <= indices[i - 1]!))
      failConsensus("evidence-form", "indices do not ascend");
  for (const { indices, link, signature } of [first, second]) {
    const keys = indices.map((index) => {
      const validator = validators.get(state, index) ?? failConsensus("evidence-signature", `no validator ${index}`);
      return validator.blsPublicKey;
    });
    if (!blsVerifyAggregate(keys, voteMessage(chain.genesisHash, link), signature)) failConsensus("evidence-signature");
  }
  return {
    indices: second.indices.filter((index) => both.has(index)),
    epoch: Math.max(first.link.targetEpoch, second.link.targetEpoch),
  };
};

const offenceOf = (chain: Chain, state: State, evidence: Evidence): Offence => {
  try {
    const kind = uint.decode(asBytes(asList(evidence)[0] ?? new Uint8Array(0)));
    if (kind === KIND.proposals) return proposalOffence(chain, state, evidence);
    if (kind === KIND.votes) return voteOffence(chain, state, evidence);
    return failConsensus("evidence-form", `kind ${kind}`);
  } catch (error) {
    if (error instanceof RuleError && (error.code === "codec" || error.code === "rlp"))
      return failConsensus("evidence-form", error.message);
    throw error;
  }
};

/**
 * Checks evidence on a state and gives the validators that it slashes there (spec section 6). One slashing stands for all that a
 * validator did until then. Throws RuleError; costs two aggregate verifications at most.
 */
export const checkEvidence = (
  chain: Chain,
  state: State,
  epochNow: number,
  evidenceEpochs: number,
  evidence: Evidence,
): number[] => {
  const { indices, epoch } = offenceOf(chain, state, evidence);
  if (epoch > epochNow) failConsensus("evidence-early", { got: epoch, present: epochNow });
  if (epochNow - epoch > evidenceEpochs) failConsensus("evidence-old", { got: epoch, present: epochNow });
  const slashed = indices.filter((index) => {
    const validator = validators.get(state, index)!;
    const before = validator.slashedEpoch;
    return before === undefined || (epoch > before && !isJailed(validator, epochNow, evidenceEpochs));
  });
  if (slashed.length === 0) failConsensus("evidence-useless");
  return slashed;
};

/** Includes evidence into the state: slashes whom it proves guilty, for the beneficiary of the block. Throws RuleError. */
export const includeEvidence = (
  chain: Chain,
  state: State,
  epochNow: number,
  evidenceEpochs: number,
  beneficiary: Address,
  evidence: Evidence,
): void => {
  for (const index of checkEvidence(chain, state, epochNow, evidenceEpochs, evidence))
    slash(state, epochNow, index, beneficiary);
};
