import {
  type Abi,
  type AbiEvent,
  type AbiFunction,
  decodeEventLog,
  decodeFunctionResult,
  encodeFunctionData,
  parseAbi,
  toEventSelector,
  toFunctionSelector,
  toFunctionSignature,
} from "viem";
import type { Address, Hash, Hex } from "../../lib/bytes.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../../vm/addresses.ts";
import {
  APP_ABI,
  APP_REGISTRY_ABI,
  DATASET_ABI,
  DATASET_REGISTRY_ABI,
  GROUP_ABI,
  HUB_ABI,
  MARKET_ABI,
  REGISTRY_ABI,
  TOKEN_ABI,
  WORKERPOOL_ABI,
  WORKERPOOL_REGISTRY_ABI,
} from "../../vm/market/abi.ts";
import { VALIDATORS_ABI } from "../../vm/validators.ts";

const parsed = (...lists: (readonly string[])[]): Abi => parseAbi(lists.flat() as string[]) as Abi;

/** All native contracts, each with what its own list says that it has. Encoded by viem: what a wallet sends. */
export const ABIS = {
  validators: parsed(VALIDATORS_ABI),
  hub: parsed(HUB_ABI),
  apps: parsed(REGISTRY_ABI, APP_REGISTRY_ABI),
  datasets: parsed(REGISTRY_ABI, DATASET_REGISTRY_ABI),
  workerpools: parsed(REGISTRY_ABI, WORKERPOOL_REGISTRY_ABI),
  token: parsed(TOKEN_ABI),
  market: parsed(MARKET_ABI),
  app: parsed(APP_ABI),
  dataset: parsed(DATASET_ABI),
  workerpool: parsed(WORKERPOOL_ABI),
  group: parsed(GROUP_ABI),
} as const satisfies Record<string, Abi>;
export type ContractName = keyof typeof ABIS;
export const CONTRACTS = Object.keys(ABIS) as ContractName[];

/** Where the system's contracts are; entries and groups are where they were made. */
export const SYSTEM = {
  validators: VALIDATORS,
  hub: HUB,
  apps: APP_REGISTRY,
  datasets: DATASET_REGISTRY,
  workerpools: WORKERPOOL_REGISTRY,
  token: TOKEN,
  market: MARKET,
} as const satisfies Partial<Record<ContractName, Address>>;
export type SystemName = keyof typeof SYSTEM;
/** A contract of the system by its name, or one that was made by its kind and address. */
export type Target = SystemName | readonly [kind: ContractName, address: Address];
export const kindOf = (target: Target): ContractName => (typeof target === "string" ? target : target[0]);
export const addressOf = (target: Target): Address => (typeof target === "string" ? SYSTEM[target] : target[1]);

export const functionsOf = (kind: ContractName): AbiFunction[] =>
  ABIS[kind].filter((item): item is AbiFunction => item.type === "function");
export const eventsOf = (kind: ContractName): AbiEvent[] =>
  ABIS[kind].filter((item): item is AbiEvent => item.type === "event");
export const isView = ({ stateMutability }: AbiFunction): boolean => stateMutability === "view";
export const nameOf = (kind: ContractName, item: AbiFunction): string => `${kind}.${toFunctionSignature(item)}`;
export const selectorOf = (item: AbiFunction): Hex => toFunctionSelector(item);
export const topicOf = (item: AbiEvent): Hash => toEventSelector(item);

const found = new Map<string, AbiFunction>();
/** Finds a function by name, or by signature where a name stands twice. Throws where there is none. */
export const functionOf = (kind: ContractName, name: string): AbiFunction => {
  const key = `${kind}.${name}`;
  const item =
    found.get(key) ?? functionsOf(kind).find((each) => toFunctionSignature(each) === name || each.name === name);
  if (!item) throw new Error(`no function ${key}`);
  found.set(key, item);
  return item;
};
export const encodeItem = (item: AbiFunction, args: readonly unknown[]): Hex =>
  encodeFunctionData({ abi: [item], functionName: item.name, args } as never);
export const decodeItem = (item: AbiFunction, data: Hex): unknown =>
  decodeFunctionResult({ abi: [item], functionName: item.name, data } as never);

const bySelector = new Map(
  CONTRACTS.map((kind) => [kind, new Map(functionsOf(kind).map((item) => [toFunctionSelector(item), item]))]),
);
/** Finds what calldata asks a contract of a kind for; undefined where it has no such function. */
export const calledOf = (kind: ContractName, data: Hex): AbiFunction | undefined =>
  bySelector.get(kind)!.get(data.slice(0, 10) as Hex);

export interface ChainLog {
  readonly address: Address;
  readonly topics: readonly Hash[];
  readonly data: Hex;
}
/** Reads the fields of the first event of a name. Throws where there is none. */
export const eventIn = <T>(logs: readonly ChainLog[], target: Target, name: string): T => {
  const item = eventsOf(kindOf(target)).find((each) => each.name === name)!;
  const log = logs.find(({ address, topics }) => address === addressOf(target) && topics[0] === topicOf(item));
  if (!log) throw new Error(`no ${name} in the logs`);
  return decodeEventLog({ abi: [item], data: log.data, topics: log.topics as [Hash] }).args as T;
};
