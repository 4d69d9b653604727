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

/** Opens the fork choice of a node where it stopped; in a new database with a head and what that one's state justifies. */
export const openForkChoice = async (
  genesis: Genesis,
  store: Store,
  head: Block,
  from: Checkpointed,
): Promise<ForkChoice> => {
  let justified = store.justified() ?? from;
  /** Leaves, and when each was first seen, in ms. */
  const leaves = new Map<Hash, { readonly block: Block; readonly seenMs: number }>();
  let ops: Op[] = [];

  const isCanonical = (block: BlockHead): boolean => store.canonical(block.header.number) === block.hash;
  /** Gives the block of a height on the chain of a block. */
  const ancestorAt = (block: BlockHead, number: number): BlockHead => {
    let at = block;
    while (at.header.number > number) {
      if (isCanonical(at)) return mustHead(store, store.canonical(number)!);
      at = mustHead(store, at.header.parentHash);
    }
    return at;
  };
  const descends = (block: BlockHead, ancestor: BlockHead): boolean =>
    block.header.number >= ancestor.header.number && ancestorAt(block, ancestor.header.number).hash === ancestor.hash;

  /** Tells whether the checkpoint of J's epoch on a leaf's chain is J: the leaf builds on it, and past its epoch's first slot. */
  const isCandidate = (leaf: Block): boolean => {
    const block = mustHead(store, justified.hash);
    if (!descends(leaf, block)) return false;
    if (leaf.hash === block.hash) return true;
    const child = ancestorAt(leaf, block.header.number + 1);
    return slotOf(genesis, child.header.timestamp) > firstSlot(genesis, justified.epoch);
  };
  const isTimely = ({ block, seenMs }: { block: Block; seenMs: number }): boolean =>
    seenMs < timestampOf(genesis, slotOf(genesis, block.header.timestamp) + 1) * 1000;

  const put = (block: Block, nowMs: number): void => {
    const seenMs = Math.floor(nowMs);
    leaves.set(block.hash, { block, seenMs });
    ops.push(store.putLeaf(block.hash, seenMs));
  };
  const drop = (hash: Hash): void => {
    if (leaves.delete(hash)) ops.push(store.dropLeaf(hash));
  };
  for await (const { hash, seenMs } of store.leaves()) leaves.set(hash, { block: mustBlock(store, hash), seenMs });
  if (leaves.size === 0) put(head, 0);

  return {
    justified: () => justified,
    add: (block, nowMs) => {
      drop(block.header.parentHash);
      put(block, nowMs);
      if (leaves.size <= MAX_LEAVES) return;
      const [lowest] = [...leaves.values()].sort((a, b) => a.block.header.number - b.block.header.number);
      drop(lowest!.block.hash);
    },
    justify: (checkpoint) => {
      if (checkpoint.epoch <= justified.epoch) return false;
      justified = checkpoint;
      ops.push(store.putJustified(checkpoint.epoch, checkpoint.hash));
      return true;
    },
    prune: (final) => {
      const gone = [...leaves.values()].map(({ block }) => block).filter((block) => !descends(block, final));
      for (const { hash } of gone) drop(hash);
      return gone;
    },
    choose: (current) => {
      // The head may have a child of its own that is no candidate; it stays one until something better comes.
      const known = leaves.get(current.hash) ?? { block: current, seenMs: 0 };
      let best = isCandidate(current) ? known : undefined;
      for (const leaf of leaves.values()) {
        if (leaf.block.hash === best?.block.hash || !isCandidate(leaf.block)) continue;
        const ahead = best ? leaf.block.header.number - best.block.header.number : 1;
        const timelier = best ? Number(isTimely(leaf)) - Number(isTimely(best)) : 0;
        if (ahead > 0 || (ahead === 0 && (timelier > 0 || (timelier === 0 && leaf.block.hash < best!.block.hash))))
          best = leaf;
      }
      // Where every leaf builds on a first slot that the voters have not seen, the chain goes on from J itself.
      return best?.block ?? mustBlock(store, justified.hash);
    },
    takeOps: () => {
      const taken = ops;
      ops = [];
      return taken;
    },
    leaves: () => [...leaves.values()].map(({ block }) => block),
    descends,
  };
};
