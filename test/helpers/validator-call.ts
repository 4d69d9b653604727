import type { Genesis } from "../../chain/params.ts";
import { signTransaction, type Transaction } from "../../chain/transaction.ts";
import type { ValidatorKeys } from "../../node/folder.ts";
import { abiFunction } from "../../vm/abi.ts";
import { VALIDATORS } from "../../vm/addresses.ts";
import { VALIDATORS_ABI } from "../../vm/validators.ts";

export interface ValidatorCall {
  readonly genesis: Genesis;
  /** Who signs and pays. */
  readonly keys: ValidatorKeys;
  /** A function of 0x…1000. */
  readonly name: string;
  readonly args?: readonly (string | Uint8Array)[];
  readonly nonce?: number;
  /** Wei. */
  readonly value?: bigint;
}

/** Signs a call of the validators' contract. */
export const validatorCall = ({ genesis, keys, name, args = [], nonce = 0, value = 0n }: ValidatorCall): Transaction =>
  signTransaction(
    {
      type: 2,
      chainId: genesis.chainId,
      nonce,
      maxPriorityFeePerGas: 1n,
      maxFeePerGas: 10n ** 10n,
      gasLimit: name === "register" ? 20_000_000 : 500_000,
      to: VALIDATORS,
      value,
      data: abiFunction(VALIDATORS_ABI.find((each) => each.startsWith(`function ${name}(`))!).encode(...args),
      accessList: [],
    },
    keys.secp,
  );
