import { MAX_WORK_SHARES } from "../chain/block.ts";
import type { State } from "../chain/state.ts";
import { type Address, word } from "../lib/bytes.ts";
import {
  address,
  big,
  bool,
  bytes,
  type Coder,
  decodeWith,
  encodeWith,
  hash,
  list,
  record,
  uint,
} from "../lib/codec.ts";
import { TABLE, VALIDATORS } from "../vm/tables.ts";
import { activeCoder, membersCoder, setCoder } from "../vm/validator-store.ts";

/** A record that consensus keeps in the state, one for each id. */
interface Table<T> {
  get(state: State, id: number): T | undefined;
  set(state: State, id: number, value: T | undefined): void;
  /** The record's bytes, which tell whether two are the same. */
  raw(state: State, id: number): Uint8Array | undefined;
}

const ACCOUNT: Address = VALIDATORS;
const table = <T>(number: number, coder: Coder<T>): Table<T> => {
  /** By the bytes of the record, which the trie's cache hands out again. */
  const decoded = new WeakMap<Uint8Array, T>();
  const raw = (state: State, id: number) => state.record(ACCOUNT, number, word(id));
  return {
    get: (state, id) => {
      const bytes = raw(state, id);
      if (!bytes) return undefined;
      const known = decoded.get(bytes);
      if (known !== undefined) return known;
      const value = decodeWith(coder, bytes);
      decoded.set(bytes, value);
      return value;
    },
    raw,
    set: (state, id, value) =>
      state.setRecord(ACCOUNT, number, word(id), value === undefined ? undefined : encodeWith(coder, value)),
  };
};

const MAX_BITMAP_BYTES = 512;

/** The id of a record that there is one of. */
export const ONLY = 0;

/** What is justified and final in this chain's state (spec section 6). */
export const finality = table(
  64,
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
export const anchors = table(65, record({ slot: uint, mixHash: hash }));
/**
 * The checkpoint of an epoch on this chain: its block, the sets that its header names (0 where there is no unconfirmed
 * change), and the only source that a vote for it may have.
 */
export const checkpoints = table(
  66,
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
/**
 * Sets of validators by number, from 1 on. A set whose vote powers change gets a new number and keeps its origin, the number
 * that it was activated with: checkpoints name the set whose weights their header has.
 */
export const sets = table(TABLE.sets, setCoder);
/** Which set is active, and which one was before while the change is unconfirmed (else 0). */
export const active = table(TABLE.active, activeCoder);
/** The sets that the last block's header names: those in force before its own certificates. */
export const named = table(86, record({ set: uint, setBefore: uint }));
/** The set that the last era boundary chose, for the era that it may begin with. */
export const candidate = table(69, record({ era: uint, members: membersCoder }));
/** The last blocks, at which a work share may be anchored, by number modulo their count; each is written by its child. */
export const workAnchors = table(70, record({ number: uint, hash, slot: uint, difficulty: big }));
/** The ids of the shares that the last blocks include, by the block's number modulo the same count. */
export const workIncluded = table(71, list(hash, MAX_WORK_SHARES));
/** Seconds by which included shares are ahead of the clock: the drift of spec section 7 with its sign turned. */
export const workAhead = table(72, uint);
/** What the shares of the block of a slot are to be rewarded for (spec section 9), until their epoch is closed. */
export const workEarned = table(
  73,
  record({ includer: address, shares: list(record({ index: uint, difficulty: big }), MAX_WORK_SHARES) }),
);
/**
 * What is known of an epoch until it is closed: whether it holds a block, and which block first included which votes for its
 * checkpoint.
 */
export const tallies = table(
  80,
  record({ held: bool, inclusions: list(record({ includer: address, bits: bytes(MAX_BITMAP_BYTES) }), 65_536) }),
);
/** Who was slashed in an epoch: its share of power, and who gets the reporter's part of what is taken later. */
export const slashings = table(
  81,
  record({
    penalized: bool,
    entries: list(record({ index: uint, powerQ32: big, reporter: address }), 1 << 20),
  }),
);
/** The epochs whose slashings still matter, ascending. */
export const slashingEpochs = table(82, list(uint, 1 << 20));
/** What is left to issue, in wei; it lies in the balance of 0x…1000. */
export const reserve = table(83, big);
/** All wei of bonds that leak and slashing ever burned. */
export const bondsBurned = table(84, big);
/** How many validators have an inactivity score. */
export const withScore = table(85, uint);

export type Finality = NonNullable<ReturnType<typeof finality.get>>;
export type Checkpoint = NonNullable<ReturnType<typeof checkpoints.get>>;

/** Reads a record that every state has. */
export const must = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new Error(`the state lacks ${what}`);
  return value;
};
