import { type Block, consensusRoot, transactionsRoot } from "../chain/block.ts";
import type { Address, Hash } from "../lib/bytes.ts";
import { recoverCompact } from "../lib/secp256k1.ts";
import { failConsensus } from "./rules.ts";

const MAX_ORPHANS = 512;
const MAX_EARLY = 64;
/** Bytes of all blocks that wait for a parent. */
const MAX_ORPHAN_BYTES = 64 * 1024 * 1024;
/** Blocks of one slot and proposer that gossip may bring: two are proof enough. */
const MAX_TWINS = 2;

/** Where blocks wait that cannot be judged yet: their parent or their slot has not come. Bounded; the oldest give way. */
export interface WaitingRoom {
  /** Keeps a block until its parent comes. Throws RuleError for what nobody here would have signed. */
  forParent(block: Block): "waiting";
  /** Keeps a block for some ms, then hands it back. Throws RuleError likewise. */
  forSlot(block: Block, ms: number, again: () => void): "waiting";
  /** Takes out the blocks that wait for a parent. */
  childrenOf(parent: Hash): Block[];
  /** Counts what gossip brings of a slot and proposer, who may not make the network carry any number of blocks. Throws RuleError. */
  countTwin(block: Block): void;
  stop(): void;
}

/** Makes an empty waiting room; `isValidator` tells whether an address is registered on the head. */
export const createWaitingRoom = (isValidator: (address: Address) => boolean): WaitingRoom => {
  const orphans = new Map<Hash, Block>();
  let orphanBytes = 0;
  const early = new Map<Hash, NodeJS.Timeout>();
  /** Hashes by slot and proposer. */
  const twins = new Map<string, Set<Hash>>();

  /** Refuses what no registered validator signed, or what is not the body of its header: none of it is worth keeping. */
  const authenticate = (block: Block): void => {
    const { header, body } = block;
    const proposer = recoverCompact(block.hash, block.signature);
    if (!proposer || !isValidator(proposer))
      failConsensus("block-parent-unknown", `signed by ${proposer}, which is no validator here`);
    if (header.consensusRoot !== consensusRoot(body)) failConsensus("header-consensus-root");
    if (header.transactionsRoot !== transactionsRoot(body.transactions)) failConsensus("header-transactions-root");
  };
  const sizeOf = ({ body }: Block): number => body.transactions.reduce((sum, tx) => sum + tx.raw.length, 4_096);
  const take = (block: Block): void => {
    if (orphans.delete(block.hash)) orphanBytes -= sizeOf(block);
  };

  return {
    forParent: (block) => {
      if (orphans.has(block.hash)) return "waiting";
      authenticate(block);
      orphans.set(block.hash, block);
      orphanBytes += sizeOf(block);
      for (const oldest of orphans.values()) {
        if (orphans.size <= MAX_ORPHANS && orphanBytes <= MAX_ORPHAN_BYTES) break;
        take(oldest);
      }
      return "waiting";
    },
    forSlot: (block, ms, again) => {
      if (early.has(block.hash) || early.size >= MAX_EARLY) return "waiting";
      authenticate(block);
      const timer = setTimeout(() => {
        early.delete(block.hash);
        again();
      }, ms);
      early.set(block.hash, timer);
      return "waiting";
    },
    childrenOf: (parent) => {
      const children = [...orphans.values()].filter((each) => each.header.parentHash === parent);
      for (const child of children) take(child);
      return children;
    },
    countTwin: (block) => {
      const key = `${block.header.timestamp} ${recoverCompact(block.hash, block.signature)}`;
      const hashes = twins.get(key) ?? new Set();
      if (hashes.size >= MAX_TWINS && !hashes.has(block.hash)) failConsensus("block-equivocation", key);
      twins.set(key, hashes.add(block.hash));
      if (twins.size > MAX_ORPHANS) twins.delete(twins.keys().next().value!);
    },
    stop: () => {
      for (const timer of early.values()) clearTimeout(timer);
    },
  };
};
