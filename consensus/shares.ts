import { type WorkShare, workShareCoder } from "../chain/block.ts";
import { epochOf, eraOf, type Genesis, paramsAt } from "../chain/params.ts";
import { bytesToBigint, fromHex, type Hash, type Hex, utf8 } from "../lib/bytes.ts";
import { address, decodeWith, encodeWith, hash, hexOf, raw, record } from "../lib/codec.ts";
import { keccak256, keccak256Bytes, keccak512Bytes } from "../lib/keccak.ts";
import { MAX_TARGET } from "./asert.ts";
import { type EthashEpoch, ethashEpoch } from "./ethash/sizes.ts";
import { failConsensus } from "./rules.ts";

/** How many blocks back a share's anchor may lie (spec section 7). */
export const WORK_WINDOW = 32;

/** What a miner works on. */
export type Work = Pick<WorkShare, "anchorHash" | "beneficiary" | "extraNonce">;

/** Encodes a share for gossip. */
export const encodeShare = (share: WorkShare): Uint8Array => encodeWith(workShareCoder, share);
/** Decodes a share strictly. Throws RuleError. */
export const decodeShare = (bytes: Uint8Array): WorkShare =>
  decodeWith(workShareCoder, bytes, { maxBytes: 256, maxDepth: 1 });

const sealed = record({ domain: raw, genesisHash: hash, anchorHash: hash, beneficiary: address, extraNonce: hash });

/** Computes what Ethash seals: the genesis hash keeps a share on its chain, the anchor in its time. */
export const sealHash = (genesisHash: Hash, work: Work): Hash =>
  keccak256(encodeWith(sealed, { ...work, domain: utf8("rolec/work"), genesisHash }));

const named = record({ anchorHash: hash, beneficiary: address, extraNonce: hash, nonce: hexOf(8) });

/** Names a share, whatever its mix says: a chain includes a name once. */
export const shareId = (share: WorkShare): Hash => keccak256(encodeWith(named, share));

/** The greatest result that a difficulty allows. */
export const targetOf = (difficulty: bigint): bigint => MAX_TARGET / difficulty;

/** Ethash's result if the mix is what it is said to be: the cheap half of the check, two hashes. */
const claimedResult = (seal: Hash, nonce: Hex, mixHash: Hash): bigint =>
  bytesToBigint(keccak256Bytes(keccak512Bytes(seedOf(seal, nonce)), fromHex(mixHash)));

/** Ethash hashes the nonce with its lowest byte first. */
const seedOf = (seal: Hash, nonce: Hex): Uint8Array => {
  const seed = new Uint8Array(40);
  seed.set(fromHex(seal));
  seed.set(fromHex(nonce).reverse(), 32);
  return seed;
};

/** Checks a share's result as its mix claims it; a forger pays `difficulty` hashes to pass. */
export const checkTarget = (genesisHash: Hash, share: WorkShare, difficulty: bigint): void => {
  const result = claimedResult(sealHash(genesisHash, share), share.nonce, share.mixHash);
  if (result > targetOf(difficulty))
    failConsensus("share-target", { got: result.toString(16), max: targetOf(difficulty).toString(16) });
};

/** Checks what Ethash said of a share's mix. */
export const checkMix = (share: WorkShare, isEthash: boolean): void => {
  if (!isEthash) failConsensus("share-mix", share.mixHash);
};

/** Gives the Ethash epoch of a slot, by the parameters in force in it. */
export const ethashEpochAt = (genesis: Genesis, slot: number): EthashEpoch => {
  const params = paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot)));
  return ethashEpoch(Math.floor(slot / params.ethashEpochSlots), params);
};
