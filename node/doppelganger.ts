import type { Block } from "../chain/block.ts";
import { epochOf, firstSlot, slotOf } from "../chain/params.ts";
import type { Engine } from "../consensus/engine.ts";
import { attesters } from "../consensus/finality.ts";
import type { Address } from "../lib/bytes.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { validators } from "../vm/validator-store.ts";

/** What a validator of this node signed while this node signed nothing: another program has its keys. */
export interface Double {
  readonly validator: Address;
  /** The block's slot, or the vote's target epoch. */
  readonly slot?: number;
  readonly epoch?: number;
}

export interface DoppelgangerOptions {
  readonly engine: Engine;
  readonly validators: readonly Address[];
  /** Whole epochs to listen for, after the one that is under way; 0: none. */
  readonly epochs: number;
  /** Called once, at the first sign of a double. */
  readonly onDouble: (double: Double) => void;
}

export interface Doppelganger {
  /** The first slot in which the node may sign; 0 where it need not wait. */
  readonly firstSlot: number;
  /** Tells whether the node may sign in a slot: it has listened long enough, and heard no double. */
  mayWork(slot: number): boolean;
  stop(): void;
}

/**
 * Listens, before a node signs anything, for blocks and votes of its own validators: whoever makes those has the same keys,
 * and both together would be slashed. What counts is when a message was for, not when it came: a restarted node hears its own
 * old messages, and a double's may come late. So it goes on to hear what is of that time when the wait is over. Two programs that
 * start together hear nothing of each other; and before genesis nobody signs, so that a network's first start need not wait.
 */
export const watchForDoubles = ({ engine, validators: own, epochs, onDouble }: DoppelgangerOptions): Doppelganger => {
  const { genesis } = engine.chain;
  const mine = new Set(own);
  const present = Math.floor(slotOf(genesis, engine.now() / 1000));
  if (epochs === 0 || present < 0) return { firstSlot: 0, mayWork: () => true, stop: () => undefined };
  const presentEpoch = epochOf(genesis, present);
  const endEpoch = presentEpoch + 1 + epochs;
  const end = firstSlot(genesis, endEpoch);
  let found = false;

  const report = (double: Double): void => {
    if (found) return;
    found = true;
    onDouble(double);
  };
  const checkVote = (targetEpoch: number, indices: () => readonly number[]): void => {
    if (targetEpoch <= presentEpoch || targetEpoch >= endEpoch) return;
    const state = engine.stateOf(engine.head());
    for (const index of indices()) {
      const validator = validators.get(state, index)?.address;
      if (validator && mine.has(validator)) report({ validator, epoch: targetEpoch });
    }
  };
  const checkBlock = (block: Block): void => {
    const slot = slotOf(genesis, block.header.timestamp);
    const proposer = recoverCompact(block.hash, block.signature);
    if (slot > present && slot < end && proposer && mine.has(proposer)) report({ validator: proposer, slot });
    for (const certificate of block.body.certificates)
      checkVote(certificate.targetEpoch, () => attesters(engine.stateOf(block), certificate));
  };
  const listening = [
    engine.on("block", checkBlock),
    engine.on("vote", ({ index, link }) => checkVote(link.targetEpoch, () => [index])),
  ];
  return {
    firstSlot: end,
    mayWork: (slot) => !found && slot >= end,
    stop: () => {
      for (const end of listening) end();
    },
  };
};
