import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { blsVerify } from "../lib/bls.ts";
import type { Address, Hash, Hex } from "../lib/bytes.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import { checkHeader } from "./header-rules.ts";
import { randaoMessage } from "./proposer.ts";
import { failConsensus } from "./rules.ts";
import type { Screened } from "./transition.ts";

/** Clock skew that a block may show before it is put off (spec section 2). */
export const FUTURE_TOLERANCE_MS = 500;
/** How far ahead of its slot a block may come and be kept, in ms. */
const MAX_EARLY_MS = 60_000;
const MAX_INVALID = 4_096;
const MAX_REMEMBERED = 1_024;
/** Blocks of one slot and proposer that gossip may bring: two are proof enough. */
const MAX_TWINS = 2;
/**
 * What these rules compare lies outside the block's hash (its signature) or may differ from what the hash covers (its
 * body): a copy with a wrong one says nothing against the block that the hash names.
 */
const NOT_OF_THE_HASH: ReadonlySet<string> = new Set([
  "block-signer",
  "block-proposer",
  "header-consensus-root",
  "header-transactions-root",
]);

/** Adds to a map of which the oldest entries go first. */
const remember = <K, V>(map: Map<K, V>, key: K, value: V, max: number): V => {
  map.set(key, value);
  if (map.size > max) map.delete(map.keys().next().value!);
  return value;
};

/** Judges blocks by header and signature, before anybody reads their bodies. */
export interface Admission {
  /**
   * Screens a block: gives what it found where it is worth reading. Throws RuleError otherwise: form and clock first, then what
   * the state tells, the signature last. `gossip`: the block was told by others, who may not carry any number for one slot.
   */
  screen(block: BlockHead, source?: "gossip"): Screened;
  /** Checks that a block is signed by the one drawn for its slot on its parent; `draw` is asked once. Throws RuleError. */
  checkDraw(block: BlockHead, signer: Address, draw: () => Address): void;
  /** Recovers the signer of a header; undefined where the signature is none. */
  signerOf(block: BlockHead): Address | undefined;
  /** Remembers what a block turned out to be: invalid for what its hash covers, or signed by another than the one drawn. */
  onRefused(block: BlockHead, error: unknown): void;
}

