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
import { must, workAhead, workAnchors, workEarned, workIncluded } from "../records.ts";
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

/** A share of which all but its mix is checked: who earns by it, and how much. */
export interface CheckedShare {
  readonly share: WorkShare;
  readonly index: number;
  readonly difficulty: bigint;
}

type Checking = Pick<BlockContext, "epoch" | "params" | "genesisHash">;

/** Checks everything of a share but its mix, cheap things first. Throws RuleError. */
const checkShare = (state: State, context: Checking, window: WorkWindow, share: WorkShare): CheckedShare => {
  const anchor = window.anchors.get(share.anchorHash) ?? failConsensus("share-anchor", share.anchorHash);
  const earner = validators.find(state, share.beneficiary);
  if (!earner || !mayEarnWork(earner, context.epoch, context.params))
    return failConsensus("share-beneficiary", share.beneficiary);
  if (window.included.has(shareId(share))) failConsensus("share-included", shareId(share));
  checkTarget(context.genesisHash, share, anchor.difficulty);
  return { share, index: earner.index, difficulty: anchor.difficulty };
};

/**
 * Checks the shares of a block but for their mixes, on the state that its transactions are run on: who registers in this very block
 * earns from the next one on. Nothing that a block runs before its shares changes what is asked here. `onRule` says what a
 * share that breaks a rule means. Gives those that hold, as many as a block takes.
 */
export const checkShares = (
  state: State,
  context: Checking,
  shares: Iterable<WorkShare>,
  onRule: (error: RuleError) => void,
): CheckedShare[] => {
  /** Read when the first share asks: most blocks have none. */
  let window: { anchors: WorkWindow["anchors"]; included: Set<Hash> } | undefined;
  const openWindow = () => {
    const { anchors, included } = workWindow(state);
    return { anchors, included: new Set(included) };
  };
  const checked: CheckedShare[] = [];
  for (const share of shares) {
    if (checked.length === MAX_WORK_SHARES) break;
    try {
      window ??= openWindow();
      checked.push(checkShare(state, context, window, share));
      window.included.add(shareId(share));
    } catch (error) {
      if (!(error instanceof RuleError)) throw error;
      onRule(error);
    }
  }
  return checked;
};

/**
 * Includes work shares in a block (spec section 7): credits their beneficiaries, and records them for the window and for
 * rewards. `isEthash` tells whether a share's mix is Ethash's, which was found out before. Throws RuleError where one's is not.
 */
export const includeShares = (
  state: State,
  { number, slot, beneficiary }: Pick<BlockContext, "number" | "slot" | "beneficiary">,
  shares: readonly CheckedShare[],
  isEthash: (share: WorkShare) => boolean,
): void => {
  for (const { share, index, difficulty } of shares) {
    checkMix(share, isEthash(share));
    const earner = must(validators.get(state, index), `validator ${index}`);
    validators.set(state, { ...earner, workCredit: earner.workCredit + difficulty });
  }
  const place = number % WORK_WINDOW;
  if (shares.length > 0) {
    const ids = shares.map(({ share }) => shareId(share));
    workIncluded.set(state, place, ids);
    workEarned.set(state, slot, {
      includer: beneficiary,
      shares: shares.map(({ index, difficulty }) => ({ index, difficulty })),
    });
  }
  // What stands there is of the block before the oldest anchor's child: it says nothing any more.
  else if (workIncluded.raw(state, place)) workIncluded.set(state, place, undefined);
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
