import { decodeTransaction } from "../chain/transaction.ts";
import { blsVerifyProofSlowly } from "../lib/bls.ts";
import { type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { VALIDATORS } from "../vm/addresses.ts";
import { type CallResult, call } from "../vm/execute.ts";
import { proofIn } from "../vm/validators.ts";
import type { ChainView } from "./chain-view.ts";
import { type Call, type Methods, method } from "./dispatch.ts";
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

/**
 * Gas of what is tried at most, in one go: twice what the dearest view has, a thousand records where a call that writes looks at one
 * for each 3,000 of it, the most that any does (test/vm/market/write-gas.test.ts). What needs more is estimated without a try, since
 * gas depends on calldata alone.
 */
export const CALL_GAS_CAP = 3_000_000;
const MAX_PROOF_SLOTS = 256;

const atLatest = optional(blockId, LATEST);

/** Methods about accounts, calls and transactions to come. */
export const ethMethods = (view: ChainView): Methods => {
  const { engine } = view;
  const stateAt = (id: BlockId) => view.state(view.blockOrFail(id));
  const isPending = (id: BlockId): boolean => "tag" in id && id.tag === "pending";

  const tryCall = async (request: CallRequest, id: BlockId, turn: Call["turn"]): Promise<CallResult> => {
    const block = view.blockOrFail(id);
    const to = request.to ?? invalidParams("contract creation is not possible: contracts are native");
    const gasLimit = Math.min(request.gas ?? CALL_GAS_CAP, CALL_GAS_CAP);
    const proven = to === VALIDATORS ? proofIn(request.data) : undefined;
    if (proven) {
      await blsVerifyProofSlowly(proven.blsPublicKey, proven.proof, turn);
      await turn();
    }
    const result = call(view.state(block), view.context(block), {
      ...request,
      from: request.from ?? ZERO_ADDRESS,
      to,
      gasLimit,
    });
    if (result.reverted) throw revertError(result.returnData);
    return result;
  };
  const outOfGas = (needed: number, limit: number): never => {
    throw new RpcError(REFUSED, `out of gas: gas required is ${needed}, limit ${limit}`);
  };
  const estimate = async (request: CallRequest, id: BlockId, turn: Call["turn"]): Promise<string> => {
    const { gasNeeded } = await tryCall(request, id, turn);
    const limit = Math.min(request.gas ?? Number.POSITIVE_INFINITY, view.context(view.blockOrFail(id)).gasLimit);
    return gasNeeded > limit ? outOfGas(gasNeeded, limit) : hexNumber(gasNeeded);
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
    eth_call: method([callRequest, atLatest, optional(object, {})], async ([request, id, overrides], { turn }) => {
      if (Object.keys(overrides).length > 0) invalidParams("state overrides are not supported");
      const result = await tryCall(request, id, turn);
      if (result.outOfGas) outOfGas(result.gasNeeded, Math.min(request.gas ?? CALL_GAS_CAP, CALL_GAS_CAP));
      return toHex(result.returnData);
    }),
    eth_estimateGas: method([callRequest, atLatest, optional(object, {})], ([request, id, overrides], { turn }) => {
      if (Object.keys(overrides).length > 0) invalidParams("state overrides are not supported");
      return estimate(request, id, turn);
    }),
    // There are no storage slots that a list could make cheaper.
    eth_createAccessList: method([callRequest, atLatest], async ([request, id], { turn }) => ({
      accessList: [],
      gasUsed: await estimate(request, id, turn),
    })),
    eth_sendRawTransaction: method([data], async ([raw]) => {
      const tx = decodeTransaction(raw);
      await engine.addTransaction(tx);
      return tx.hash;
    }),
    eth_getLogs: method([logFilter], ([filter], call) => findLogs(view, filter, call)),
  };
};
