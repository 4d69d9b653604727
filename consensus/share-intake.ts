import type { Block, WorkShare } from "../chain/block.ts";
import { epochOf, slotOf } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import type { BlockHead, Store } from "../chain/store.ts";
import type { Hash } from "../lib/bytes.ts";
import { validators } from "../vm/validator-store.ts";
import type { Chain } from "./chain.ts";
import type { Ethash } from "./ethash/ethash.ts";
import { mayEarnWork, recordAnchor, type WorkWindow, workWindow } from "./resources/work.ts";
import { failConsensus } from "./rules.ts";
import { createShareCheck, type ShareCheck } from "./share-check.ts";
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
  readonly stateOf: (block: Block) => State;
  /** Told of every share that is kept. */
  readonly onShare: (share: WorkShare) => void;
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

/** The window that the next block begins with. */
interface View {
  readonly head: Hash;
  readonly state: State;
  readonly window: WorkWindow;
}

interface Parts extends ShareIntakeOptions {
  readonly pool: SharePool;
  readonly check: ShareCheck;
  readonly checking: Set<Hash>;
  /** Shares whose anchor has not come, by anchor; the oldest give way. */
  readonly waiting: Map<Hash, WorkShare[]>;
  view: View | undefined;
}

const putOff = ({ waiting }: Parts, share: WorkShare): never => {
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

/** Reads the window once a head: the head's own state, with the head as an anchor, which its child records first of all. */
const viewOf = (parts: Parts): View => {
  const { header, hash } = parts.head();
  if (parts.view?.head === hash) return parts.view;
  const state = parts.stateOf(parts.head());
  recordAnchor(state, parts.chain.genesis, header, hash);
  parts.view = { head: hash, state, window: workWindow(state) };
  return parts.view;
};

/** Checks all of a share but its mix, cheap things first; gives its anchor. Throws RuleError. */
const judge = (parts: Parts, id: Hash, share: WorkShare): BlockHead => {
  const { chain, store, pool, checking } = parts;
  const { genesis, genesisHash } = chain;
  if (pool.has(id) || checking.has(id)) failConsensus("share-known", id);
  const anchor = store.head(share.anchorHash) ?? putOff(parts, share);
  const { header } = anchor;
  const head = parts.head().header;
  const { state, window } = viewOf(parts);
  if (header.number + WORK_WINDOW <= head.number || window.included.has(id))
    failConsensus("share-stale", { anchor: header.number, head: head.number });
  if (
    !mayEarnWork(
      validators.find(state, share.beneficiary),
      epochOf(genesis, slotOf(genesis, head.timestamp)),
      genesis.params,
    )
  )
    failConsensus("share-unfit", share.beneficiary);
  checkTarget(genesisHash, share, header.difficulty);
  if (checking.size >= MAX_CHECKING) failConsensus("share-busy", checking.size);
  return anchor;
};

const add = async (parts: Parts, share: WorkShare): Promise<void> => {
  const { chain, pool, check, checking, onShare } = parts;
  const id = shareId(share);
  const { header } = judge(parts, id, share);
  checking.add(id);
  try {
    checkMix(share, await check.isEthash(share, slotOf(chain.genesis, header.timestamp)));
    pool.add(share, header);
  } finally {
    checking.delete(id);
  }
  onShare(share);
};

const verdicts = async ({ chain, store, check }: Parts, { body }: Block): Promise<(share: WorkShare) => boolean> => {
  const known = new Map<WorkShare, boolean>();
  // Asked one by one, and answered by a thread that hashes one by one.
  for (const share of body.workShares) {
    const anchor = store.head(share.anchorHash);
    if (!anchor) throw new Error(`the anchor ${share.anchorHash} of a share is not in the database`);
    known.set(share, await check.isEthash(share, slotOf(chain.genesis, anchor.header.timestamp)));
  }
  return (share) => {
    const verdict = known.get(share);
    if (verdict === undefined) throw new Error(`share ${shareId(share)} was not verified before its block is run`);
    return verdict;
  };
};

const onHead = ({ chain: { genesis }, pool, ethash }: Parts, { header }: Block): void => {
  pool.prune(header.number);
  // A chain that nobody mines needs no cache.
  if (ethash.caches === 0) return;
  const ahead = Math.ceil(genesis.params.ethashEpochSlots / AHEAD);
  ethash.prepare(ethashEpochAt(genesis, slotOf(genesis, header.timestamp) + ahead));
};

/** Makes the intake of one engine. */
export const createShareIntake = (options: ShareIntakeOptions): ShareIntake => {
  const { chain, ethash } = options;
  const pool = createSharePool();
  const check = createShareCheck(chain.genesis, chain.genesisHash, ethash);
  const parts: Parts = { ...options, pool, check, checking: new Set(), waiting: new Map(), view: undefined };
  return {
    pool,
    add: (share) => add(parts, share),
    takeWaiting: (anchor) => {
      const shares = parts.waiting.get(anchor) ?? [];
      parts.waiting.delete(anchor);
      return shares;
    },
    verdicts: (block) => verdicts(parts, block),
    onHead: (head) => onHead(parts, head),
  };
};
