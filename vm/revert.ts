import { encodeError } from "./abi.ts";

/** A native contract undoes what a call did; `data` is what the caller gets, in Solidity's form. */
export class Revert extends Error {
  override readonly name = "Revert";
  readonly data: Uint8Array;

  constructor(data: Uint8Array, message = "execution reverted") {
    super(message);
    this.data = data;
  }
}

/** Reverts with a reason, as Solidity's `require(false, reason)` does. */
export const revert = (reason: string): never => {
  throw new Revert(encodeError(reason), reason);
};
