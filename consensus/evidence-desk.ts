import type { Block, Evidence } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Address } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import type { Chain } from "./chain.ts";
import { type Attestation, judgeEvidence } from "./evidence.ts";
import { createEvidencePool } from "./evidence-pool.ts";
import { attesters } from "./finality.ts";
import { failConsensus } from "./rules.ts";
import { openSignedStore } from "./signed-store.ts";
import { createSlasher, watchedEpochs } from "./slasher.ts";

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

/** Opens the desk of an engine, with what it saw before it was stopped. */
export const openEvidenceDesk = async (options: {
  readonly db: Database;
  readonly chain: Chain;
  readonly now: () => number;
  readonly head: () => Block;
  readonly final: () => BlockHead;
  readonly stateOf: (block: BlockHead) => State;
  readonly onEvidence: (evidence: Evidence) => void;
  /** Told of the votes that it saw before it was stopped. */
  readonly onKept: (attestation: Attestation) => void;
  readonly log: Log;
}): Promise<EvidenceDesk> => {
  const { db, chain, now, head, final, stateOf, onEvidence, onKept, log } = options;
  const { genesis } = chain;
  const slasher = createSlasher(genesis.params);
  const pool = createEvidencePool();
  const signed = openSignedStore(db, watchedEpochs(genesis.params), log);

  const presentEpoch = (): number => epochOf(genesis, Math.max(0, Math.floor(slotOf(genesis, now() / 1000))));
  const evidenceEpochsAt = (epoch: number): number => paramsAt(genesis, eraOf(genesis, epoch)).evidenceEpochs;
  const keep = (evidence: Evidence): void => {
    const epoch = presentEpoch();
    // A slashing that is not final may be undone: until then its evidence is kept, and taken from others.
    const state = stateOf(final());
    const claim = judgeEvidence(chain, stateOf(head()), epoch, evidenceEpochsAt(epoch), evidence, state);
    if (!pool.isFresh(state, claim)) failConsensus("evidence-known");
    claim.verify();
    pool.add(state, evidence, claim);
  };
  const add = (evidence: Evidence): void => {
    keep(evidence);
    signed.putEvidence(evidence);
    onEvidence(evidence);
  };
  /** Keeps what this node found itself, where it still slashes somebody. */
  const accuse = (found: readonly Evidence[]): void => {
    for (const evidence of found)
      try {
        add(evidence);
        log.warn("a validator signed two things that exclude each other; evidence is kept");
      } catch (error) {
        if (!(error instanceof RuleError)) throw error;
      }
  };

  for await (const known of signed.load()) {
    if (known.kind === "vote") {
      slasher.vote(known.attestation);
      onKept(known.attestation);
    } else if (known.kind === "header") slasher.proposal(known.at, known.signer, known.block);
    else
      try {
        keep(known.evidence);
      } catch (error) {
        // It slashes nobody any more, or its time is over.
        if (!(error instanceof RuleError)) throw error;
        signed.dropEvidence(known.evidence);
      }
  }

  const watchVote = (attestation: Attestation): void => {
    const { evidence, isNew } = slasher.vote(attestation);
    if (isNew) signed.putVote(attestation);
    accuse(evidence);
  };
  return {
    add,
    all: pool.all,
    useful: pool.useful,
    watchBlock: (block) => {
      const state = stateOf(block);
      for (const certificate of block.body.certificates) {
        const { bitmap: _, signature, ...link } = certificate;
        watchVote({ indices: attesters(state, certificate), link, signature });
      }
    },
    watchHeader: (slot, signer, block) => {
      const { evidence, isNew } = slasher.proposal(slot, signer, block);
      if (isNew && evidence.length === 0) signed.putHeader(slot, signer, block);
      accuse(evidence);
    },
    watchVote,
    onFinal: (final) => {
      const epoch = presentEpoch();
      for (const evidence of pool.drop(stateOf(final), epoch - evidenceEpochsAt(epoch))) signed.dropEvidence(evidence);
      signed.prune(epoch, slotOf(genesis, final.header.timestamp));
    },
  };
};
