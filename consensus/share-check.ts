import type { WorkShare } from "../chain/block.ts";
import type { Genesis } from "../chain/params.ts";
import type { Hash } from "../lib/bytes.ts";
import { putNewest } from "../lib/lru.ts";
import type { Ethash } from "./ethash/ethash.ts";
import { ethashEpochAt, sealHash, shareId } from "./shares.ts";

/** Verdicts kept: a share comes by gossip first and in a block later. */
const MAX_KNOWN = 8_192;

/** Finds out whether shares' mixes are Ethash's. The answer is a function of the share alone, whenever it is asked. */
export interface ShareCheck {
  /** Computes the mix of a share anchored at a block of this slot. 1 ms in another thread, nothing where it is known. */
  isEthash(share: WorkShare, anchorSlot: number): Promise<boolean>;
}

/** Makes the check of one chain. */
export const createShareCheck = (genesis: Genesis, genesisHash: Hash, ethash: Ethash): ShareCheck => {
  const known = new Map<string, boolean>();
  return {
    isEthash: async (share, anchorSlot) => {
      const key = `${shareId(share)} ${share.mixHash}`;
      const before = known.get(key);
      if (before !== undefined) return before;
      const seal = sealHash(genesisHash, share);
      const { mixHash } = await ethash.hash(ethashEpochAt(genesis, anchorSlot), seal, share.nonce);
      putNewest(known, key, mixHash === share.mixHash, MAX_KNOWN);
      return mixHash === share.mixHash;
    },
  };
};