/** Makes the judge of headers of an engine. */
export const createAdmission = (options: {
  readonly chain: Chain;
  readonly store: Store;
  readonly now: () => number;
  readonly stateOf: (block: BlockHead) => State;
  readonly head: () => BlockHead;
  readonly final: () => BlockHead;
  /** Told of every block that a registered validator signed, whatever becomes of it. */
  readonly onSigned: (slot: number, signer: Address, block: BlockHead) => void;
  /** Told of a block by a validator that counts more upgrades than are known here. */
  readonly onUnknownUpgrade: (index: number, slot: number, block: BlockHead) => void;
}): Admission => {
  const { chain, store, now, stateOf, head, final, onSigned, onUnknownUpgrade } = options;
  const { genesis } = chain;
  const invalid = new Map<Hash, true>();
  /** Signers by hash and signature: a block is looked at by gossip, in the queue and in the waiting room. */
  const signers = new Map<string, Address | undefined>();
  /** Who was drawn for a slot on a parent, where others claimed it. */
  const drawn = new Map<string, Address>();
  /** Hashes by slot and proposer. */
  const twins = new Map<string, Set<Hash>>();
  /** Slot, key and reveal of headers whose reveal is verified. */
  const revealed = new Map<string, true>();

  const signerOf = ({ hash, signature }: BlockHead): Address | undefined => {
    const key = `${hash} ${signature}`;
    return signers.has(key)
      ? signers.get(key)
      : remember(signers, key, recoverCompact(hash, signature), MAX_REMEMBERED);
  };
  /**
   * Whoever may propose in an era was registered when the era before began, under finality: a node that holds a final block of
   * that era knows them all.
   */
  const knowsProposersOf = (slot: number): boolean => {
    const eraAt = (at: number): number => eraOf(genesis, epochOf(genesis, at));
    return eraAt(slotOf(genesis, final().header.timestamp)) + 1 >= eraAt(slot);
  };
  const countTwin = (slot: number, signer: Address, { hash }: BlockHead): void => {
    const key = `${slot} ${signer}`;
    const hashes = twins.get(key) ?? remember(twins, key, new Set<Hash>(), MAX_REMEMBERED);
    if (hashes.size >= MAX_TWINS && !hashes.has(hash)) failConsensus("block-equivocation", key);
    hashes.add(hash);
  };

  /** A header without its signer's reveal for its slot of this chain proves nothing, and is of no use to anybody. */
  const checkReveal = (slot: number, signer: Address, publicKey: Hex, { header }: BlockHead): void => {
    const key = `${slot} ${publicKey} ${header.randaoReveal}`;
    if (revealed.has(key)) return;
    if (!blsVerify(publicKey, randaoMessage(chain.genesisHash, slot), header.randaoReveal))
      failConsensus("block-reveal", signer);
    remember(revealed, key, true, MAX_REMEMBERED);
  };

  /** What the header alone says, and its parent's where that is here. */
  const checkForm = ({ hash, header }: BlockHead, parent: BlockHead | undefined): number => {
    if (invalid.has(hash)) failConsensus("block-known-invalid", hash);
    if (invalid.has(header.parentHash)) failConsensus("block-parent-invalid", header.parentHash);
    const slot = slotOf(genesis, header.timestamp);
    if (!Number.isInteger(slot) || slot < 1) failConsensus("header-timestamp", header.timestamp);
    if (header.timestamp * 1000 - now() - FUTURE_TOLERANCE_MS > MAX_EARLY_MS)
      failConsensus("block-future", header.timestamp);
    const { upgradesInForce } = paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot)));
    // Whatever else an upgrade changed, this tells first; what counts more is judged with its signer.
    if (header.nonce < upgradesInForce)
      failConsensus("header-upgrades", { got: header.nonce, expected: upgradesInForce });
    if (parent && header.nonce === upgradesInForce) checkHeader(chain, parent.header, header);
    return slot;
  };

  return {
    signerOf,
    screen: (block, source) => {
      const { header } = block;
      const parent = store.head(header.parentHash);
      const slot = checkForm(block, parent);
      const isOld = header.timestamp <= final().header.timestamp;
      if (source === "gossip" && isOld) failConsensus("block-not-on-finalized", block.hash);
      const signer = signerOf(block);
      const validator = signer && validators.find(stateOf(parent ?? head()), signer);
      if (signer === undefined || validator === undefined) {
        if (signer === undefined || parent || knowsProposersOf(slot))
          return failConsensus("block-signer", `signed by ${signer}, which is no validator`);
        return failConsensus("block-parent-unknown", `signed by ${signer}, which is no validator here`);
      }
      const proposer = drawn.get(`${header.parentHash} ${slot}`);
      if (proposer !== undefined && proposer !== signer)
        failConsensus("block-proposer", { got: signer, expected: proposer });
      checkReveal(slot, signer, validator.blsPublicKey, block);
      onSigned(slot, signer, block);
      const { upgradesInForce } = paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot)));
      if (header.nonce > upgradesInForce) {
        onUnknownUpgrade(validator.index, slot, block);
        failConsensus("header-upgrade-unknown", { got: header.nonce, known: upgradesInForce });
      }
      if (source === "gossip") countTwin(slot, signer, block);
      return { slot, signer, revealKey: validator.blsPublicKey };
    },
    checkDraw: ({ header }, signer, draw) => {
      const key = `${header.parentHash} ${slotOf(genesis, header.timestamp)}`;
      const expected = drawn.get(key) ?? remember(drawn, key, draw(), MAX_REMEMBERED);
      if (expected !== signer) failConsensus("block-proposer", { got: signer, expected });
    },
    onRefused: ({ hash, header }, error) => {
      if (!(error instanceof RuleError) || error.verdict !== "reject") return;
      if (!NOT_OF_THE_HASH.has(error.code)) remember(invalid, hash, true, MAX_INVALID);
      if (error.code !== "block-proposer") return;
      const { expected } = error.detail as { expected: Address };
      remember(drawn, `${header.parentHash} ${slotOf(genesis, header.timestamp)}`, expected, MAX_REMEMBERED);
    },
  };
};
