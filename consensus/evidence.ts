import type { Evidence } from "../chain/block.ts";
import { hashHeader, headerCoder } from "../chain/header.ts";
import { epochOf, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import { blsVerify, blsVerifyAggregate } from "../lib/bls.ts";
import type { Address } from "../lib/bytes.ts";
import { type Coder, decodeWith, encodeWith, hexOf, list, record, uint, type ValueOf } from "../lib/codec.ts";
import { asBytes, asList, encodeRlp, type Item } from "../lib/rlp.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { type Link, linkCoder, voteMessage } from "./finality.ts";
import { randaoMessage } from "./proposer.ts";
import { failConsensus } from "./rules.ts";
import { slash } from "./slashing.ts";

/** A set before and a new one, at most 1,024 members each. */
const MAX_INDICES = 2_048;
/** Two attestations of all members with indices of three bytes. */
const MAX_EVIDENCE_BYTES = 32_768;

const signedHeader = { header: headerCoder, signature: hexOf(65) };
const attestation = { indices: list(uint, MAX_INDICES), link: linkCoder, signature: hexOf(96) };
export const attestationCoder = record(attestation);
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

/** What evidence claims: who did it, and when (the epoch of the later of the two). */
export interface Offence {
  readonly indices: readonly number[];
  readonly epoch: number;
}
/** A claim, and the verification of its signatures, which costs a thousand times what all before it does. */
export interface Claim extends Offence {
  verify(): void;
}

/**
 * Two headers of one slot by one signer. Each has to carry the signer's reveal for this slot of this chain: a header names
 * no chain, and a key may serve on two.
 */
const proposalClaim = (chain: Chain, state: State, item: Item): Claim => {
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
  const reveal = first.header.randaoReveal;
  if (second.header.randaoReveal !== reveal) failConsensus("evidence-signature", "two reveals");
  const verify = (): void => {
    if (!blsVerify(validator.blsPublicKey, randaoMessage(chain.genesisHash, slot), reveal))
      failConsensus("evidence-signature", "a header without the reveal of this chain");
  };
  return { indices: [validator.index], epoch: epochOf(chain.genesis, slot), verify };
};

const voteClaim = (chain: Chain, state: State, item: Item): Claim => {
  const { first, second } = votes.decode(item);
  if (!isSlashable(first.link, second.link)) failConsensus("evidence-not-slashable", "the votes do not conflict");
  const both = new Set(first.indices);
  for (const { indices } of [first, second])
    if (indices.length === 0 || indices.some((index, i) => i > 0 && index <= indices[i - 1]!))
      failConsensus("evidence-form", "indices do not ascend");
  const count = validators.count(state);
  for (const { indices } of [first, second])
    if (indices.at(-1)! >= count) failConsensus("evidence-signature", `no validator ${indices.at(-1)}`);
  const verify = (): void => {
    for (const { indices, link, signature } of [first, second]) {
      const keys = indices.map((index) => validators.get(state, index)!.blsPublicKey);
      if (!blsVerifyAggregate(keys, voteMessage(chain.genesisHash, link), signature))
        failConsensus("evidence-signature");
    }
  };
  return {
    indices: second.indices.filter((index) => both.has(index)),
    epoch: Math.max(first.link.targetEpoch, second.link.targetEpoch),
    verify,
  };
};

const claimOf = (chain: Chain, state: State, evidence: Evidence): Claim => {
  const bytes = encodeRlp(evidence).length;
  if (bytes > MAX_EVIDENCE_BYTES) failConsensus("evidence-form", { bytes, max: MAX_EVIDENCE_BYTES });
  try {
    const kind = uint.decode(asBytes(asList(evidence)[0] ?? new Uint8Array(0)));
    if (kind === KIND.proposals) return proposalClaim(chain, state, evidence);
    if (kind === KIND.votes) return voteClaim(chain, state, evidence);
    return failConsensus("evidence-form", `kind ${kind}`);
  } catch (error) {
    if (error instanceof RuleError && (error.code === "codec" || error.code === "rlp"))
      return failConsensus("evidence-form", error.message);
    throw error;
  }
};

/**
 * Judges what evidence claims on a state, all but its signatures; its indices are those that are slashed for it there, or on
 * `slashedOn` (spec section 6). One slashing stands for all that a validator did until then. Throws RuleError.
 */
export const judgeEvidence = (
  chain: Chain,
  state: State,
  epochNow: number,
  evidenceEpochs: number,
  evidence: Evidence,
  slashedOn: State = state,
): Claim => {
  const claim = claimOf(chain, state, evidence);
  const { epoch } = claim;
  if (epoch > epochNow) failConsensus("evidence-early", { got: epoch, present: epochNow });
  if (epochNow - epoch > evidenceEpochs) failConsensus("evidence-old", { got: epoch, present: epochNow });
  const indices = claim.indices.filter((index) => isGuilty(slashedOn, index, epoch));
  if (indices.length === 0) failConsensus("evidence-useless");
  return { ...claim, indices };
};

/** Tells whether a validator is not slashed yet for what it did in an epoch. */
export const isGuilty = (state: State, index: number, epoch: number): boolean => {
  const before = validators.get(state, index)?.slashedEpoch;
  return before === undefined || epoch > before;
};

/** Judges evidence, its signatures last: two aggregate verifications at most. Gives whom it slashes. Throws RuleError. */
export const checkEvidence = (...given: Parameters<typeof judgeEvidence>): readonly number[] => {
  const { indices, verify } = judgeEvidence(...given);
  verify();
  return indices;
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
