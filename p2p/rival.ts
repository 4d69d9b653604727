import type { PeerId } from "@libp2p/interface";
import { decodeBlock, decodeBlockHead } from "../chain/block.ts";
import type { BlockHead } from "../chain/store.ts";
import type { Engine } from "../consensus/engine.ts";
import { putNewest } from "../lib/lru.ts";
import { RuleError } from "../lib/rule-error.ts";
import { monotonic } from "./bucket.ts";

/** A peer's chain is looked at once in so long, and blocks of it at most: what certificates it has come with them. */
const AGAIN_MS = 60_000;
const MAX_BLOCKS = 4_096;
const MAX_PEERS = 256;

/** Yields a peer's blocks, encoded, from a number on. */
export type BlocksFrom = (number: number) => AsyncGenerator<Uint8Array>;

/** Brings the engine a peer's chain that excludes what is final here: it looks at its certificates, and runs none of it. */
export interface RivalReader {
  /** Reads from where the chains part up to the peer's head. `from` is the first number at which they differ, or a later one. */
  read(peer: PeerId, from: number, blocksFrom: BlocksFrom): Promise<void>;
}

/** Makes the reader of a node. */
export const createRivalReader = (engine: Pick<Engine, "has" | "importBlock">): RivalReader => {
  const readAt = new Map<string, number>();
  const isDue = (peer: PeerId): boolean => {
    const id = peer.toString();
    if ((readAt.get(id) ?? Number.NEGATIVE_INFINITY) + AGAIN_MS > monotonic()) return false;
    putNewest(readAt, id, monotonic(), MAX_PEERS);
    return true;
  };
  const firstOf = async (blocks: AsyncGenerator<Uint8Array>): Promise<BlockHead | undefined> => {
    for await (const bytes of blocks) return decodeBlockHead(bytes);
    return undefined;
  };
  return {
    read: async (peer, from, blocksFrom) => {
      if (!isDue(peer)) return;
      // Back in growing steps to a block that both have.
      let begin = from;
      for (let step = 1; begin > 1 && from - begin < MAX_BLOCKS; step *= 2) {
        begin = Math.max(1, begin - step);
        const head = await firstOf(blocksFrom(begin));
        if (!head || engine.has(head.hash)) break;
      }
      let left = MAX_BLOCKS;
      for (let number = begin, came = -1; came !== 0 && left > 0; number += came) {
        came = 0;
        for await (const bytes of blocksFrom(number)) {
          came += 1;
          left -= 1;
          if (engine.has(decodeBlockHead(bytes).hash)) continue;
          try {
            await engine.importBlock(decodeBlock(bytes));
          } catch (error) {
            if (!(error instanceof RuleError) || error.verdict === "reject") throw error;
          }
        }
      }
    },
  };
};
