import { decodeTransaction } from "../chain/transaction.ts";
import { type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { type CallResult, call } from "../vm/execute.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams, REFUSED, RpcError, revertError } from "./errors.ts";
import { findLogs } from "./logs.ts";
import {
  address,
  type BlockId,
  blockId,
  type CallRequest,
  callRequest,
  data,
  hexNumber,
  LATEST,
  listOf,
  logFilter,
  object,
  optional,
  slot,
} from "./values.ts";

/** Gas of one eth_call at most, as geth has it. */
const CALL_GAS_CAP = 50_000_000;
const MAX_PROOF_SLOTS = 256;

const atLatest = optional(blockId, LATEST);

/** Methods about accounts, calls and transactions to come. */
export const ethMethods = (view: ChainView): Methods => {
  const { engine } = view;
  const stateAt = (id: BlockId) => view.state(view.blockOrFail(id));
  const isPending = (id: BlockId): boolean => "tag" in id && id.tag === "pending";

  const tryCall = (request: CallRequest, id: BlockId): CallResult => {
    const block = view.blockOrFail(id);
    const to = request.to ?? invalidParams("contract creation is not possible: contracts are native");
    const gasLimit = Math.min(request.gas ?? CALL_GAS_CAP, CALL_GAS_CAP);
    const result = call(view.state(block), view.context(block), {
      ...request,
      from: request.from ?? ZERO_ADDRESS,
      to,
      gasLimit,
    });
    if (result.outOfGas)
      throw new RpcError(REFUSED, `out of gas: gas required is ${result.gasNeeded}, limit ${gasLimit}`);
    if (result.reverted) throw revertError(result.returnData);
    return result;
  };

  return {
    eth_chainId: method([], () => hexNumber(engine.chain.genesis.chainId)),
    eth_blockNumber: method([], () => hexNumber(view.head().header.number)),
    eth_accounts: method([], () => []),
    eth_syncing: method([], () => false),
    eth_getBalance: method([address, atLatest], ([of, id]) => hexNumber(stateAt(id).balance(of))),
    eth_getTransactionCount: method([address, atLatest], ([of, id]) =>
      hexNumber(isPending(id) ? engine.pool.nextNonce(of) : stateAt(id).nonce(of)),
    ),
    eth_getCode: method([address, atLatest], ([of, id]) => toHex(stateAt(id).code(of))),
    // The record's hash stands for its bytes, which may be of any length; eth_getProof gives them (spec section 10).
    eth_getStorageAt: method([address, slot, atLatest], ([of, key, id]) => {
      const record = stateAt(id).prove(of, [key]).storage[0]!.value;
      return record.length === 0 ? ZERO_HASH : keccak256(record);
    }),
    eth_getProof: method([address, listOf(slot, MAX_PROOF_SLOTS), atLatest], ([of, slots, id]) => {
      const { account, accountProof, storage } = stateAt(id).prove(of, slots as Hash[]);
      return {
        address: of,
        accountProof: accountProof.map(toHex),
        balance: hexNumber(account.balance),
        codeHash: account.codeHash,
        nonce: hexNumber(account.nonce),
        storageHash: account.storageRoot,
        storageProof: storage.map(({ slot: key, value, proof }) => ({
          key,
          value: value.length === 0 ? "0x0" : toHex(value),
          proof: proof.map(toHex),
        })),
      };
    }),
    eth_call: method([callRequest, atLatest, optional(object, {})], ([request, id, overrides]) => {
      if (Object.keys(overrides).length > 0) invalidParams("state overrides are not supported");
      return toHex(tryCall(request, id).returnData);
    }),
    eth_estimateGas: method([callRequest, atLatest, optional(object, {})], ([request, id, overrides]) => {
      if (Object.keys(overrides).length > 0) invalidParams("state overrides are not supported");
      return hexNumber(tryCall(request, id).gasNeeded);
    }),
    // There are no storage slots that a list could make cheaper.
    eth_createAccessList: method([callRequest, atLatest], ([request, id]) => ({
      accessList: [],
      gasUsed: hexNumber(tryCall(request, id).gasNeeded),
    })),
    eth_sendRawTransaction: method([data], async ([raw]) => {
      const tx = decodeTransaction(raw);
      await engine.addTransaction(tx);
      return tx.hash;
    }),
    eth_getLogs: method([logFilter], ([filter], call) => findLogs(view, filter, call)),
  };
};
