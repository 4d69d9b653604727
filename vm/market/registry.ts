import { anyBytes, anyText, ONLY, pairId, single, type Table, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, concat, fromHex, type Hash, toHex, word, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address, big, type Coder, hash, record, uint } from "../../lib/codec.ts";
import { keccak256, keccak256Bytes } from "../../lib/keccak.ts";
import { encodeCall } from "../abi.ts";
import { APP_REGISTRY, DATASET_REGISTRY, SYSTEM_CODE, WORKERPOOL_REGISTRY } from "../addresses.ts";
import { REGISTRY_TABLE } from "../layout.ts";
import { ensure } from "../revert.ts";
import { errorsOf, eventsOf, REGISTRY_ABI } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";

export interface App {
  readonly name: string;
  readonly appType: string;
  readonly multiaddr: Uint8Array;
  readonly checksum: Hash;
  readonly mrenclave: Uint8Array;
}
export interface Dataset {
  readonly name: string;
  readonly multiaddr: Uint8Array;
  readonly checksum: Hash;
}
export interface Workerpool {
  readonly description: string;
  /** Percent of the pool's price that a worker stakes. */
  readonly workerStakeRatio: bigint;
  /** Percent of what is paid that the pool's owner keeps. */
  readonly schedulerRewardRatio: bigint;
}

const appCoder: Coder<App> = record({
  name: anyText,
  appType: anyText,
  multiaddr: anyBytes,
  checksum: hash,
  mrenclave: anyBytes,
});
const datasetCoder: Coder<Dataset> = record({ name: anyText, multiaddr: anyBytes, checksum: hash });
const poolCoder: Coder<Workerpool> = record({
  description: anyText,
  workerStakeRatio: big,
  schedulerRewardRatio: big,
});

/** The code hash that entry addresses are derived with: that of the byte 0xfe. */
export const ENTRY_CODE_HASH = keccak256(SYSTEM_CODE);
const { Transfer, Approval, ApprovalForAll } = eventsOf(REGISTRY_ABI);
const errors = errorsOf(REGISTRY_ABI);

interface Token {
  readonly owner: Address;
  /** Place in the owner's list. */
  readonly index: number;
  /** Who else may move it; the zero address for nobody. */
  readonly approved: Address;
}

/** One ERC-721 registry of entries. Token ids are the entries' addresses. */
export interface Registry<T> {
  readonly address: Address;
  readonly name: string;
  readonly symbol: string;
  /** Computes the address that `create` would give. */
  predict(owner: Address, entry: T): Address;
  /** Registers an entry and gives its address. Reverts where the owner has the same one. */
  create(env: Env, owner: Address, entry: T): Address;
  get(state: State, entry: Address): T | undefined;
  set(state: State, entry: Address, value: T): void;
  ownerOf(state: State, entry: Address): Address | undefined;
  balanceOf(state: State, owner: Address): number;
  count(state: State): number;
  byIndex(state: State, index: bigint): Address | undefined;
  owned(state: State, owner: Address, index: bigint): Address | undefined;
  approvedOf(state: State, entry: Address): Address;
  isOperator(state: State, owner: Address, operator: Address): boolean;
  approve(env: Env, sender: Address, to: Address, entry: Address): void;
  setOperator(env: Env, owner: Address, operator: Address, approved: boolean): void;
  transfer(env: Env, sender: Address, from: Address, to: Address, entry: Address): void;
  /** What token URIs begin with; empty for none. */
  baseUri(state: State): string;
  setBaseUri(state: State, uri: string): void;
}

