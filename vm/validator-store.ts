import type { Genesis } from "../chain/params.ts";
import { ONLY, table } from "../chain/records.ts";
import type { State } from "../chain/state.ts";
import { type Address, fromHex, type Hash, type Hex } from "../lib/bytes.ts";
import { address, big, type Coder, hexOf, list, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { SYSTEM_CODE, VALIDATORS } from "./addresses.ts";
import { VALIDATORS_TABLE } from "./layout.ts";

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

const byIndex = table<Validator>(
  VALIDATORS,
  VALIDATORS_TABLE.validator,
  1,
  record({
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
  }),
);
const counts = table(VALIDATORS, VALIDATORS_TABLE.validatorCount, 0, uint);
const indices = table(VALIDATORS, VALIDATORS_TABLE.validatorByAddress, 0, uint);
const keys = table(VALIDATORS, VALIDATORS_TABLE.validatorByKey, 0, uint);
const exiting = table(VALIDATORS, VALIDATORS_TABLE.exiting, 0, list(uint, 1 << 20));

const MAX_MEMBERS = 4_096;
/** The members of a set. */
export const membersCoder = list(
  record({ index: uint, power: big, votePower: big, bond: big, contribution: big }),
  MAX_MEMBERS,
);
/**
 * Sets of validators by number, from 1 on. A set whose vote powers change gets a new number and keeps its origin, the number
 * that it was activated with: checkpoints name the set whose weights their header has. Consensus writes them.
 */
export const sets = table(
  VALIDATORS,
  VALIDATORS_TABLE.set,
  0,
  record({ era: uint, origin: uint, members: membersCoder }),
);
/** Which set is active, and which one was before while the change is unconfirmed (else 0). Consensus writes it. */
export const active = table(VALIDATORS, VALIDATORS_TABLE.active, 0, record({ set: uint, setBefore: uint, last: uint }));

const keyId = (blsPublicKey: Hex): Hash => keccak256(fromHex(blsPublicKey));

const count = (state: State): number => counts.get(state, ONLY) ?? 0;

const get = (state: State, index: number): Validator | undefined => byIndex.get(state, index);

const set = (state: State, validator: Validator): void => byIndex.set(state, validator.index, validator);

const indexOf = (state: State, address: Address): number | undefined => indices.get(state, address);

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
  hasKey: (state: State, blsPublicKey: Hex): boolean => keys.raw(state, keyId(blsPublicKey)) !== undefined,
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
    indices.set(state, address, index);
    keys.set(state, keyId(blsPublicKey), index);
    counts.set(state, ONLY, index + 1);
    return validator;
  },
  /** Lists those that asked to leave and whose unbonding has not begun, by index. */
  exiting: (state: State): readonly number[] => exiting.get(state, ONLY) ?? [],
  setExiting: (state: State, leaving: readonly number[]): void =>
    exiting.set(state, ONLY, leaving.length === 0 ? undefined : leaving),
  /** Adds wei to what an address' validator has earned in this era; false (and nothing changes) where there is none. */
  addPendingContribution: (state: State, address: Address, wei: bigint): boolean => {
    const validator = find(state, address);
    if (!validator) return false;
    set(state, { ...validator, pendingContribution: validator.pendingContribution + wei });
    return true;
  },
  /** Gives the active set; empty before genesis wrote one. Reads all its members. */
  activeSet: (state: State): readonly Member[] => {
    const current = active.get(state, ONLY);
    return (current && sets.get(state, current.set)?.members) ?? [];
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
