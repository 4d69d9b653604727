import type { Block, Evidence } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import { slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Address } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import type { Chain } from "./chain.ts";
import { type Attestation, judgeEvidence } from "./evidence.ts";
import { createEvidencePool, type EvidencePool } from "./evidence-pool.ts";
import { attesters } from "./finality.ts";
import { failConsensus } from "./rules.ts";
import { openSignedStore, type SignedStore } from "./signed-store.ts";
import { createSlasher, type Slasher, watchedEpochs } from "./slasher.ts";

/** What a node does about offences: watches what it sees, and keeps evidence until what it proves is final. */
export interface EvidenceDesk {
  /** Keeps evidence that slashes somebody on the final block. Throws RuleError. */
  add(evidence: Evidence): void;
  all(): readonly Evidence[];
  /** Lists what slashes somebody on a state. */
  useful(state: State): Iterable<Evidence>;
  /** Looks at the votes in the certificates of a block that joined the tree. */
  watchBlock(block: Block): void;
  /** Looks at a header whose signer is known. */
  watchHeader(slot: number, signer: Address, block: BlockHead): void;
  /** Looks at votes whose signature is verified. */
  watchVote(attestation: Attestation): void;
  /** Forgets evidence that slashes nobody on a final block. */
  onFinal(final: Block): void;
}

export interface EvidenceDeskOptions {
  readonly db: Database;
  readonly chain: Chain;
  /** The present epoch, and how far back what is signed can be punished. */
  readonly present: () => { readonly epoch: number; readonly evidenceEpochs: number };
  readonly head: () => Block;
  readonly final: () => BlockHead;
  readonly stateOf: (block: BlockHead) => State;
  readonly onEvidence: (evidence: Evidence) => void;
  /** Told of the votes that it saw before it was stopped. */
  readonly onKept: (attestation: Attestation) => void;
  readonly log: Log;
}

interface Parts extends EvidenceDeskOptions {
  readonly slasher: Slasher;
  readonly pool: EvidencePool;
  readonly signed: SignedStore;
}

const keep = ({ chain, present, head, final, stateOf, pool }: Parts, evidence: Evidence): void => {
  const { epoch, evidenceEpochs } = present();
  // A slashing that is not final may be undone: until then its evidence is kept, and taken from others.
  const state = stateOf(final());
  const claim = judgeEvidence(chain, stateOf(head()), epoch, evidenceEpochs, evidence, state);
  if (!pool.isFresh(state, claim)) failConsensus("evidence-known");
  claim.verify();
  pool.add(state, evidence, claim);
};

const add = (parts: Parts, evidence: Evidence): void => {
  keep(parts, evidence);
  parts.signed.putEvidence(evidence);
  parts.onEvidence(evidence);
};

/** Keeps what this node found itself, where it still slashes somebody. */
const accuse = (parts: Parts, found: readonly Evidence[]): void => {
  for (const evidence of found)
    try {
      add(parts, evidence);
      parts.log.warn("a validator signed two things that exclude each other; evidence is kept");
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
    }
};

/** Reads what the node saw before it was stopped. */
const load = async (parts: Parts): Promise<void> => {
  const { slasher, signed, onKept } = parts;
  for await (const known of signed.load()) {
    if (known.kind === "vote") {
      slasher.vote(known.attestation);
      onKept(known.attestation);
    } else if (known.kind === "header") slasher.proposal(known.at, known.signer, known.block);
    else
      try {
        keep(parts, known.evidence);
      } catch (error) {
        // It slashes nobody any more, or its time is over.
        if (!(error instanceof RuleError)) throw error;
        signed.dropEvidence(known.evidence);
      }
  }
};

const watchVote = (parts: Parts, attestation: Attestation): void => {
  const { evidence, isNew } = parts.slasher.vote(attestation);
  if (isNew) parts.signed.putVote(attestation);
  accuse(parts, evidence);
};

const watchBlock = (parts: Parts, block: Block): void => {
  const state = parts.stateOf(block);
  for (const certificate of block.body.certificates) {
    const { bitmap: _, signature, ...link } = certificate;
    watchVote(parts, { indices: attesters(state, certificate), link, signature });
  }
};

const watchHeader = (parts: Parts, slot: number, signer: Address, block: BlockHead): void => {
  const { evidence, isNew } = parts.slasher.proposal(slot, signer, block);
  if (isNew && evidence.length === 0) parts.signed.putHeader(slot, signer, block);
  accuse(parts, evidence);
};

const onFinal = ({ chain, present, stateOf, pool, signed }: Parts, final: Block): void => {
  const { epoch, evidenceEpochs } = present();
  for (const evidence of pool.drop(stateOf(final), epoch - evidenceEpochs)) signed.dropEvidence(evidence);
  signed.prune(epoch, slotOf(chain.genesis, final.header.timestamp));
};

/** Opens the desk of an engine, with what it saw before it was stopped. */
export const openEvidenceDesk = async (options: EvidenceDeskOptions): Promise<EvidenceDesk> => {
  const { db, chain, log } = options;
  const { params } = chain.genesis;
  const signed = openSignedStore(db, watchedEpochs(params), log);
  const parts: Parts = { ...options, slasher: createSlasher(params), pool: createEvidencePool(), signed };
  await load(parts);
  return {
    add: (evidence) => add(parts, evidence),
    all: parts.pool.all,
    useful: parts.pool.useful,
    watchBlock: (block) => watchBlock(parts, block),
    watchHeader: (slot, signer, block) => watchHeader(parts, slot, signer, block),
    watchVote: (attestation) => watchVote(parts, attestation),
    onFinal: (final) => onFinal(parts, final),
  };
};
