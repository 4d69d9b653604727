import { MAX_WORK_SHARES, type WorkShare } from "../../chain/block.ts";
import type { Header } from "../../chain/header.ts";
import { firstSlot, type Genesis, type Params, slotOf } from "../../chain/params.ts";
import { ONLY } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { RuleError } from "../../lib/rule-error.ts";
import type { BlockContext } from "../../vm/natives.ts";
import { isJailed, type Validator, validators } from "../../vm/validator-store.ts";
import { shareDifficulty } from "../asert.ts";
import { workAhead, workAnchors, workEarned, workIncluded } from "../records.ts";
import { failConsensus } from "../rules.ts";
import { checkMix, checkTarget, shareId, WORK_WINDOW } from "../shares.ts";

/** A block at which a share may be anchored. */
export interface Anchor {
  readonly number: number;
  readonly slot: number;
  readonly difficulty: bigint;
}

/** The last blocks of a chain: where shares may be anchored, and which they include. */
export interface WorkWindow {
  readonly anchors: ReadonlyMap<Hash, Anchor>;
  readonly included: ReadonlySet<Hash>;
}

/** Records a block as an anchor in its child's state, which is the first that knows its hash. */
export const recordAnchor = (state: State, genesis: Genesis, header: Header, hash: Hash): void => {
  const { number, timestamp, difficulty } = header;
  workAnchors.set(state, number % WORK_WINDOW, { number, hash, slot: slotOf(genesis, timestamp), difficulty });
};

/** Reads the window of a state whose last anchor is recorded. 64 records. */
export const workWindow = (state: State): WorkWindow => {
  const places = Array.from({ length: WORK_WINDOW }, (_, place) => place);
  const anchors = places.map((place) => workAnchors.get(state, place)).filter((each) => each !== undefined);
  return {
    anchors: new Map(anchors.map(({ hash, ...anchor }) => [hash, anchor])),
    included: new Set(places.flatMap((place) => workIncluded.get(state, place) ?? [])),
  };
};

/** The difficulty of a block on a parent's state. */
export const workDifficulty = (state: State, params: Params): bigint =>
  shareDifficulty(params.genesisDifficulty, BigInt(-(workAhead.get(state, ONLY) ?? 0)), params.asertHalfLifeSeconds);

/** Tells whether a validator that was registered before a block may have work credited in it. */
export const mayEarnWork = (validator: Validator | undefined, epoch: number, { evidenceEpochs }: Params) =>
  validator !== undefined && !isJailed(validator, epoch, evidenceEpochs);

/** What the inclusion of shares depends on beside the state. */
export interface WorkContext
  extends Pick<BlockContext, "number" | "slot" | "epoch" | "params" | "genesisHash" | "beneficiary"> {
  /** How many validators the parent's state has: who registers in this very block earns from the next one on. */
  readonly registered: number;
}

/** Checks everything of a share but its mix, cheap things first; gives who earns and how much. Throws RuleError. */
const checkShare = (state: State, context: WorkContext, window: WorkWindow, share: WorkShare) => {
  const anchor = window.anchors.get(share.anchorHash) ?? failConsensus("share-anchor", share.anchorHash);
  const earner = validators.find(state, share.beneficiary);
  const wasRegistered = earner !== undefined && earner.index < context.registered;
  if (!wasRegistered || !mayEarnWork(earner, context.epoch, context.params))
    return failConsensus("share-beneficiary", share.beneficiary);
  if (window.included.has(shareId(share))) failConsensus("share-included", shareId(share));
  checkTarget(context.genesisHash, share, anchor.difficulty);
  return { earner, difficulty: anchor.difficulty };
};

/**
 * Includes work shares in a block (spec section 7): credits their beneficiaries, and records them for the window and for
 * rewards. `isEthash` tells whether a share's mix is Ethash's, which was found out before; `onRule` what a share that breaks
 * a rule means. Gives the shares that are in. The state holds the window up to the parent.
 */
export const includeShares = (
  state: State,
  context: WorkContext,
  shares: Iterable<WorkShare>,
  isEthash: (share: WorkShare) => boolean,
  onRule: (share: WorkShare, error: RuleError) => void,
): WorkShare[] => {
  /** Read when the first share asks: most blocks have none. */
  let window: { anchors: WorkWindow["anchors"]; included: Set<Hash> } | undefined;
  const openWindow = () => {
    const { anchors, included } = workWindow(state);
    return { anchors, included: new Set(included) };
  };
  const done: WorkShare[] = [];
  const earned: { index: number; difficulty: bigint }[] = [];
  for (const share of shares) {
    if (done.length === MAX_WORK_SHARES) break;
    try {
      window ??= openWindow();
      const { earner, difficulty } = checkShare(state, context, window, share);
      checkMix(share, isEthash(share));
      validators.set(state, { ...earner, workCredit: earner.workCredit + difficulty });
      window.included.add(shareId(share));
      earned.push({ index: earner.index, difficulty });
      done.push(share);
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      onRule(share, error);
    }
  }
  const place = context.number % WORK_WINDOW;
  // What stands there is of the block before the oldest anchor's child: it says nothing any more.
  if (done.length > 0) workIncluded.set(state, place, done.map(shareId));
  else if (workIncluded.raw(state, place)) workIncluded.set(state, place, undefined);
  if (done.length > 0) workEarned.set(state, context.slot, { includer: context.beneficiary, shares: earned });
  return done;
};

/** Moves the drift by one block: a slot passed, and so many shares came. It never rests above zero: idle time is not saved. */
export const advanceDrift = (state: State, { slotSeconds, workShareSeconds }: Params, included: number): void => {
  const was = workAhead.get(state, ONLY) ?? 0;
  const ahead = Math.max(0, was - slotSeconds + included * workShareSeconds);
  if (ahead !== was) workAhead.set(state, ONLY, ahead === 0 ? undefined : ahead);
};

/** A share that waits for its reward. */
export interface EarnedShare {
  /** The validator it was for. */
  readonly index: number;
  readonly difficulty: bigint;
  /** The beneficiary of the block that included it. */
  readonly includer: Address;
}

const slotsOf = (genesis: Genesis, epoch: number): number[] =>
  Array.from({ length: genesis.params.slotsPerEpoch }, (_, i) => firstSlot(genesis, epoch) + i);

/** Lists the shares that blocks of an epoch include, in their order (spec section 9). Reads a record a slot. */
export const workOfEpoch = (state: State, genesis: Genesis, epoch: number): EarnedShare[] =>
  slotsOf(genesis, epoch).flatMap((slot) => {
    const block = workEarned.get(state, slot);
    return block ? block.shares.map((share) => ({ ...share, includer: block.includer })) : [];
  });

/** Forgets an epoch's shares, once they are rewarded. */
export const dropWorkOfEpoch = (state: State, genesis: Genesis, epoch: number): void => {
  for (const slot of slotsOf(genesis, epoch)) if (workEarned.raw(state, slot)) workEarned.set(state, slot, undefined);
};
