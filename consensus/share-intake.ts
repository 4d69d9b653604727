import type { Block, WorkShare } from "../chain/block.ts";
import { epochOf, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import { validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import type { Ethash } from "./ethash/ethash.ts";
import { mayEarnWork, type WorkWindow, workWindow } from "./resources/work.ts";
import { failConsensus } from "./rules.ts";
import { createShareCheck } from "./share-check.ts";
import { createSharePool, type SharePool } from "./share-pool.ts";
import { checkMix, checkTarget, ethashEpochAt, shareId, WORK_WINDOW } from "./shares.ts";

/** Shares whose Ethash is being computed at most; more are not looked at. */
const MAX_CHECKING = 256;
/** Shares kept at most whose anchor has not come. */
const MAX_WAITING = 256;
/** The next epoch's cache is made when this part of an epoch is left. */
const AHEAD = 64;

export interface ShareIntakeOptions {
  readonly chain: Chain;
  readonly store: Store;
  readonly ethash: Ethash;
  readonly head: () => Block;
  /** The head's state as the next block begins with it. */
  readonly nextState: () => State;
}

/** Takes work shares from outside, and finds out for the engine what Ethash says of a block's. */
export interface ShareIntake {
  readonly pool: SharePool;
  /** Checks a share, cheap things first, and keeps it. Throws RuleError where it is bad, known, or no block can take it. */
  add(share: WorkShare): Promise<void>;
  /** Gives, once, the shares that came before their anchor did. */
  takeWaiting(anchor: Hash): WorkShare[];
  /** Computes what closeBlock asks of a block's shares, all of whose other checks have passed. */
  verdicts(block: Block): Promise<(share: WorkShare) => boolean>;
  /** Forgets what is too old for a new head, and makes the next epoch's cache in time. */
  onHead(head: Block): void;
}

/** Makes the intake of one engine. */
export const createShareIntake = ({ chain, store, ethash, head, nextState }: ShareIntakeOptions): ShareIntake => {
  const { genesis, genesisHash } = chain;
  const pool = createSharePool();
  const check = createShareCheck(genesis, genesisHash, ethash);
  const checking = new Set<Hash>();
  /** By anchor; the oldest give way. */
  const waiting = new Map<Hash, WorkShare[]>();
  const putOff = (share: WorkShare): never => {
    const same = waiting.get(share.anchorHash) ?? [];
    waiting.set(share.anchorHash, [...same.slice(0, MAX_WAITING - 1), share]);
    let count = [...waiting.values()].reduce((sum, shares) => sum + shares.length, 0);
    for (const [anchor, shares] of waiting) {
      if (count <= MAX_WAITING) break;
      waiting.delete(anchor);
      count -= shares.length;
    }
    return failConsensus("share-unknown-anchor", share.anchorHash);
  };
  let last: { readonly head: Hash; readonly state: State; readonly window: WorkWindow } | undefined;

  /** The window that the next block begins with; read once a head. */
  const view = () => {
    if (last?.head !== head().hash) {
      const state = nextState();
      last = { head: head().hash, state, window: workWindow(state) };
    }
    return last;
  };

  return {
    pool,
    add: async (share) => {
      const id = shareId(share);
      if (pool.has(id) || checking.has(id)) failConsensus("share-known", id);
      const anchor = store.head(share.anchorHash) ?? putOff(share);
      const { header } = anchor;
      const { state, window } = view();
      if (header.number + WORK_WINDOW <= head().header.number || window.included.has(id))
        failConsensus("share-stale", { anchor: header.number, head: head().header.number });
      const slot = slotOf(genesis, head().header.timestamp);
      if (!mayEarnWork(validators.find(state, share.beneficiary), epochOf(genesis, slot), genesis.params))
        failConsensus("share-unfit", share.beneficiary);
      checkTarget(genesisHash, share, header.difficulty);
      if (checking.size >= MAX_CHECKING) failConsensus("share-busy", checking.size);
      checking.add(id);
      try {
        checkMix(share, await check.isEthash(share, slotOf(genesis, header.timestamp)));
        pool.add(share, header);
      } finally {
        checking.delete(id);
      }
    },
    takeWaiting: (anchor) => {
      const shares = waiting.get(anchor) ?? [];
      waiting.delete(anchor);
      return shares;
    },
    verdicts: async ({ body }) => {
      const verdicts = new Map<WorkShare, boolean>();
      // Asked one by one, and answered by a thread that hashes one by one.
      for (const share of body.workShares) {
        const anchor = store.head(share.anchorHash);
        if (!anchor) throw new Error(`the anchor ${share.anchorHash} of a share is not in the database`);
        verdicts.set(share, await check.isEthash(share, slotOf(genesis, anchor.header.timestamp)));
      }
      return (share) => {
        const verdict = verdicts.get(share);
        if (verdict === undefined) throw new Error(`share ${shareId(share)} was not verified before its block is run`);
        return verdict;
      };
    },
    onHead: ({ header }) => {
      pool.prune(header.number);
      // A chain that nobody mines needs no cache.
      if (ethash.caches === 0) return;
      const ahead = Math.ceil(genesis.params.ethashEpochSlots / AHEAD);
      ethash.prepare(ethashEpochAt(genesis, slotOf(genesis, header.timestamp) + ahead));
    },
  };
};
