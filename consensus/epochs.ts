import type { Header } from "../chain/header.ts";
import { epochOf, eraOf, firstSlot, type Genesis, paramsAt, slotOf } from "../chain/params.ts";
import { ONLY } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import type { Hash } from "../lib/bytes.ts";
import { burnedOfEra } from "../vm/market/burned.ts";
import { active, isJailed, type Member, type Validator, validators } from "../vm/validator-store.ts";
import { beginUnbonding } from "./exits.ts";
import { leakEpoch } from "./leak.ts";
import { chooseSet, fadeAndMint } from "./power.ts";
import {
  anchors,
  type Checkpoint,
  candidate,
  checkpoints,
  finality,
  must,
  named,
  reserve,
  tallies,
} from "./records.ts";
import { dropWorkOfEpoch, workOfEpoch } from "./resources/work.ts";
import { payRewards, rewardsOf, votesOf } from "./rewards.ts";
import { sharesAt } from "./schedule.ts";
import { activateSet, activeSets, votersOf, votersWithKeys } from "./sets.ts";
import { penalizeSlashed, silenceSlashed } from "./slashing.ts";

/** After a standstill, the epochs whose checkpoints and anchors are kept: votes for those before are not taken any more. */
export const KEPT_EPOCHS = 256;

/** Tells whether a validator may be in a set (spec section 3, step 2). */
const isEligible = (validator: Validator, epoch: number, minBondWei: bigint, evidenceEpochs: number): boolean =>
  validator.exitEpoch === undefined && validator.bond >= minBondWei && !isJailed(validator, epoch, evidenceEpochs);

/** A block that may be a checkpoint: the sets that its header names, and the only source that a vote for it may have. */
export type Named = Omit<Checkpoint, "before" | "bits" | "justified">;

/** Reads from a block's own post-state what it is as a checkpoint, whatever its epoch. */
export const namedBlock = (state: State, genesis: Genesis, header: Header, hash: Hash): Named => {
  const { set, setBefore } = must(named.get(state, ONLY), "the sets that a header names");
  const { justifiedEpoch, justifiedHash } = must(finality.get(state, ONLY), "finality");
  return {
    hash,
    slot: slotOf(genesis, header.timestamp),
    mixHash: header.mixHash,
    set,
    setBefore,
    sourceEpoch: justifiedEpoch,
    // Block 0's own state cannot name it.
    sourceHash: header.number === 0 ? hash : justifiedHash,
  };
};

/** Tells whether a block is the checkpoint of an epoch on a chain that has not gone on from it. */
export const isCheckpointOf = (genesis: Genesis, { slot }: Pick<Named, "slot">, epoch: number): boolean =>
  slot <= firstSlot(genesis, epoch);

/** Records a block as the checkpoint of an epoch. */
const recordCheckpoint = (state: State, epoch: number, before: number, block: Named): void =>
  checkpoints.set(state, epoch, { ...block, before, bits: new Uint8Array(0), justified: false });

/** Puts block 0's hash where its own state could not know it. */
const nameGenesis = (state: State, hash: Hash): void => {
  const genesis = must(checkpoints.get(state, 0), "checkpoint 0");
  checkpoints.set(state, 0, { ...genesis, hash, sourceHash: hash });
  const was = must(finality.get(state, ONLY), "finality");
  finality.set(state, ONLY, { ...was, justifiedHash: hash, finalizedHash: hash });
};

/** A(epoch) of spec section 3, as a later block finds it, on the post-state of one of `parentEpoch`. */
const anchorAt = (state: State, parentEpoch: number, epoch: number): { slot: number; mixHash: Hash } => {
  if (epoch < parentEpoch) return must(anchors.get(state, epoch), `anchor ${epoch}`);
  const { finalizedSlot, finalizedMix } = must(finality.get(state, ONLY), "finality");
  return { slot: finalizedSlot, mixHash: finalizedMix };
};

/** The mix that seeds an epoch: that of A(epoch-2), genesis' before. */
export const seedMix = (state: State, parentEpoch: number, epoch: number, genesisMix: Hash): Hash =>
  epoch < 2 ? genesisMix : anchorAt(state, parentEpoch, epoch - 2).mixHash;

const isJailedAt = (state: State, genesis: Genesis, epoch: number, index: number): boolean => {
  const { evidenceEpochs } = paramsAt(genesis, eraOf(genesis, epoch));
  return isJailed(must(validators.get(state, index), `validator ${index}`), epoch, evidenceEpochs);
};

/** The first epoch of the era after that of an epoch: where boundaries are crossed, only there a set may begin. */
const nextEraBegin = (genesis: Genesis, epoch: number): number =>
  (eraOf(genesis, epoch) + 1) * genesis.params.epochsPerEra;

/** The candidate that becomes the set between a block of `parentEpoch` and one of `epoch` (spec section 3, step 3). */
const setThatBegins = (state: State, genesis: Genesis, parentEpoch: number, epoch: number) => {
  const boundary = nextEraBegin(genesis, parentEpoch);
  if (boundary > epoch) return undefined;
  const era = eraOf(genesis, boundary);
  const next = candidate.get(state, ONLY);
  const { setBefore } = must(active.get(state, ONLY), "the active set");
  const { slot } = anchorAt(state, parentEpoch, boundary - 2);
  const underFinality = slot >= firstSlot(genesis, (era - 1) * genesis.params.epochsPerEra);
  if (!next || next.era !== era || setBefore !== 0 || !underFinality) return undefined;
  return next.members.every(({ index }) => isJailedAt(state, genesis, boundary, index)) ? undefined : next;
};

/** The set that proposes in an epoch, on the post-state of a block of `parentEpoch`. */
export const proposersAt = (
  state: State,
  genesis: Genesis,
  parentEpoch: number,
  epoch: number,
): readonly Pick<Member, "index" | "power">[] =>
  setThatBegins(state, genesis, parentEpoch, epoch)?.members ?? activeSets(state).members;

