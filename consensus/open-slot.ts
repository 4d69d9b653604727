import type { Header } from "../chain/header.ts";
import { type Mmr, mmrAppend, mmrRoot } from "../chain/mmr.ts";
import { epochOf, eraOf, paramsAt, timestampOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { type Address, fromHex, type Hash } from "../lib/bytes.ts";
import type { BlockContext } from "../vm/natives.ts";
import type { Chain } from "./chain.ts";
import { crossBoundaries } from "./epochs.ts";
import { nextBaseFee } from "./fees.ts";
import { type Drawn, proposerOf } from "./proposer.ts";
import { finality, must } from "./records.ts";
import { recordAnchor, workDifficulty } from "./resources/work.ts";
import { validatorsRoot } from "./validators-root.ts";

/** A block, and what is needed to build on it. */
export interface Base {
  readonly header: Header;
  readonly hash: Hash;
  readonly peaks: Mmr;
  /** Opens the block's post-state: each call a state of the caller's own. */
  openState(): State;
}

/** A slot on a base of which no more is known than who proposes in it. `state` is the base's as it stands. */
export interface DrawnSlot extends Drawn {
  readonly base: Base;
  readonly slot: number;
  readonly state: State;
}

/** A slot on a base, ready for a block: what every block of it has in common, and the state that its body is run on. */
export interface OpenSlot {
  readonly base: Base;
  readonly state: State;
  readonly proposer: Drawn["proposer"];
  /** What transactions see, but for what the block's proposer chooses. */
  readonly common: Omit<BlockContext, "mixHash" | "beneficiary">;
  readonly validatorsRoot: Hash;
  readonly historyRoot: Hash;
  readonly difficulty: bigint;
  /** The range that the history of the block's children grows from. */
  readonly peaks: Mmr;
}

/** Draws who proposes in a slot on a base. O(members). */
export const drawSlot = (chain: Chain, base: Base, slot: number): DrawnSlot => {
  const state = base.openState();
  return { ...proposerOf(chain, base.header, state, slot), base, slot, state };
};

/**
 * Makes a drawn slot ready for its block: runs steps 2 and 3 of the block transition as far as the slot alone decides them, on its
 * state, which becomes the block's. Costs what the boundaries between them cost.
 */
export const openSlot = ({ genesis, genesisHash }: Chain, { base, slot, state, proposer }: DrawnSlot): OpenSlot => {
  const { header, hash } = base;
  recordAnchor(state, genesis, header, hash);
  crossBoundaries(state, genesis, header, hash, slot);
  const epoch = epochOf(genesis, slot);
  const era = eraOf(genesis, epoch);
  const params = paramsAt(genesis, era);
  const peaks = mmrAppend(base.peaks, fromHex(hash));
  return {
    base,
    state,
    proposer,
    common: {
      number: header.number + 1,
      timestamp: timestampOf(genesis, slot),
      slot,
      epoch,
      era,
      baseFee: nextBaseFee(header),
      gasLimit: params.gasLimit,
      chainId: genesis.chainId,
      genesisHash,
      params,
      finalizedEpoch: must(finality.get(state, ONLY), "finality").finalizedEpoch,
    },
    validatorsRoot: validatorsRoot(state, genesis),
    historyRoot: mmrRoot(peaks),
    difficulty: workDifficulty(state, params),
    peaks,
  };
};

/** What transactions of a block of an open slot see. */
export const contextOf = ({ common }: OpenSlot, mixHash: Hash, beneficiary: Address): BlockContext => ({
  ...common,
  mixHash,
  beneficiary,
});
