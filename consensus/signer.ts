import { type Header, hashHeader } from "../chain/header.ts";
import { blsSign } from "../lib/bls.ts";
import type { Address, Hash, Hex } from "../lib/bytes.ts";
import { signCompact } from "../lib/secp256k1.ts";
import { type Link, voteMessage } from "./finality.ts";
import { randaoMessage } from "./proposer.ts";

/** What was signed before, kept so that nothing slashable is signed again. Both reject where signing is forbidden. */
export interface SlashingProtection {
  /** Resolves once the disk knows that this proposal was signed. */
  allowProposal(validator: Address, slot: number, hash: Hash): Promise<void>;
  /** Resolves once the disk knows that this vote was signed. */
  allowVote(validator: Address, sourceEpoch: number, targetEpoch: number, targetHash: Hash): Promise<void>;
}

/**
 * Signs for one validator: with keys at hand, or by asking a program that guards them. It is told what is to be signed, not
 * bytes, so that who guards the keys can judge it.
 */
export interface Signer {
  readonly address: Address;
  /** Signs a block's header (65 bytes, secp256k1, over its hash). */
  proposal(header: Header): Promise<Hex>;
  /** Signs a slot's reveal (96 bytes, BLS). */
  reveal(genesisHash: Hash, slot: number): Promise<Hex>;
  /** Signs a vote (96 bytes, BLS). */
  vote(genesisHash: Hash, link: Link): Promise<Hex>;
}

/** Makes a signer of keys that this process holds. */
export const localSigner = ({ address, secp, bls }: { address: Address; secp: Hex; bls: Hex }): Signer => ({
  address,
  proposal: async (header) => signCompact(hashHeader(header), secp),
  reveal: async (genesisHash, slot) => blsSign(bls, randaoMessage(genesisHash, slot)),
  vote: async (genesisHash, link) => blsSign(bls, voteMessage(genesisHash, link)),
});
