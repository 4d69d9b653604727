import { MAX_WORK_SHARES } from "../chain/block.ts";
import { table } from "../chain/records.ts";
import { address, big, bool, bytes, hash, list, record, uint } from "../lib/codec.ts";
import { VALIDATORS } from "../vm/addresses.ts";
import { VALIDATORS_TABLE } from "../vm/layout.ts";
import { membersCoder } from "../vm/validator-store.ts";

const MAX_BITMAP_BYTES = 512;

/** What is justified and final in this chain's state (spec section 6). */
export const finality = table(
  VALIDATORS,
  VALIDATORS_TABLE.finality,
  0,
  record({
    justifiedEpoch: uint,
    justifiedHash: hash,
    finalizedEpoch: uint,
    finalizedHash: hash,
    finalizedSlot: uint,
    finalizedMix: hash,
  }),
);
/** A(e) of spec section 3: the block that was final in this chain's state at the end of epoch e. */
export const anchors = table(VALIDATORS, VALIDATORS_TABLE.anchor, 0, record({ slot: uint, mixHash: hash }));
/**
 * The checkpoint of an epoch on this chain: its block, the sets that its header names (0 where there is no unconfirmed
 * change), and the only source that a vote for it may have.
 */
export const checkpoints = table(
  VALIDATORS,
  VALIDATORS_TABLE.checkpoint,
  0,
  record({
    hash,
    /** The epoch whose checkpoint was recorded before this one. */
    before: uint,
    slot: uint,
    mixHash: hash,
    set: uint,
    setBefore: uint,
    sourceEpoch: uint,
    sourceHash: hash,
    bits: bytes(MAX_BITMAP_BYTES),
    justified: bool,
  }),
);
/** The sets that the last block's header names: those in force before its own certificates. */
export const named = table(VALIDATORS, VALIDATORS_TABLE.named, 0, record({ set: uint, setBefore: uint }));
/** The set that the last era boundary chose, for the era that it may begin with. */
export const candidate = table(VALIDATORS, VALIDATORS_TABLE.candidate, 0, record({ era: uint, members: membersCoder }));
/** The last blocks, at which a work share may be anchored, by number modulo their count; each is written by its child. */
export const workAnchors = table(
  VALIDATORS,
  VALIDATORS_TABLE.workAnchor,
  0,
  record({ number: uint, hash, slot: uint, difficulty: big }),
);
/** The ids of the shares that the last blocks include, by the block's number modulo the same count. */
export const workIncluded = table(VALIDATORS, VALIDATORS_TABLE.workIncluded, 0, list(hash, MAX_WORK_SHARES));
/** Seconds by which included shares are ahead of the clock: the drift of spec section 7 with its sign turned. */
export const workAhead = table(VALIDATORS, VALIDATORS_TABLE.workAhead, 0, uint);
/** What the shares of the block of a slot are to be rewarded for (spec section 9), until their epoch is closed. */
export const workEarned = table(
  VALIDATORS,
  VALIDATORS_TABLE.workEarned,
  0,
  record({ includer: address, shares: list(record({ index: uint, difficulty: big }), MAX_WORK_SHARES) }),
);
/**
 * What is known of an epoch until it is closed: whether it holds a block, and which block first included which votes for its
 * checkpoint.
 */
export const tallies = table(
  VALIDATORS,
  VALIDATORS_TABLE.tally,
  0,
  record({ held: bool, inclusions: list(record({ includer: address, bits: bytes(MAX_BITMAP_BYTES) }), 65_536) }),
);
/** Who was slashed in an epoch: its share of power, and who gets the reporter's part of what is taken later. */
export const slashings = table(
  VALIDATORS,
  VALIDATORS_TABLE.slashing,
  0,
  record({
    penalized: bool,
    entries: list(record({ index: uint, powerQ32: big, reporter: address }), 1 << 20),
  }),
);
/** The epochs whose slashings still matter, ascending. */
export const slashingEpochs = table(VALIDATORS, VALIDATORS_TABLE.slashingEpochs, 0, list(uint, 1 << 20));
/** What is left to issue, in wei; it lies in the balance of 0x…1000. */
export const reserve = table(VALIDATORS, VALIDATORS_TABLE.reserve, 0, big);
/** All wei of bonds that leak and slashing ever burned. */
export const bondsBurned = table(VALIDATORS, VALIDATORS_TABLE.bondsBurned, 0, big);
/** How many validators have an inactivity score. */
export const withScore = table(VALIDATORS, VALIDATORS_TABLE.withScore, 0, uint);

export type Finality = NonNullable<ReturnType<typeof finality.get>>;
export type Checkpoint = NonNullable<ReturnType<typeof checkpoints.get>>;

/** Reads a record that every state has. */
export const must = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new Error(`the state lacks ${what}`);
  return value;
};
