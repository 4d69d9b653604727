import { memoryDb } from "../../chain/db.ts";
import { paramsAt } from "../../chain/params.ts";
import { openState, type State } from "../../chain/state.ts";
import { signTransaction, type Transaction, type TransactionFields } from "../../chain/transaction.ts";
import { type Address, EMPTY, type Hex, ZERO_HASH } from "../../lib/bytes.ts";
import { GWEI, RLC } from "../../lib/units.ts";
import { type AbiFunction, type AbiValue, decodeError } from "../../vm/abi.ts";
import { applyTransaction, call, type Executed } from "../../vm/execute.ts";
import type { BlockContext } from "../../vm/natives.ts";
import { validatorsGenesis } from "../../vm/validators.ts";
import { testGenesis } from "./chain.ts";

const BENEFICIARY: Address = "0x00000000000000000000000000000000000000fe";

/** A ledger without consensus: a state, and a block that transactions run in. */
export const createLedger = (accounts: readonly Address[]) => {
  const { genesis } = testGenesis(1);
  const state: State = openState(memoryDb());
  for (const account of accounts) state.credit(account, 100_000n * RLC);
  validatorsGenesis(state, genesis);
  const block = (changes: Partial<BlockContext> = {}): BlockContext => ({
    number: 1,
    timestamp: genesis.genesisTime + 1,
    slot: 1,
    epoch: 0,
    era: 0,
    mixHash: ZERO_HASH,
    beneficiary: BENEFICIARY,
    baseFee: GWEI,
    gasLimit: 30_000_000,
    chainId: genesis.chainId,
    genesisHash: ZERO_HASH,
    params: paramsAt(genesis, 0),
    finalizedEpoch: 0,
    ...changes,
  });
  const sign = (key: Hex, changes: Partial<TransactionFields>): Transaction =>
    signTransaction(
      {
        type: 2,
        chainId: genesis.chainId,
        nonce: 0,
        maxPriorityFeePerGas: GWEI,
        maxFeePerGas: 3n * GWEI,
        gasLimit: 3_000_000,
        to: BENEFICIARY,
        value: 0n,
        data: EMPTY,
        accessList: [],
        ...changes,
      },
      key,
    );
  return {
    genesis,
    state,
    block,
    beneficiary: BENEFICIARY,
    sign,
    /** Runs a transaction; a change of the block is allowed. */
    apply: (tx: Transaction, changes: Partial<BlockContext> = {}): Executed => {
      const context = block(changes);
      return applyTransaction(state, context, tx, context.gasLimit);
    },
    /** Calls a view. Throws with the reason where it reverts. */
    view: (to: Address, fn: AbiFunction, args: readonly AbiValue[], from: Address = BENEFICIARY): AbiValue[] => {
      const result = call(state, block(), { from, to, value: 0n, data: fn.encode(...args), gasLimit: 10_000_000 });
      if (result.reverted) throw new Error(decodeError(result.returnData) ?? "reverted without a reason");
      return fn.decodeResult(result.returnData);
    },
  };
};
