import type { Block } from "../chain/block.ts";
import type { Op } from "../chain/db.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";

const failMissing = (hash: Hash): never => {
  throw new Error(`block ${hash} is not in the database`);
};

/** Reads a block that is in the tree. */
export const mustBlock = (store: Store, hash: Hash): Block => store.block(hash) ?? failMissing(hash);
/** Reads the header of a block that is in the tree. */
export const mustHead = (store: Store, hash: Hash): BlockHead => store.head(hash) ?? failMissing(hash);

/** Lists the blocks of a leaf's chain that are not on the head's, oldest first. */
export const branchOf = (store: Store, leaf: Block): Block[] => {
  const blocks: Block[] = [];
  for (let at = leaf; store.canonical(at.header.number) !== at.hash; at = mustBlock(store, at.header.parentHash))
    blocks.unshift(at);
  return blocks;
};

/** A move of the head: blocks that leave its chain (highest first), those that join (lowest first), and its writes. */
export interface HeadMove {
  readonly left: readonly Block[];
  readonly joined: readonly Block[];
  readonly ops: readonly Op[];
}

/** Finds what moves the head from one block to another. O(length of the reorganisation). */
export const moveHead = (store: Store, from: Block, to: Block): HeadMove => {
  const left: Block[] = [];
  const joined: Block[] = [];
  let [old, next] = [from, to];
  while (old.hash !== next.hash) {
    if (old.header.number >= next.header.number) {
      left.push(old);
      old = mustBlock(store, old.header.parentHash);
    } else {
      joined.unshift(next);
      next = mustBlock(store, next.header.parentHash);
    }
  }
  const ops = [
    ...left.flatMap(store.dropCanonical),
    ...joined.flatMap(store.putCanonical),
    store.putPointer("head", to.hash),
  ];
  return { left, joined, ops };
};