const makeRegistry = <T>(
  registry: Address,
  {
    name,
    symbol,
    coder,
    initializer,
  }: { name: string; symbol: string; coder: Coder<T>; initializer(e: T): Uint8Array },
): Registry<T> => {
  const counts = table(registry, REGISTRY_TABLE.count, 1, single(uint));
  const entries: Table<T> = table(registry, REGISTRY_TABLE.entry, 1, coder);
  const tokens: Table<Token> = table(
    registry,
    REGISTRY_TABLE.token,
    1,
    record({ owner: address, index: uint, approved: address }),
  );
  const byIndex = table(registry, REGISTRY_TABLE.byIndex, 1, single(address));
  const balances = table(registry, REGISTRY_TABLE.balance, 1, single(uint));
  const owned = table(registry, REGISTRY_TABLE.owned, 1, single(address));
  const operators = table(registry, REGISTRY_TABLE.operator, 1, single(uint));
  const baseUris = table(registry, REGISTRY_TABLE.baseUri, 1, single(anyText));

  const ownedId = (owner: Address, index: number | bigint): Hash => pairId(owner, word(index));
  const balanceOf = (state: State, owner: Address): number => balances.get(state, owner) ?? 0;
  const setBalance = (state: State, owner: Address, count: number): void =>
    balances.set(state, owner, count === 0 ? undefined : count);
  const tokenOf = (state: State, entry: Address): Token =>
    tokens.get(state, entry) ?? errors.ERC721NonexistentToken!(BigInt(entry));
  const isOperator = (state: State, owner: Address, operator: Address): boolean =>
    operators.get(state, pairId(owner, operator)) === 1;

  const append = (state: State, owner: Address, entry: Address): void => {
    const index = balanceOf(state, owner);
    tokens.set(state, entry, { owner, index, approved: ZERO_ADDRESS });
    owned.set(state, ownedId(owner, index), entry);
    setBalance(state, owner, index + 1);
  };
  const detach = (state: State, { owner, index }: Token): void => {
    const last = balanceOf(state, owner) - 1;
    const moved = owned.get(state, ownedId(owner, last))!;
    if (index !== last) {
      owned.set(state, ownedId(owner, index), moved);
      tokens.set(state, moved, { ...tokenOf(state, moved), index });
    }
    owned.set(state, ownedId(owner, last), undefined);
    setBalance(state, owner, last);
  };

  /** CREATE2 (EIP-1014) with PoCo's salt: keccak256 of the initializer's calldata and the owner. */
  const predict = (owner: Address, entry: T): Address => {
    const salt = keccak256Bytes(initializer(entry), fromHex(owner));
    return toHex(
      keccak256Bytes(concat(Uint8Array.of(0xff), fromHex(registry), salt, fromHex(ENTRY_CODE_HASH))).subarray(12),
    );
  };

  return {
    address: registry,
    name,
    symbol,
    predict,
    create: (env, owner, entry) => {
      const { state } = env;
      const at = predict(owner, entry);
      ensure(state.code(at).length === 0, "Create2: Failed on deploy");
      if (owner === ZERO_ADDRESS) errors.ERC721InvalidReceiver!(owner);
      state.setCode(at, SYSTEM_CODE);
      entries.set(state, at, entry);
      const count = counts.get(state, ONLY) ?? 0;
      byIndex.set(state, count, at);
      counts.set(state, ONLY, count + 1);
      append(state, owner, at);
      emitAt(env, registry, Transfer!, ZERO_ADDRESS, owner, BigInt(at));
      return at;
    },
    get: (state, entry) => entries.get(state, entry),
    set: (state, entry, value) => entries.set(state, entry, value),
    ownerOf: (state, entry) => tokens.get(state, entry)?.owner,
    balanceOf,
    count: (state) => counts.get(state, ONLY) ?? 0,
    byIndex: (state, index) => byIndex.get(state, index),
    owned: (state, owner, index) => owned.get(state, ownedId(owner, index)),
    approvedOf: (state, entry) => tokenOf(state, entry).approved,
    isOperator,
    approve: (env, sender, to, entry) => {
      const token = tokenOf(env.state, entry);
      if (sender !== token.owner && !isOperator(env.state, token.owner, sender)) errors.ERC721InvalidApprover!(sender);
      tokens.set(env.state, entry, { ...token, approved: to });
      emitAt(env, registry, Approval!, token.owner, to, BigInt(entry));
    },
    setOperator: (env, owner, operator, approved) => {
      if (operator === ZERO_ADDRESS) errors.ERC721InvalidOperator!(operator);
      operators.set(env.state, pairId(owner, operator), approved ? 1 : undefined);
      emitAt(env, registry, ApprovalForAll!, owner, operator, approved);
    },
    transfer: (env, sender, from, to, entry) => {
      if (to === ZERO_ADDRESS) errors.ERC721InvalidReceiver!(to);
      const token = tokenOf(env.state, entry);
      if (sender !== token.owner && sender !== token.approved && !isOperator(env.state, token.owner, sender))
        errors.ERC721InsufficientApproval!(sender, BigInt(entry));
      if (from !== token.owner) errors.ERC721IncorrectOwner!(from, BigInt(entry), token.owner);
      if (to === from) tokens.set(env.state, entry, { ...token, approved: ZERO_ADDRESS });
      else {
        detach(env.state, token);
        append(env.state, to, entry);
      }
      emitAt(env, registry, Transfer!, from, to, BigInt(entry));
    },
    baseUri: (state) => baseUris.get(state, ONLY) ?? "",
    setBaseUri: (state, uri) => baseUris.set(state, ONLY, uri === "" ? undefined : uri),
  };
};

export const apps: Registry<App> = makeRegistry(APP_REGISTRY, {
  name: "iExec Application Registry (V5)",
  symbol: "iExecAppsV5",
  coder: appCoder,
  initializer: ({ name, appType, multiaddr, checksum, mrenclave }) =>
    encodeCall("initialize(string,string,bytes,bytes32,bytes)", [name, appType, multiaddr, checksum, mrenclave]),
});
export const datasets: Registry<Dataset> = makeRegistry(DATASET_REGISTRY, {
  name: "iExec Dataset Registry (V5)",
  symbol: "iExecDatasetsV5",
  coder: datasetCoder,
  initializer: ({ name, multiaddr, checksum }) =>
    encodeCall("initialize(string,bytes,bytes32)", [name, multiaddr, checksum]),
});
export const workerpools: Registry<Workerpool> = makeRegistry(WORKERPOOL_REGISTRY, {
  name: "iExec Workerpool Registry (V5)",
  symbol: "iExecWorkerpoolV5",
  coder: poolCoder,
  initializer: ({ description }) => encodeCall("initialize(string)", [description]),
});

/** Gives the owner of an entry of any registry. */
export const ownerOfEntry = (state: State, entry: Address): Address | undefined =>
  apps.ownerOf(state, entry) ?? datasets.ownerOf(state, entry) ?? workerpools.ownerOf(state, entry);