/** Closes an epoch: those who did not vote leak, then those who did are paid (spec sections 6 and 9). */
const closeEpoch = (state: State, genesis: Genesis, epoch: number, epochNow: number): void => {
  if (epoch < 0) return;
  const tally = tallies.get(state, epoch);
  if (!tally) return;
  tallies.set(state, epoch, undefined);
  if (!tally.held) return;
  const era = eraOf(genesis, epoch);
  const params = paramsAt(genesis, era);
  const checkpoint = must(checkpoints.get(state, epoch), `checkpoint ${epoch}`);
  leakEpoch(state, params, epoch, checkpoint);
  const { members, order } = votersOf(state, checkpoint);
  const payments = rewardsOf({
    params,
    shares: sharesAt(params.schedule, era),
    reserve: must(reserve.get(state, ONLY), "the reserve"),
    burnedBefore: era === 0 ? 0n : burnedOfEra(state, era - 1),
    members,
    votes: votesOf(order, tally.inclusions),
    workShares: workOfEpoch(state, genesis, epoch),
  });
  const addresses = new Map(votersWithKeys(state, checkpoint).map(({ index, address }) => [index, address]));
  payRewards(state, params, epochNow, payments, addresses);
  dropWorkOfEpoch(state, genesis, epoch);
};

/**
 * Runs what the epoch boundaries between a parent and a block's slot ask (spec section 2, step 2), on the parent's state,
 * which becomes the block's. Cost: one pass over the set an epoch, and one over all validators where an era begins.
 */
export const crossBoundaries = (
  state: State,
  genesis: Genesis,
  parent: Header,
  parentHash: Hash,
  slot: number,
): void => {
  const parentSlot = slotOf(genesis, parent.timestamp);
  const parentEpoch = epochOf(genesis, parentSlot);
  const epoch = epochOf(genesis, slot);
  if (parent.number === 0) nameGenesis(state, parentHash);
  const block = namedBlock(state, genesis, parent, parentHash);
  // A block at its epoch's first slot is that epoch's checkpoint; its hash is known from its child on.
  if (parentSlot === firstSlot(genesis, parentEpoch) && parentSlot > 0)
    recordCheckpoint(state, parentEpoch, parentEpoch - 1, block);
  if (epoch > parentEpoch)
    tallies.set(state, parentEpoch, { inclusions: tallies.get(state, parentEpoch)?.inclusions ?? [], held: true });
  const { inclusionEpochs } = genesis.params;
  /** The boundary that closes the parent's epoch, the last that holds anything. */
  const closing = parentEpoch + 1 + inclusionEpochs;
  /** The first epoch after a standstill whose checkpoint and anchor are kept: nobody votes for those before it any more. */
  const resumed = Math.max(closing + 1, epoch - KEPT_EPOCHS);
  const anchor = anchorAt(state, parentEpoch, parentEpoch);
  const begins = setThatBegins(state, genesis, parentEpoch, epoch);
  const eraBegin = nextEraBegin(genesis, parentEpoch);
  for (let boundary = parentEpoch + 1; boundary <= epoch; boundary++) {
    if (boundary <= closing || boundary >= resumed) crossOne(boundary);
    if (begins && boundary === eraBegin)
      activateSet(state, begins, (index) => isJailedAt(state, genesis, boundary, index));
  }
  const eras = eraOf(genesis, epoch) - eraOf(genesis, parentEpoch);
  if (eras > 0) beginEra(state, genesis, epoch, eras);
  nameSets(state);

  function crossOne(boundary: number): void {
    const params = paramsAt(genesis, eraOf(genesis, boundary));
    anchors.set(state, boundary - 1, anchor);
    if (boundary >= 4) anchors.set(state, boundary - 4, undefined);
    // What stands before a standstill is as old by now.
    if (boundary === resumed)
      for (let old = Math.max(0, closing - 4); old < Math.min(closing, boundary - 4); old++)
        anchors.set(state, old, undefined);
    if (boundary > inclusionEpochs) closeEpoch(state, genesis, boundary - 1 - inclusionEpochs, boundary);
    penalizeSlashed(state, params, boundary);
    beginUnbonding(state, boundary);
    silenceSlashed(state, boundary);
    const before = boundary === resumed ? closing : boundary - 1;
    if (slot > firstSlot(genesis, boundary)) recordCheckpoint(state, boundary, before, block);
  }
};

/** Keeps which sets the block's header names, whatever its own certificates change: it may be a checkpoint (section 3). */
const nameSets = (state: State): void => {
  const { set, setBefore } = must(active.get(state, ONLY), "the active set");
  const before = must(named.get(state, ONLY), "the sets that a header names");
  if (before.set !== set || before.setBefore !== setBefore) named.set(state, ONLY, { set, setBefore });
};

/** Fades and mints credits over the eras crossed, and chooses the set for the era after this one. */
const beginEra = (state: State, genesis: Genesis, epoch: number, eras: number): void => {
  const era = eraOf(genesis, epoch);
  const params = paramsAt(genesis, era);
  const before = validators.all(state);
  const after = fadeAndMint(params, before, eras);
  for (const [i, validator] of after.entries()) {
    const was = before[i]!;
    const same =
      was.workCredit === validator.workCredit &&
      was.contributionCredit === validator.contributionCredit &&
      was.pendingContribution === 0n;
    if (!same) validators.set(state, validator);
  }
  const eligible = after.filter((each) => isEligible(each, epoch, params.minBondWei, params.evidenceEpochs));
  const members = chooseSet(params, eligible, era + 1);
  candidate.set(state, ONLY, { era: era + 1, members });
};
