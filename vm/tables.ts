import { type Address, type Hash, word } from "../lib/bytes.ts";

/** System accounts (spec section 10). */
export const VALIDATORS: Address = "0x0000000000000000000000000000000000001000";
export const HUB: Address = "0x0000000000000000000000000000000000001001";
export const APP_REGISTRY: Address = "0x0000000000000000000000000000000000001002";
export const DATASET_REGISTRY: Address = "0x0000000000000000000000000000000000001003";
export const WORKERPOOL_REGISTRY: Address = "0x0000000000000000000000000000000000001004";
export const TOKEN: Address = "0x0000000000000000000000000000000000001005";
export const MARKET: Address = "0x0000000000000000000000000000000000001006";

/** Code of system accounts and registry entries: INVALID, one byte, so that tools take them for contracts. */
export const SYSTEM_CODE = Uint8Array.of(0xfe);

/**
 * Tables of 0x…1000. A record is the leaf keccak256(abi.encode(uint256 table, bytes32 id)) of the account's storage
 * trie. Numbers are for ever: a format that changes carries its version in its first field. Consensus keeps its own
 * records at the same account in the tables from 32 on.
 */
export const TABLE = {
  /** id 0: how many validators ever registered. */
  validatorCount: 0,
  /** id index: a validator. */
  validator: 1,
  /** id address: its index. */
  validatorByAddress: 2,
  /** id keccak256(BLS public key): its index. */
  validatorByKey: 3,
  /** id 0: the indices of those that asked to leave, until their unbonding begins. */
  exiting: 4,
  /** id number: a set, as consensus/records.ts writes it. */
  sets: 67,
  /** id 0: which set is active. */
  active: 68,
} as const;

/** The id of a record that is numbered. */
export const numberId = (value: number | bigint): Hash => word(value);
/** The id of a record that belongs to an address. */
export const addressId = (address: Address): Hash => `0x${address.slice(2).padStart(64, "0")}`;
