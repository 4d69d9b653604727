import type { Params } from "../chain/params.ts";
import type { State } from "../chain/state.ts";
import { type Address, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { type AbiEvent, type AbiFunction, type AbiValue, abiFunction } from "./abi.ts";
import { nativeGas } from "./gas.ts";
import { revert } from "./revert.ts";

export { Revert, revert } from "./revert.ts";

/** The block that a transaction or a call runs in. */
export interface BlockContext {
  readonly number: number;
  /** Seconds. */
  readonly timestamp: number;
  readonly slot: number;
  readonly epoch: number;
  readonly era: number;
  readonly mixHash: Hash;
  readonly beneficiary: Address;
  /** Wei per gas. */
  readonly baseFee: bigint;
  readonly gasLimit: number;
  readonly chainId: number;
  readonly genesisHash: Hash;
  readonly params: Params;
  readonly finalizedEpoch: number;
}

/** What a native contract sees of a call. `value` has been moved to `self` already. */
export interface CallContext {
  readonly state: State;
  readonly block: BlockContext;
  /** The account that is called. */
  readonly self: Address;
  readonly sender: Address;
  /** The transaction's signer. */
  readonly origin: Address;
  /** Wei. */
  readonly value: bigint;
  /** Calldata, selector included. */
  readonly data: Uint8Array;
  /** True where the call may change nothing, as in a call from a view. */
  readonly isStatic: boolean;
  log(address: Address, topics: readonly Hash[], data: Uint8Array): void;
}

/** A contract of the protocol: calldata in, return data out; throws Revert to undo. */
export interface NativeContract {
  readonly name: string;
  call(ctx: CallContext): Uint8Array;
  /** Gas of a call beyond the transaction's own, from calldata only, so that an estimate is exact. */
  gas(data: Uint8Array): number;
}

/** What pays a message's gas in place of its sender's balance: the stake of a slot (spec section 10). */
export interface GasPayer {
  /** Wei that may be taken. */
  available(): bigint;
  /** Takes wei out of the state; never more than what is available. */
  charge(wei: bigint): void;
}

/** One function of a native contract. `run` returns the values of the ABI's `returns`. */
export interface NativeMethod {
  readonly abi: AbiFunction;
  /** Gas beyond the bytes of calldata; see gas.ts. */
  readonly gas: number;
  /** Gas for each word of calldata, where work grows with it. */
  readonly perWord?: number;
  readonly payable?: boolean;
  run(ctx: CallContext, args: AbiValue[]): readonly AbiValue[];
}

/** One function of a native contract whose signature is its key: `{ "exit(address)": { gas, returns: "", run } }`. */
export interface NativeFunction {
  readonly gas: number;
  readonly payable?: boolean;
  /** Types of the values that `run` gives; empty for none. */
  readonly returns: string;
  run(ctx: CallContext, args: AbiValue[]): readonly AbiValue[];
}

/** Makes methods of functions keyed by their signatures. */
export const methodsOf = (functions: Readonly<Record<string, NativeFunction>>): NativeMethod[] =>
  Object.entries(functions).map(([signature, { returns, ...rest }]) => ({
    ...rest,
    abi: abiFunction(`${signature} returns (${returns})`),
  }));

/** Makes a native contract of its methods. Unknown selectors and value to a function that takes none revert with data. */
export const nativeContract = (name: string, methods: readonly NativeMethod[]): NativeContract => {
  const bySelector = new Map<Hex, NativeMethod>();
  for (const method of methods) {
    if (bySelector.has(method.abi.selector)) throw new Error(`${name}: two methods ${method.abi.selector}`);
    bySelector.set(method.abi.selector, method);
  }
  const find = (data: Uint8Array): NativeMethod | undefined => bySelector.get(toHex(data.subarray(0, 4)));
  return {
    name,
    gas: (data) => {
      const method = find(data);
      return nativeGas(method?.gas ?? 0, data, method?.perWord);
    },
    call: (ctx) => {
      const method = find(ctx.data) ?? revert(`${name}: unknown function`);
      if (ctx.value > 0n && !method.payable) revert(`${name}: ${method.abi.name} takes no value`);
      return method.abi.encodeResult(...method.run(ctx, method.abi.decode(ctx.data)));
    },
  };
};

/** Writes an event to the log of the called contract. */
export const emit = (ctx: CallContext, event: AbiEvent, ...args: readonly AbiValue[]): void => {
  const { topics, data } = event.encode(...args);
  ctx.log(ctx.self, topics, data);
};
