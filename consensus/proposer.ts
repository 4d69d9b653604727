import { bytesToBigint, concat, fromHex, type Hash, type Hex, uint64, utf8 } from "../lib/bytes.ts";
import { keccak256, keccak256Bytes } from "../lib/keccak.ts";
import type { Member } from "../vm/validator-store.ts";

/** Computes the seed of an epoch from the mix of the anchor two epochs before (spec section 4). */
export const epochSeed = (epoch: number, anchorMix: Hash): Hash =>
  keccak256(utf8("rolec/seed"), uint64(epoch), fromHex(anchorMix));

/** Draws the proposer of a slot from a set: cumulative ranges of frozen power by ascending index. O(n). */
export const drawProposer = (seed: Hash, slot: number, members: readonly Member[]): Member => {
  const total = members.reduce((sum, member) => sum + member.power, 0n);
  let pick = (bytesToBigint(keccak256Bytes(fromHex(seed), uint64(slot))) * total) >> 256n;
  for (const member of members) {
    if (pick < member.power) return member;
    pick -= member.power;
  }
  throw new Error("a set without power has no proposer");
};

/** The message whose BLS signature a proposer reveals in its slot. */
export const randaoMessage = (genesisHash: Hash, slot: number): Uint8Array =>
  concat(utf8("rolec/randao"), fromHex(genesisHash), uint64(slot));

/** Mixes a reveal into the chain's randomness. */
export const mixReveal = (mix: Hash, reveal: Hex): Hash => keccak256(fromHex(mix), fromHex(reveal));
