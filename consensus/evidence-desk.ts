import type { Block, Evidence } from "../chain/block.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import type { Chain } from "./chain.ts";
import { type Attestation, checkEvidence } from "./evidence.ts";
import { attesters } from "./finality.ts";
import { createEvidencePool, createSlasher } from "./slasher.ts";

/** What a node does about offences: watches what it sees, and keeps evidence until what it proves is final. */
export interface EvidenceDesk {
  /** Keeps evidence that slashes somebody on the head. Throws RuleError. */
  add(evidence: Evidence): void;
  all(): readonly Evidence[];
  /** Looks at a block that joined the tree: its own signature, and the votes in its certificates. */
  watchBlock(block: Block): void;
  /** Looks at votes whose signature is verified. */
  watchVote(attestation: Attestation): void;
  /** Forgets evidence that slashes nobody on a final block. */
  onFinal(final: Block): void;
}

/** Makes the desk of an engine. */
export const createEvidenceDesk = (options: {
  readonly chain: Chain;
  readonly now: () => number;
  readonly head: () => Block;
  readonly stateOf: (block: Block) => State;
  readonly onEvidence: (evidence: Evidence) => void;
  readonly log: Log;
}): EvidenceDesk => {
  const { chain, now, head, stateOf, onEvidence, log } = options;
  const { genesis } = chain;
  const slasher = createSlasher(genesis.params);
  const pool = createEvidencePool();

  const check = (evidence: Evidence, block: Block): void => {
    const epoch = epochOf(genesis, Math.max(0, Math.floor(slotOf(genesis, now() / 1000))));
    const { evidenceEpochs } = paramsAt(genesis, eraOf(genesis, epoch));
    checkEvidence(chain, stateOf(block), epoch, evidenceEpochs, evidence);
  };
  const holds = (work: () => void): boolean => {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      return false;
    }
  };
  const add = (evidence: Evidence): void => {
    if (pool.has(evidence)) return;
    check(evidence, head());
    if (pool.add(evidence)) onEvidence(evidence);
  };
  /** Keeps what this node found itself, where it still slashes somebody. */
  const accuse = (found: readonly Evidence[]): void => {
    for (const evidence of found)
      if (holds(() => add(evidence)))
        log.warn("a validator signed two things that exclude each other; evidence is kept");
  };

  return {
    add,
    all: () => pool.all(),
    watchBlock: (block) => {
      const slot = slotOf(genesis, block.header.timestamp);
      accuse(slasher.proposal(slot, recoverCompact(block.hash, block.signature)!, block));
      const state = stateOf(block);
      for (const certificate of block.body.certificates) {
        const { bitmap: _, signature, ...link } = certificate;
        accuse(slasher.vote({ indices: attesters(state, certificate), link, signature }));
      }
    },
    watchVote: (attestation) => accuse(slasher.vote(attestation)),
    onFinal: (final) => pool.retain((evidence) => holds(() => check(evidence, final))),
  };
};
