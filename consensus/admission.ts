import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import { blsVerify } from "../lib/bls.ts";
import type { Address, Hash } from "../lib/bytes.ts";
import { forgetOldest } from "../lib/lru.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { type Validator, validators } from "../vm/validator-store.ts";
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
  forgetOldest(map, max);
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

export interface AdmissionOptions {
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
}

interface Parts extends AdmissionOptions {
  readonly invalid: Map<Hash, true>;
  /** Signers by hash and signature: a block is looked at by gossip, in the queue and in the waiting room. */
  readonly signers: Map<string, Address | undefined>;
  /** Who was drawn for a slot on a parent, where others claimed it. */
  readonly drawn: Map<string, Address>;
  /** Hashes by slot and proposer. */
  readonly twins: Map<string, Set<Hash>>;
  /** Slot, key and reveal of headers whose reveal is verified. */
  readonly revealed: Map<string, true>;
}

const upgradesAt = ({ chain: { genesis } }: Parts, slot: number): number =>
  paramsAt(genesis, eraOf(genesis, epochOf(genesis, slot))).upgradesInForce;

const slotOfHead = ({ chain }: Parts, { header }: BlockHead): number => slotOf(chain.genesis, header.timestamp);

const signerOf = ({ signers }: Parts, { hash, signature }: BlockHead): Address | undefined => {
  const key = `${hash} ${signature}`;
  return signers.has(key) ? signers.get(key) : remember(signers, key, recoverCompact(hash, signature), MAX_REMEMBERED);
};

/**
 * Whoever may propose in an era was registered when the era before began, under finality: a node that holds a final block of
 * that era knows them all.
 */
const knowsProposersOf = (parts: Parts, slot: number): boolean => {
  const { genesis } = parts.chain;
  const eraAt = (at: number): number => eraOf(genesis, epochOf(genesis, at));
  return eraAt(slotOfHead(parts, parts.final())) + 1 >= eraAt(slot);
};

const countTwin = ({ twins }: Parts, slot: number, signer: Address, { hash }: BlockHead): void => {
  const key = `${slot} ${signer}`;
  const hashes = twins.get(key) ?? remember(twins, key, new Set<Hash>(), MAX_REMEMBERED);
  if (hashes.size >= MAX_TWINS && !hashes.has(hash)) failConsensus("block-equivocation", key);
  hashes.add(hash);
};

/** A header without its signer's reveal for its slot of this chain proves nothing, and is of no use to anybody. */
const checkReveal = ({ chain, revealed }: Parts, slot: number, signer: Validator, { header }: BlockHead): void => {
  const key = `${slot} ${signer.blsPublicKey} ${header.randaoReveal}`;
  if (revealed.has(key)) return;
  if (!blsVerify(signer.blsPublicKey, randaoMessage(chain.genesisHash, slot), header.randaoReveal))
    failConsensus("block-reveal", signer.address);
  remember(revealed, key, true, MAX_REMEMBERED);
};

/** What the header alone says, and its parent's where that is here. */
const checkForm = (parts: Parts, { hash, header }: BlockHead, parent: BlockHead | undefined): number => {
  const { chain, now, invalid } = parts;
  if (invalid.has(hash)) failConsensus("block-known-invalid", hash);
  if (invalid.has(header.parentHash)) failConsensus("block-parent-invalid", header.parentHash);
  const slot = slotOf(chain.genesis, header.timestamp);
  if (!Number.isInteger(slot) || slot < 1) failConsensus("header-timestamp", header.timestamp);
  if (header.timestamp * 1000 - now() - FUTURE_TOLERANCE_MS > MAX_EARLY_MS)
    failConsensus("block-future", header.timestamp);
  const upgrades = upgradesAt(parts, slot);
  // Whatever else an upgrade changed, this tells first; what counts more is judged with its signer.
  if (header.nonce < upgrades) failConsensus("header-upgrades", { got: header.nonce, expected: upgrades });
  if (parent && header.nonce === upgrades) checkHeader(chain, parent.header, header);
  return slot;
};

/** Finds the validator that signed a block: one of the parent's state, or of the head's while the parent is not here. */
const findSigner = (parts: Parts, slot: number, block: BlockHead, parent: BlockHead | undefined): Validator => {
  const signer = signerOf(parts, block);
  const validator = signer && validators.find(parts.stateOf(parent ?? parts.head()), signer);
  if (validator) return validator;
  return signer === undefined || parent || knowsProposersOf(parts, slot)
    ? failConsensus("block-signer", `signed by ${signer}, which is no validator`)
    : failConsensus("block-parent-unknown", `signed by ${signer}, which is no validator here`);
};

const screen = (parts: Parts, block: BlockHead, source: "gossip" | undefined): Screened => {
  const { store, final, drawn, onSigned, onUnknownUpgrade } = parts;
  const { header } = block;
  const parent = store.head(header.parentHash);
  const slot = checkForm(parts, block, parent);
  const isOld = header.timestamp <= final().header.timestamp;
  if (source === "gossip" && isOld) failConsensus("block-not-on-finalized", block.hash);
  const signer = findSigner(parts, slot, block, parent);
  const proposer = drawn.get(`${header.parentHash} ${slot}`);
  if (proposer !== undefined && proposer !== signer.address)
    failConsensus("block-proposer", { got: signer.address, expected: proposer });
  checkReveal(parts, slot, signer, block);
  onSigned(slot, signer.address, block);
  const upgrades = upgradesAt(parts, slot);
  if (header.nonce > upgrades) {
    onUnknownUpgrade(signer.index, slot, block);
    failConsensus("header-upgrade-unknown", { got: header.nonce, known: upgrades });
  }
  if (source === "gossip") countTwin(parts, slot, signer.address, block);
  return { slot, signer: signer.address, revealKey: signer.blsPublicKey };
};

const checkDraw = (parts: Parts, block: BlockHead, signer: Address, draw: () => Address): void => {
  const key = `${block.header.parentHash} ${slotOfHead(parts, block)}`;
  const expected = parts.drawn.get(key) ?? remember(parts.drawn, key, draw(), MAX_REMEMBERED);
  if (expected !== signer) failConsensus("block-proposer", { got: signer, expected });
};

const onRefused = (parts: Parts, block: BlockHead, error: unknown): void => {
  if (!(error instanceof RuleError) || error.verdict !== "reject") return;
  if (!NOT_OF_THE_HASH.has(error.code)) remember(parts.invalid, block.hash, true, MAX_INVALID);
  if (error.code !== "block-proposer") return;
  const { expected } = error.detail as { expected: Address };
  remember(parts.drawn, `${block.header.parentHash} ${slotOfHead(parts, block)}`, expected, MAX_REMEMBERED);
};

/** Makes the judge of headers of an engine. */
export const createAdmission = (options: AdmissionOptions): Admission => {
  const maps = { invalid: new Map(), signers: new Map(), drawn: new Map(), twins: new Map(), revealed: new Map() };
  const parts: Parts = { ...options, ...maps };
  return {
    signerOf: (block) => signerOf(parts, block),
    screen: (block, source) => screen(parts, block, source),
    checkDraw: (block, signer, draw) => checkDraw(parts, block, signer, draw),
    onRefused: (block, error) => onRefused(parts, block, error),
  };
};
