import { signTransaction } from "../chain/transaction.ts";
import { type Address, EMPTY, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { GWEI, rlc } from "../lib/units.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { hexNumber } from "../rpc/values.ts";

/** A receipt as JSON-RPC gives it. */
export interface RpcReceipt {
  readonly transactionHash: Hash;
  readonly status: Hex;
  readonly blockNumber: Hex;
  readonly gasUsed: Hex;
  readonly effectiveGasPrice: Hex;
  readonly logs: readonly { address: Address; topics: readonly Hash[]; data: Hex }[];
}

export interface Call {
  readonly to: Address;
  readonly data?: Uint8Array;
  /** Wei. */
  readonly value?: bigint;
  /** Gas limit; estimated by the node when absent. */
  readonly gas?: number;
  /** Nonce; the node's pending nonce when absent. */
  readonly nonce?: number;
}

/** A transaction is in a block, and changed nothing. */
export class TransactionReverted extends Error {
  override readonly name = "TransactionReverted";
}

const TIP = GWEI;
const POLL_MS = 150;

/** The fees that a transaction offers now, in wei a gas: twice the base fee and a tip. */
export const feesNow = async (client: RpcClient): Promise<{ maxFeePerGas: bigint; maxPriorityFeePerGas: bigint }> => {
  const block = (await client.call("eth_getBlockByNumber", ["latest", false])) as { baseFeePerGas: Hex };
  return { maxFeePerGas: 2n * BigInt(block.baseFeePerGas) + TIP, maxPriorityFeePerGas: TIP };
};

/** Makes of "insufficient funds" who has how much, and what was to be paid. */
const explainFunds = async (client: RpcClient, from: Address, value: bigint, error: unknown): Promise<unknown> => {
  if (!(error instanceof RpcCallError) || !/^insufficient funds/.test(error.message)) return error;
  const waits = /, (\d+) for what waits$/.exec(error.message)?.[1];
  const beside = waits === undefined ? "" : `, beside ${rlc(BigInt(waits), 9)} RLC for its transactions that wait`;
  const have = BigInt((await client.call("eth_getBalance", [from, "latest"])) as Hex);
  const want = value > 0n ? `${rlc(value)} RLC and the fee are needed` : "the fee is needed";
  return new Error(`account ${from} has ${rlc(have, 9)} RLC, ${want}${beside}: send it RLC first`);
};

/** Signs a call as an EIP-1559 transaction and sends it. Resolves with its hash once the node took it. */
export const send = async (client: RpcClient, key: Hex, call: Call): Promise<Hash> => {
  const from = addressOf(key);
  const data = call.data ?? EMPTY;
  const [chainId, nonce, fees] = await Promise.all([
    client.call("eth_chainId", []),
    call.nonce ?? client.call("eth_getTransactionCount", [from, "pending"]),
    feesNow(client),
  ]);
  const request = { from, to: call.to, data: toHex(data), value: hexNumber(call.value ?? 0n) };
  const explain = async (error: unknown): Promise<never> => {
    throw await explainFunds(client, from, call.value ?? 0n, error);
  };
  const gasLimit = call.gas ?? Number(await client.call("eth_estimateGas", [request]).catch(explain));
  const transaction = signTransaction(
    {
      type: 2,
      chainId: Number(chainId),
      nonce: Number(nonce),
      ...fees,
      gasLimit,
      to: call.to,
      value: call.value ?? 0n,
      data,
      accessList: [],
    },
    key,
  );
  return (await client.call("eth_sendRawTransaction", [toHex(transaction.raw)]).catch(explain)) as Hash;
};

/** Waits for a transaction's receipt. Throws after `timeoutMs`. */
export const receiptOf = async (client: RpcClient, hash: Hash, timeoutMs = 60_000): Promise<RpcReceipt> => {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    const receipt = (await client.call("eth_getTransactionReceipt", [hash])) as RpcReceipt | null;
    if (receipt) return receipt;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`transaction ${hash} was not mined within ${timeoutMs / 1000} s`);
};

/** Sends a call and waits for its receipt. Throws TransactionReverted when it reverted. */
export const transact = async (client: RpcClient, key: Hex, call: Call): Promise<RpcReceipt> => {
  const receipt = await receiptOf(client, await send(client, key, call));
  if (receipt.status !== "0x1") throw new TransactionReverted(`transaction ${receipt.transactionHash} reverted`);
  return receipt;
};
