import type { Block } from "../chain/block.ts";
import type { Database, Op } from "../chain/db.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Chain } from "./chain.ts";
import { type Checkpointed, type ForkChoice, openForkChoice } from "./fork-choice.ts";
import { type Finality, must } from "./records.ts";
import { moveHead, mustBlock, mustHead } from "./tree.ts";

/** A move of the head: blocks that left its chain (highest first), and those that joined (lowest first). */
export interface Move {
  readonly to: Block;
  readonly left: readonly Block[];
  readonly joined: readonly Block[];
}

/** Where a node's chain stands: its head, what is justified and final, and the leaves that it chooses among. */
export interface Head {
  block(): Block;
  justified(): Checkpointed;
  final(): Checkpointed;
  finalBlock(): BlockHead;
  /** Tells whether a block is the final one or builds on it. */
  isOnFinal(block: BlockHead): boolean;
  /** Tells whether a block is on the final block's chain, before or after it. */
  isOnChain(block: BlockHead): boolean;
  /** Takes a justified checkpoint; false where one of its epoch or a later one is known. */
  justify(checkpoint: Checkpointed): boolean;
  /**
   * Takes a block that joined the tree, and what is justified and final in its state. Gives the writes that keep it, whether
   * something is newly final, and the leaves that this excludes.
   */
  add(block: Block, known: Finality): { ops: readonly Op[]; isFinal: boolean; excluded: readonly Block[] };
  /**
   * Moves to the best leaf, in the same batch as what made it so. The move counts at once; `written` resolves when the batch is
   * in the database, on the disk where `sync` asks for it.
   */
  write(ops: readonly Op[], sync: boolean): { readonly move: Move | undefined; readonly written: Promise<void> };
}

interface Parts {
  readonly db: Database;
  readonly store: Store;
  readonly now: () => number;
  readonly forkChoice: ForkChoice;
  block: Block;
  final: Checkpointed;
}

const isOnFinal = ({ store, forkChoice, final }: Parts, block: BlockHead): boolean =>
  forkChoice.descends(block, mustHead(store, final.hash));

const add = (parts: Parts, block: Block, known: Finality): ReturnType<Head["add"]> => {
  const { store, forkChoice, now } = parts;
  const isFinal = known.finalizedEpoch > parts.final.epoch;
  if (isFinal) parts.final = { epoch: known.finalizedEpoch, hash: known.finalizedHash };
  forkChoice.add(block, now());
  forkChoice.justify({ epoch: known.justifiedEpoch, hash: known.justifiedHash });
  return {
    ops: isFinal ? [store.putFinal(parts.final.epoch, parts.final.hash)] : [],
    isFinal,
    excluded: isFinal ? forkChoice.prune(mustBlock(store, parts.final.hash)) : [],
  };
};

const write = (parts: Parts, ops: readonly Op[], sync: boolean): ReturnType<Head["write"]> => {
  const { db, store, forkChoice } = parts;
  const to = forkChoice.choose(parts.block);
  const move = to.hash === parts.block.hash ? undefined : { to, ...moveHead(store, parts.block, to) };
  const written = db.batch([...ops, ...forkChoice.takeOps(), ...(move?.ops ?? [])], sync);
  if (move) parts.block = to;
  return { move, written };
};

/** Opens the head of a node where it stopped; `known` reads what a block's state says of finality. */
export const openHead = async (options: {
  readonly db: Database;
  readonly store: Store;
  readonly chain: Chain;
  readonly now: () => number;
  readonly known: (block: Block) => Finality;
}): Promise<Head> => {
  const { store, chain, known } = options;
  const block = mustBlock(store, store.pointer("head")!);
  const { justifiedEpoch: epoch, justifiedHash } = known(block);
  // Block 0's own state cannot name it.
  const hash = epoch === 0 ? chain.genesisHash : justifiedHash;
  const forkChoice = await openForkChoice(chain.genesis, store, block, { epoch, hash });
  const parts: Parts = { ...options, forkChoice, block, final: must(store.final(), "a final checkpoint") };
  return {
    block: () => parts.block,
    justified: forkChoice.justified,
    final: () => parts.final,
    finalBlock: () => mustHead(store, parts.final.hash),
    isOnFinal: (each) => isOnFinal(parts, each),
    isOnChain: (each) => isOnFinal(parts, each) || forkChoice.descends(mustHead(store, parts.final.hash), each),
    justify: forkChoice.justify,
    add: (each, finality) => add(parts, each, finality),
    write: (ops, sync) => write(parts, ops, sync),
  };
};
