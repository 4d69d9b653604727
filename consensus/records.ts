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
import { VALIDATORS } from "../vm/tables.ts";
import type { Member } from "../vm/validator-store.ts";

/** A record that consensus keeps in the state, one for each id. */
interface Table<T> {
  get(state: State, id: number): T | undefined;
  set(state: State, id: number, value: T | undefined): void;
  /** The record's bytes, which tell whether two are the same. */
  raw(state: State, id: number): Uint8Array | undefined;
}

const ACCOUNT: Address = VALIDATORS;
const table = <T>(number: number, coder: Coder<T>): Table<T> => ({
  get: (state, id) => {
    const value = state.record(ACCOUNT, number, word(id));
    return value && decodeWith(coder, value);
  },
  raw: (state, id) => state.record(ACCOUNT, number, word(id)),
  set: (state, id, value) =>
    state.setRecord(ACCOUNT, number, word(id), value === undefined ? undefined : encodeWith(coder, value)),
});

const member: Coder<Member> = record({ index: uint, power: big, votePower: big });
const MAX_MEMBERS = 4_096;

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
    slot: uint,
    mixHash: hash,
    set: uint,
    setBefore: uint,
    sourceEpoch: uint,
    sourceHash: hash,
    bits: bytes(512),
    justified: bool,
  }),
);
/** Sets of validators by number, from 1 on. */
export const sets = table(67, record({ era: uint, members: list(member, MAX_MEMBERS) }));
/** Which set is active, and which one was before while the change is unconfirmed (else 0). */
export const active = table(68, record({ set: uint, setBefore: uint, last: uint }));
/** The set that the last era boundary chose, for the era that it may begin with. */
export const candidate = table(69, record({ era: uint, members: list(member, MAX_MEMBERS) }));
/** The last blocks, at which a work share may be anchored, by number modulo their count; each is written by its child. */
export const workAnchors = table(80, record({ number: uint, hash, slot: uint, difficulty: big }));
/** The ids of the shares that the last blocks include, by the block's number modulo the same count. */
export const workIncluded = table(81, list(hash, MAX_WORK_SHARES));
/** Seconds by which included shares are ahead of the clock: the drift of spec section 7 with its sign turned. */
export const workAhead = table(82, uint);
/** What the shares of the block of a slot are to be rewarded for (spec section 9), until their epoch is closed. */
export const workEarned = table(
  83,
  record({ includer: address, shares: list(record({ index: uint, difficulty: big }), MAX_WORK_SHARES) }),
);

export type Finality = NonNullable<ReturnType<typeof finality.get>>;
export type Checkpoint = NonNullable<ReturnType<typeof checkpoints.get>>;

/** Reads a record that every state has. */
export const must = <T>(value: T | undefined, what: string): T => {
  if (value === undefined) throw new Error(`the state lacks ${what}`);
  return value;
};
