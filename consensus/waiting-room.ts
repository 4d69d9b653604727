import type { Block } from "../chain/block.ts";
import type { Address, Hash } from "../lib/bytes.ts";
import { checkBody } from "./header-rules.ts";

const MAX_ORPHANS = 512;
const MAX_EARLY = 64;
/** Of one proposer: a network of one has every slot, and no proposer fills the room alone where there are others. */
const MAX_EARLY_OF_ONE = 16;
/** Bytes of all blocks that wait for a parent. */
const MAX_ORPHAN_BYTES = 64 * 1024 * 1024;

/** Where blocks wait that cannot be judged yet: their parent or their slot has not come. Bounded; who takes most gives way. */
export interface WaitingRoom {
  /** Keeps a block until its parent comes. Throws RuleError where the body is not that of its header. */
  forParent(block: Block, signer: Address): "waiting";
  /** Keeps a block for some ms, then hands it back. Throws RuleError likewise. */
  forSlot(block: Block, signer: Address, ms: number, again: () => void): "waiting";
  /** Takes out the blocks that wait for a parent. */
  childrenOf(parent: Hash): Block[];
  stop(): void;
}

interface Orphan {
  readonly block: Block;
  readonly signer: Address;
  readonly bytes: number;
}

const bytesOf = ({ body }: Block): number => body.transactions.reduce((sum, tx) => sum + tx.raw.length, 4_096);

/** Makes an empty waiting room, for blocks whose signers are known to be validators. */
export const createWaitingRoom = (): WaitingRoom => {
  /** By hash and signature, since anybody can sign a copy; oldest first. */
  const orphans = new Map<string, Orphan>();
  let orphanBytes = 0;
  const bytesBySigner = new Map<Address, number>();
  const early = new Map<string, { readonly timer: NodeJS.Timeout; readonly signer: Address }>();
  const nameOf = ({ hash, signature }: Block): string => `${hash} ${signature}`;

  const count = (signer: Address, bytes: number): void => {
    orphanBytes += bytes;
    const left = (bytesBySigner.get(signer) ?? 0) + bytes;
    if (left === 0) bytesBySigner.delete(signer);
    else bytesBySigner.set(signer, left);
  };
  const take = (name: string): Block | undefined => {
    const orphan = orphans.get(name);
    if (!orphan) return undefined;
    orphans.delete(name);
    count(orphan.signer, -orphan.bytes);
    return orphan.block;
  };
  /** Makes room: the oldest block of the signer whose blocks take most. */
  const makeRoom = (): void => {
    const [[greedy]] = [...bytesBySigner].sort(([, a], [, b]) => b - a) as [[Address, number]];
    for (const [name, { signer }] of orphans) if (signer === greedy) return void take(name);
  };

  return {
    forParent: (block, signer) => {
      if (orphans.has(nameOf(block))) return "waiting";
      checkBody(block);
      const bytes = bytesOf(block);
      orphans.set(nameOf(block), { block, signer, bytes });
      count(signer, bytes);
      while (orphans.size > MAX_ORPHANS || orphanBytes > MAX_ORPHAN_BYTES) makeRoom();
      return "waiting";
    },
    forSlot: (block, signer, ms, again) => {
      const ofSigner = [...early.values()].filter((each) => each.signer === signer).length;
      const name = nameOf(block);
      if (early.has(name) || early.size >= MAX_EARLY || ofSigner >= MAX_EARLY_OF_ONE) return "waiting";
      checkBody(block);
      const timer = setTimeout(() => {
        early.delete(name);
        again();
      }, ms);
      early.set(name, { timer, signer });
      return "waiting";
    },
    childrenOf: (parent) => {
      const children = [...orphans.values()].filter(({ block }) => block.header.parentHash === parent);
      return children.map(({ block }) => take(nameOf(block))!);
    },
    stop: () => {
      for (const { timer } of early.values()) clearTimeout(timer);
    },
  };
};
