import type { Block } from "../chain/block.ts";
import type { Op } from "../chain/db.ts";
import { firstSlot, type Genesis, slotOf, timestampOf } from "../chain/params.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import { mustBlock, mustHead } from "./tree.ts";

/** The checkpoint of an epoch that a quorum stands behind. */
export interface Checkpointed {
  readonly epoch: number;
  readonly hash: Hash;
}

/** Chooses the head among the leaves that this node knows (spec section 6). */
export interface ForkChoice {
  /** The justified checkpoint of highest epoch that this node knows, on chain or off. */
  justified(): Checkpointed;
  /** Takes a block that joined the tree, seen now. */
  add(block: Block, nowMs: number): void;
  /** Takes a justified checkpoint; false where one of its epoch or a later one is known. */
  justify(checkpoint: Checkpointed): boolean;
  /** Forgets leaves that are not on the chain of a final block, and gives them. */
  prune(final: Block): readonly Block[];
  /** The best leaf; the justified block itself where no leaf is a candidate. */
  choose(head: Block): Block;
  /** The writes that keep what changed since it was last asked, for the batch of what changed it. */
  takeOps(): readonly Op[];
  /** The leaves, in no order. */
  leaves(): readonly Block[];
  /** Tells whether `ancestor` is on the chain of `block`. O(distance), at once along the head's chain. */
  descends(block: BlockHead, ancestor: BlockHead): boolean;
}

const MAX_LEAVES = 256;

/** A leaf, and when it was first seen, in ms. */
interface SeenLeaf {
  readonly block: Block;
  readonly seenMs: number;
}

interface Parts {
  readonly genesis: Genesis;
  readonly store: Store;
  readonly leaves: Map<Hash, SeenLeaf>;
  justified: Checkpointed;
  ops: Op[];
}

/** Gives the block of a height on the chain of a block. */
const ancestorAt = ({ store }: Parts, block: BlockHead, number: number): BlockHead => {
  let at = block;
  while (at.header.number > number) {
    if (store.canonical(at.header.number) === at.hash) return mustHead(store, store.canonical(number)!);
    at = mustHead(store, at.header.parentHash);
  }
  return at;
};

const descends = (parts: Parts, block: BlockHead, ancestor: BlockHead): boolean =>
  block.header.number >= ancestor.header.number &&
  ancestorAt(parts, block, ancestor.header.number).hash === ancestor.hash;

/** Tells whether the checkpoint of J's epoch on a leaf's chain is J: the leaf builds on it, and past its epoch's first slot. */
const isCandidate = (parts: Parts, leaf: Block): boolean => {
  const { genesis, store, justified } = parts;
  const block = mustHead(store, justified.hash);
  if (!descends(parts, leaf, block)) return false;
  if (leaf.hash === block.hash) return true;
  const child = ancestorAt(parts, leaf, block.header.number + 1);
  return slotOf(genesis, child.header.timestamp) > firstSlot(genesis, justified.epoch);
};

const isTimely = ({ genesis }: Parts, { block, seenMs }: SeenLeaf): boolean =>
  seenMs < timestampOf(genesis, slotOf(genesis, block.header.timestamp) + 1) * 1000;

/** Tells whether a leaf is better than the best so far: higher, or as high and timely, or that too and of a lower hash. */
const isBetter = (parts: Parts, leaf: SeenLeaf, best: SeenLeaf | undefined): boolean => {
  if (!best) return true;
  const ahead = leaf.block.header.number - best.block.header.number;
  const timelier = Number(isTimely(parts, leaf)) - Number(isTimely(parts, best));
  return ahead > 0 || (ahead === 0 && (timelier > 0 || (timelier === 0 && leaf.block.hash < best.block.hash)));
};

const put = ({ leaves, ops, store }: Parts, block: Block, nowMs: number): void => {
  const seenMs = Math.floor(nowMs);
  leaves.set(block.hash, { block, seenMs });
  ops.push(store.putLeaf(block.hash, seenMs));
};

const drop = ({ leaves, ops, store }: Parts, hash: Hash): void => {
  if (leaves.delete(hash)) ops.push(store.dropLeaf(hash));
};

const add = (parts: Parts, block: Block, nowMs: number): void => {
  drop(parts, block.header.parentHash);
  put(parts, block, nowMs);
  if (parts.leaves.size <= MAX_LEAVES) return;
  const [lowest] = [...parts.leaves.values()].sort((a, b) => a.block.header.number - b.block.header.number);
  drop(parts, lowest!.block.hash);
};

const justify = (parts: Parts, checkpoint: Checkpointed): boolean => {
  if (checkpoint.epoch <= parts.justified.epoch) return false;
  parts.justified = checkpoint;
  parts.ops.push(parts.store.putJustified(checkpoint.epoch, checkpoint.hash));
  return true;
};

const prune = (parts: Parts, final: Block): readonly Block[] => {
  const gone = [...parts.leaves.values()].map(({ block }) => block).filter((block) => !descends(parts, block, final));
  for (const { hash } of gone) drop(parts, hash);
  return gone;
};

const choose = (parts: Parts, current: Block): Block => {
  const { store, leaves, justified } = parts;
  // The head may have a child of its own that is no candidate; it stays one until something better comes.
  const known = leaves.get(current.hash) ?? { block: current, seenMs: 0 };
  let best = isCandidate(parts, current) ? known : undefined;
  for (const leaf of leaves.values()) {
    if (leaf.block.hash === best?.block.hash || !isCandidate(parts, leaf.block)) continue;
    if (isBetter(parts, leaf, best)) best = leaf;
  }
  // Where every leaf builds on a first slot that the voters have not seen, the chain goes on from J itself.
  return best?.block ?? mustBlock(store, justified.hash);
};

const takeOps = (parts: Parts): readonly Op[] => {
  const taken = parts.ops;
  parts.ops = [];
  return taken;
};

/** Opens the fork choice of a node where it stopped; in a new database with a head and what that one's state justifies. */
export const openForkChoice = async (
  genesis: Genesis,
  store: Store,
  head: Block,
  from: Checkpointed,
): Promise<ForkChoice> => {
  const parts: Parts = { genesis, store, leaves: new Map(), justified: store.justified() ?? from, ops: [] };
  const { leaves } = parts;
  for await (const { hash, seenMs } of store.leaves()) leaves.set(hash, { block: mustBlock(store, hash), seenMs });
  if (leaves.size === 0) put(parts, head, 0);
  return {
    justified: () => parts.justified,
    add: (block, nowMs) => add(parts, block, nowMs),
    justify: (checkpoint) => justify(parts, checkpoint),
    prune: (final) => prune(parts, final),
    choose: (current) => choose(parts, current),
    takeOps: () => takeOps(parts),
    leaves: () => [...leaves.values()].map(({ block }) => block),
    descends: (block, ancestor) => descends(parts, block, ancestor),
  };
};
