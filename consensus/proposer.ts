import type { Header } from "../chain/header.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import { bytesToBigint, concat, fromHex, type Hash, type Hex, uint64, utf8 } from "../lib/bytes.ts";
import { keccak256, keccak256Bytes } from "../lib/keccak.ts";
import { isJailed, type Member, type Validator, validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { proposersAt, seedMix } from "./epochs.ts";
import { must } from "./records.ts";

/** Computes the seed of an epoch from the mix of the anchor two epochs before (spec section 4). */
export const epochSeed = (epoch: number, anchorMix: Hash): Hash =>
  keccak256(utf8("rolec/seed"), uint64(epoch), fromHex(anchorMix));

/** Draws the proposer of a slot from a set: cumulative ranges of frozen power by ascending index. O(n). */
export const drawProposer = <M extends Pick<Member, "power">>(seed: Hash, slot: number, members: readonly M[]): M => {
  const total = members.reduce((sum, member) => sum + member.power, 0n);
  let pick = (bytesToBigint(keccak256Bytes(fromHex(seed), uint64(slot))) * total) >> 256n;
  for (const member of members) {
    if (pick < member.power) return member;
    pick -= member.power;
  }
  throw new Error("a set without power has no proposer");
};

/** Who was drawn for a slot. */
export interface Drawn {
  readonly proposer: Validator;
  /** False where the proposer is jailed: its slot stays empty. */
  readonly mayPropose: boolean;
}

/**
 * Draws who proposes in a slot after a block, on that block's post-state as it stands: the boundaries between them change nothing
 * of it, so that nobody crosses them who only asks for this. O(members).
 */
export const proposerOf = ({ genesis, genesisMix }: Chain, parent: Header, state: State, slot: number): Drawn => {
  const parentEpoch = epochOf(genesis, slotOf(genesis, parent.timestamp));
  const epoch = epochOf(genesis, slot);
  const seed = epochSeed(epoch, seedMix(state, parentEpoch, epoch, genesisMix));
  const { index } = drawProposer(seed, slot, proposersAt(state, genesis, parentEpoch, epoch));
  const proposer = must(validators.get(state, index), `validator ${index}`);
  const { evidenceEpochs } = paramsAt(genesis, eraOf(genesis, epoch));
  return { proposer, mayPropose: !isJailed(proposer, epoch, evidenceEpochs) };
};

/** The message whose BLS signature a proposer reveals in its slot. */
export const randaoMessage = (genesisHash: Hash, slot: number): Uint8Array =>
  concat(utf8("rolec/randao"), fromHex(genesisHash), uint64(slot));

/** Mixes a reveal into the chain's randomness. */
export const mixReveal = (mix: Hash, reveal: Hex): Hash => keccak256(fromHex(mix), fromHex(reveal));
