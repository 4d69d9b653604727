import {
  type Abi,
  type AbiFunction,
  decodeFunctionResult,
  encodeFunctionData,
  parseAbi,
  toFunctionSelector,
  toFunctionSignature,
} from "viem";
import type { Address, Hex } from "../../lib/bytes.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, TOKEN, WORKERPOOL_REGISTRY } from "../../vm/addresses.ts";
import { artifact } from "./artifacts.ts";

/** The contracts that sequences call, each with the ABI that iExec publishes. */
export const ABIS = {
  hub: artifact("IexecInterfaceNative").abi,
  tokenHub: artifact("IexecInterfaceToken").abi,
  app: artifact("registries/apps/AppRegistry").abi,
  dataset: artifact("registries/datasets/DatasetRegistry").abi,
  workerpool: artifact("registries/workerpools/WorkerpoolRegistry").abi,
  appEntry: artifact("registries/apps/App").abi,
  datasetEntry: artifact("registries/datasets/Dataset").abi,
  poolEntry: artifact("registries/workerpools/Workerpool").abi,
  token: parseAbi([
    "function approve(address spender, uint256 amount) returns (bool)",
    "function approveAndCall(address spender, uint256 amount, bytes data)",
    "function transfer(address to, uint256 amount) returns (bool)",
    "function transferFrom(address from, address to, uint256 amount) returns (bool)",
    "function balanceOf(address account) view returns (uint256)",
    "function allowance(address owner, address spender) view returns (uint256)",
  ]),
} as const;
export type Contract = keyof typeof ABIS;
export type EntryKind = "app" | "dataset" | "workerpool";
export const ENTRY_KINDS: readonly EntryKind[] = ["app", "dataset", "workerpool"];
export const REGISTRY: Readonly<Record<EntryKind, Address>> = {
  app: APP_REGISTRY,
  dataset: DATASET_REGISTRY,
  workerpool: WORKERPOOL_REGISTRY,
};
export const SYSTEM: readonly Address[] = [HUB, APP_REGISTRY, DATASET_REGISTRY, WORKERPOOL_REGISTRY, TOKEN];

const functions = new Map<string, AbiFunction>();
/** Gives the functions of a contract. */
export const functionsOf = (contract: Contract): AbiFunction[] =>
  (ABIS[contract] as Abi).filter((item): item is AbiFunction => item.type === "function");
/** Finds a function by its name, or by its signature where a name stands twice. Throws where there is none. */
export const functionOf = (contract: Contract, name: string): AbiFunction => {
  const key = `${contract}.${name}`;
  const found =
    functions.get(key) ??
    functionsOf(contract).find((each) => each.name === name || toFunctionSignature(each) === name);
  if (!found) throw new Error(`no function ${key}`);
  functions.set(key, found);
  return found;
};

/** Encodes a call as viem does. */
export const encode = (contract: Contract, name: string, args: readonly unknown[]): Hex => {
  const item = functionOf(contract, name);
  return encodeFunctionData({ abi: [item], functionName: item.name, args } as never);
};

/** Decodes what a call returned. */
export const decode = <T>(contract: Contract, name: string, data: Hex): T => {
  const item = functionOf(contract, name);
  return decodeFunctionResult({ abi: [item], functionName: item.name, data } as never) as T;
};

const bySelector = new Map<string, string>();
for (const contract of Object.keys(ABIS) as Contract[])
  for (const item of functionsOf(contract)) bySelector.set(toFunctionSelector(item), toFunctionSignature(item));
/** Names the function of calldata, for people. */
export const nameOf = (data: Hex): string =>
  bySelector.get(data.slice(0, 10)) ?? (data === "0x" ? "receive" : data.slice(0, 10));
