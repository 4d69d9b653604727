import type { Genesis } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import { type Address, fromHex, type Hex, ZERO_HASH } from "../lib/bytes.ts";
import { address, big, type Coder, decodeWith, encodeWith, hexOf, list, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { addressId, numberId, SYSTEM_CODE, TABLE, VALIDATORS } from "./tables.ts";

/** A registered validator. Index, address and key are for ever. */
export interface Validator {
  readonly index: number;
  /** Signs proposals; pays for messages; earns. */
  readonly address: Address;
  /** Gets the bond back. */
  readonly owner: Address;
  readonly blsPublicKey: Hex;
  /** Wei. */
  readonly bond: bigint;
  /** Expected hashes. */
  readonly workCredit: bigint;
  /** Wei of burned fees. */
  readonly contributionCredit: bigint;
  /** Wei, until the next era's mint. */
  readonly pendingContribution: bigint;
  readonly inactivityScore: number;
  /** The epoch in which it asked to leave. */
  readonly exitEpoch: number | undefined;
  /** The epoch from which unbonding counts: the first set without it is confirmed. */
  readonly unbondingEpoch: number | undefined;
  readonly slashedEpoch: number | undefined;
  /** Its share of all power, of 2^32, in the last set that it has left; 0 before. */
  readonly lastPowerQ32: bigint;
}

/** A member of a set, in order of index. */
export interface Member {
  readonly index: number;
  /** Decides how often it proposes; frozen. */
  readonly power: bigint;
  /** What its vote weighs; leak and slashing lower it. */
  readonly votePower: bigint;
  /** Wei bonded when the set was chosen. */
  readonly bond: bigint;
  /** Contribution credit when the set was chosen, in wei. */
  readonly contribution: bigint;
}

/** An epoch that may not have come: 0 for none, else the epoch plus one. */
const epoch: Coder<number | undefined> = {
  encode: (value) => uint.encode(value === undefined ? 0 : value + 1),
  decode: (item) => {
    const value = uint.decode(item);
    return value === 0 ? undefined : value - 1;
  },
};

const coder = record({
  version: uint,
  index: uint,
  address,
  owner: address,
  blsPublicKey: hexOf(48),
  bond: big,
  workCredit: big,
  contributionCredit: big,
  pendingContribution: big,
  inactivityScore: uint,
  exitEpoch: epoch,
  unbondingEpoch: epoch,
  slashedEpoch: epoch,
  lastPowerQ32: big,
});
const VERSION = 1;
const MAX_MEMBERS = 4_096;
const indexCoder = uint;
const exitingCoder = list(uint, 1 << 20);
/** Which set is active, and which one was before while the change is unconfirmed (else 0). Consensus writes it. */
export const activeCoder = record({ set: uint, setBefore: uint, last: uint });
export const membersCoder = list(
  record({ index: uint, power: big, votePower: big, bond: big, contribution: big }),
  MAX_MEMBERS,
);
/** A set: the era that it was chosen for, the number that it had when it was activated, its members. Consensus writes it. */
export const setCoder = record({ era: uint, origin: uint, members: membersCoder });

const readIndex = (state: State, table: number, id: Hex): number | undefined => {
  const bytes = state.record(VALIDATORS, table, id);
  return bytes && decodeWith(indexCoder, bytes);
};

const keyId = (blsPublicKey: Hex): Hex => keccak256(fromHex(blsPublicKey));

const count = (state: State): number => readIndex(state, TABLE.validatorCount, ZERO_HASH) ?? 0;

/** Decoded validators by the bytes of their record, which the trie's cache hands out again: eras read them all. */
const decoded = new WeakMap<Uint8Array, Validator>();

const get = (state: State, index: number): Validator | undefined => {
  const bytes = state.record(VALIDATORS, TABLE.validator, numberId(index));
  if (!bytes) return undefined;
  const known = decoded.get(bytes);
  if (known) return known;
  const { version: _, ...validator } = decodeWith(coder, bytes);
  decoded.set(bytes, validator);
  return validator;
};

const set = (state: State, validator: Validator): void => {
  const bytes = encodeWith(coder, { version: VERSION, ...validator });
  decoded.set(bytes, validator);
  state.setRecord(VALIDATORS, TABLE.validator, numberId(validator.index), bytes);
};

const indexOf = (state: State, address: Address): number | undefined =>
  readIndex(state, TABLE.validatorByAddress, addressId(address));

const find = (state: State, address: Address): Validator | undefined => {
  const index = indexOf(state, address);
  return index === undefined ? undefined : get(state, index);
};

/** The validators' records at 0x…1000. Each call reads or writes a few leaves. */
export const validators = {
  count,
  get,
  set,
  indexOf,
  find,
  /** Lists all that ever registered, by index. Cost grows with their number. */
  all: (state: State): Validator[] => Array.from({ length: count(state) }, (_, index) => get(state, index)!),
  hasKey: (state: State, blsPublicKey: Hex): boolean =>
    readIndex(state, TABLE.validatorByKey, keyId(blsPublicKey)) !== undefined,
  /** Adds a validator whose address and key are new; the bond must be in the balance of 0x…1000. */
  register: (
    state: State,
    { address, owner, blsPublicKey, bond }: Pick<Validator, "address" | "owner" | "blsPublicKey" | "bond">,
  ): Validator => {
    const index = count(state);
    const validator: Validator = {
      index,
      address,
      owner,
      blsPublicKey,
      bond,
      workCredit: 0n,
      contributionCredit: 0n,
      pendingContribution: 0n,
      inactivityScore: 0,
      exitEpoch: undefined,
      unbondingEpoch: undefined,
      slashedEpoch: undefined,
      lastPowerQ32: 0n,
    };
    set(state, validator);
    const encoded = encodeWith(indexCoder, index);
    state.setRecord(VALIDATORS, TABLE.validatorByAddress, addressId(address), encoded);
    state.setRecord(VALIDATORS, TABLE.validatorByKey, keyId(blsPublicKey), encoded);
    state.setRecord(VALIDATORS, TABLE.validatorCount, ZERO_HASH, encodeWith(indexCoder, index + 1));
    return validator;
  },
  /** Lists those that asked to leave and whose unbonding has not begun, by index. */
  exiting: (state: State): readonly number[] => {
    const bytes = state.record(VALIDATORS, TABLE.exiting, ZERO_HASH);
    return bytes ? decodeWith(exitingCoder, bytes) : [];
  },
  setExiting: (state: State, indices: readonly number[]): void =>
    state.setRecord(
      VALIDATORS,
      TABLE.exiting,
      ZERO_HASH,
      indices.length === 0 ? undefined : encodeWith(exitingCoder, [...indices]),
    ),
  /** Adds wei to what an address' validator has earned in this era; false (and nothing changes) where there is none. */
  addPendingContribution: (state: State, address: Address, wei: bigint): boolean => {
    const validator = find(state, address);
    if (!validator) return false;
    set(state, { ...validator, pendingContribution: validator.pendingContribution + wei });
    return true;
  },
  /** Gives the active set; empty before genesis wrote one. Reads all its members. */
  activeSet: (state: State): readonly Member[] => {
    const active = state.record(VALIDATORS, TABLE.active, ZERO_HASH);
    if (!active) return [];
    const id = numberId(decodeWith(activeCoder, active).set);
    const set = state.record(VALIDATORS, TABLE.sets, id);
    return set ? decodeWith(setCoder, set).members : [];
  },
};

/** Tells whether a validator was slashed less than `evidenceEpochs` ago: jailed, not eligible (spec section 3). */
export const isJailed = (validator: Validator, epochNow: number, evidenceEpochs: number): boolean =>
  validator.slashedEpoch !== undefined && epochNow < validator.slashedEpoch + evidenceEpochs;

/** Writes the validators of genesis, their bonds in the balance of 0x…1000. */
export const validatorsGenesis = (state: State, genesis: Genesis): void => {
  state.setCode(VALIDATORS, SYSTEM_CODE);
  for (const validator of genesis.validators) {
    validators.register(state, validator);
    state.credit(VALIDATORS, validator.bond);
  }
};
