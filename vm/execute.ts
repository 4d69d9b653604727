import type { Log } from "../chain/receipt.ts";
import type { State } from "../chain/state.ts";
import { effectiveGasPrice, intrinsicGas, senderOf, type Transaction } from "../chain/transaction.ts";
import { type Address, EMPTY, type Hex } from "../lib/bytes.ts";
import { AbiError } from "./abi.ts";
import { nativeAt } from "./native-table.ts";
import { type BlockContext, type GasPayer, Revert } from "./natives.ts";
import { failVm } from "./rules.ts";

/** What a transaction did. */
export interface Executed {
  readonly status: 0 | 1;
  readonly gasUsed: number;
  readonly logs: readonly Log[];
  readonly returnData: Uint8Array;
  /** Wei per gas that was paid. */
  readonly effectiveGasPrice: bigint;
  /** Wei that the beneficiary got. */
  readonly tip: bigint;
}

/** A call outside a block. */
export interface Call {
  readonly from: Address;
  readonly to: Address;
  /** Wei. */
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly gasLimit: number;
  readonly accessList?: Transaction["accessList"];
}

/** What a call would do. Exactly one of `reverted` and `outOfGas` is true where it fails. */
export interface CallResult {
  readonly returnData: Uint8Array;
  readonly reverted: boolean;
  readonly outOfGas: boolean;
  readonly gasUsed: number;
  /** Gas that the call needs; what eth_estimateGas answers. */
  readonly gasNeeded: number;
  readonly logs: readonly Log[];
}

interface Message {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly data: Uint8Array;
}

const run = (state: State, block: BlockContext, message: Message) => {
  const { from, to, value, data } = message;
  const before = state.snapshot();
  state.debit(from, value);
  state.credit(to, value);
  const native = nativeAt(state, to);
  // An account without code takes value and ignores data, as in Ethereum.
  if (!native) return { status: 1 as const, logs: [], returnData: EMPTY };
  const logs: Log[] = [];
  try {
    const returnData = native.call({
      state,
      block,
      self: to,
      sender: from,
      origin: from,
      value,
      data,
      isStatic: false,
      log: (address, topics, bytes) => logs.push({ address, topics: topics as Hex[], data: bytes }),
    });
    return { status: 1 as const, logs, returnData };
  } catch (error) {
    // Calldata that is not what the function takes reverts without a reason, as Solidity's decoder does.
    if (!(error instanceof Revert || error instanceof AbiError)) throw error;
    state.revert(before);
    return { status: 0 as const, logs: [], returnData: error instanceof Revert ? error.data : EMPTY };
  }
};

/** Gas of the native call in a message; 0 where the account has no code. Depends on calldata only. */
const callGas = (state: State, to: Address, data: Uint8Array): number => nativeAt(state, to)?.gas(data) ?? 0;

/**
 * Runs a transaction as part of a block (EIP-1559): checks in Ethereum's order, charges, moves value, calls. A call that
 * fails is undone but keeps nonce and gas. Base fee is burned, the tip goes to the beneficiary at once.
 * Throws RuleError (vm/rules.ts, "tx-signature") where the transaction may not stand in the block; the state is as before then.
 */
export const applyTransaction = (
  state: State,
  block: BlockContext,
  tx: Transaction,
  gasAvailable: number,
  payerOf?: (sender: Address) => GasPayer | undefined,
): Executed => {
  if (tx.chainId !== block.chainId) failVm("tx-wrong-chain", { got: tx.chainId, expected: block.chainId });
  const to = tx.to ?? failVm("tx-create", "there is no EVM: contracts are native");
  const sender = senderOf(tx);
  const nonce = state.nonce(sender);
  if (tx.nonce < nonce) failVm("tx-nonce-low", { got: tx.nonce, expected: nonce });
  if (tx.nonce > nonce) failVm("tx-nonce-high", { got: tx.nonce, expected: nonce });
  if (state.code(sender).length > 0) failVm("tx-sender-code", sender); // EIP-3607
  if (tx.maxFeePerGas < block.baseFee) failVm("tx-fee-cap", { got: tx.maxFeePerGas, baseFee: block.baseFee });
  const payer = payerOf?.(sender);
  const mostGas = BigInt(tx.gasLimit) * tx.maxFeePerGas;
  const have = state.balance(sender);
  const need = payer ? tx.value : mostGas + tx.value;
  if (have < need) failVm("tx-funds", { address: sender, have, want: need });
  if (payer && payer.available() < mostGas) failVm("tx-funds", { have: payer.available(), want: mostGas });
  if (tx.gasLimit > gasAvailable) failVm("tx-block-gas", { got: tx.gasLimit, available: gasAvailable });
  const intrinsic = intrinsicGas(tx);
  if (tx.gasLimit < intrinsic) failVm("tx-intrinsic-gas", { got: tx.gasLimit, expected: intrinsic });

  const gasNeeded = intrinsic + callGas(state, to, tx.data);
  const outOfGas = gasNeeded > tx.gasLimit;
  const gasUsed = outOfGas ? tx.gasLimit : gasNeeded;
  const price = effectiveGasPrice(tx, block.baseFee);
  state.setNonce(sender, nonce + 1);
  // Gas is known before the call, so that it is taken once and nothing comes back.
  const fee = BigInt(gasUsed) * price;
  if (payer) payer.charge(fee);
  else state.debit(sender, fee);
  const done = outOfGas
    ? { status: 0 as const, logs: [], returnData: EMPTY }
    : run(state, block, { from: sender, to, value: tx.value, data: tx.data });
  const tip = BigInt(gasUsed) * (price - block.baseFee);
  state.credit(block.beneficiary, tip);
  return { ...done, gasUsed, effectiveGasPrice: price, tip };
};

/**
 * Runs a call without keeping what it does, at no gas price. Throws RuleError "tx-funds" where `from` lacks the value,
 * "tx-intrinsic-gas" where the limit does not pay for the calldata.
 */
export const call = (state: State, block: BlockContext, request: Call): CallResult => {
  const { from, to, value, data, gasLimit } = request;
  const have = state.balance(from);
  if (have < value) failVm("tx-funds", { address: from, have, want: value });
  const intrinsic = intrinsicGas({ data, accessList: request.accessList ?? [] } as unknown as Transaction);
  if (gasLimit < intrinsic) failVm("tx-intrinsic-gas", { got: gasLimit, expected: intrinsic });
  const gasNeeded = intrinsic + callGas(state, to, data);
  if (gasNeeded > gasLimit)
    return { returnData: EMPTY, reverted: false, outOfGas: true, gasUsed: gasLimit, gasNeeded, logs: [] };
  const before = state.snapshot();
  try {
    const { status, logs, returnData } = run(state, block, { from, to, value, data });
    return { returnData, reverted: status === 0, outOfGas: false, gasUsed: gasNeeded, gasNeeded, logs };
  } finally {
    state.revert(before);
  }
};
