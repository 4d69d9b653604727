import type { Block } from "../chain/block.ts";
import type { Database } from "../chain/db.ts";
import { epochOf, eraOf, paramsAt, slotOf } from "../chain/params.ts";
import { openState, type State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Address } from "../lib/bytes.ts";
import type { BlockContext } from "../vm/natives.ts";
import type { Chain } from "./chain.ts";
import { type Base, contextOf, drawSlot, openSlot } from "./open-slot.ts";
import { proposerOf } from "./proposer.ts";
import { must } from "./records.ts";

/** What is read of the blocks in the tree, and of the clock. */
export interface Views {
  /** Opens the post-state of a block; to be thrown away after reading or trying. */
  stateOf(block: BlockHead): State;
  /** Gives a block with what is needed to build on it. */
  baseOf(block: BlockHead): Base;
  /** What a transaction in the next slot after a block would see. */
  nextContext(block: Block): { state: State; context: BlockContext };
  /** Tells who is drawn for the slot of a block on its parent. */
  drawnFor(parent: BlockHead, block: BlockHead): Address;
  /** The present epoch, and how far back what is signed can be punished. */
  present(): { readonly epoch: number; readonly evidenceEpochs: number };
}

interface Parts {
  readonly db: Database;
  readonly store: Store;
  readonly chain: Chain;
  readonly now: () => number;
}

const stateOf = ({ db }: Parts, { header }: BlockHead): State => openState(db, header.stateRoot);

const baseOf = (parts: Parts, block: BlockHead): Base => ({
  header: block.header,
  hash: block.hash,
  peaks: must(parts.store.peaks(block.hash), `peaks of ${block.hash}`),
  openState: () => stateOf(parts, block),
});

const nextContext = (parts: Parts, block: Block): { state: State; context: BlockContext } => {
  const { chain, now } = parts;
  const next = Math.floor(slotOf(chain.genesis, Math.floor(now() / 1000)));
  const slot = Math.max(slotOf(chain.genesis, block.header.timestamp) + 1, next);
  const opened = openSlot(chain, drawSlot(chain, baseOf(parts, block), slot));
  return { state: opened.state, context: contextOf(opened, block.header.mixHash, opened.proposer.address) };
};

const drawnFor = (parts: Parts, parent: BlockHead, { header }: BlockHead): Address => {
  const { chain } = parts;
  return proposerOf(chain, parent.header, stateOf(parts, parent), slotOf(chain.genesis, header.timestamp)).proposer
    .address;
};

const present = ({ chain: { genesis }, now }: Parts): { epoch: number; evidenceEpochs: number } => {
  const epoch = epochOf(genesis, Math.max(0, Math.floor(slotOf(genesis, now() / 1000))));
  return { epoch, evidenceEpochs: paramsAt(genesis, eraOf(genesis, epoch)).evidenceEpochs };
};

/** Makes the views of an engine. */
export const createViews = (parts: Parts): Views => ({
  stateOf: (block) => stateOf(parts, block),
  baseOf: (block) => baseOf(parts, block),
  nextContext: (block) => nextContext(parts, block),
  drawnFor: (parent, block) => drawnFor(parts, parent, block),
  present: () => present(parts),
});
