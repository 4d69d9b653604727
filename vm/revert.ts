import { EMPTY } from "../lib/bytes.ts";
import { type AbiValue, abiFunction, encodeError } from "./abi.ts";

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

/** Reverts without data, as Solidity's `require(false)` does. */
export const refuse = (): never => {
  throw new Revert(EMPTY);
};

/** Reverts unless a condition holds, with a reason or without data. */
export const ensure = (condition: boolean, reason?: string): void => {
  if (!condition) reason === undefined ? refuse() : revert(reason);
};

const PANIC = abiFunction("Panic(uint256)");
/** Solidity's code of arithmetic that leaves 256 bits. */
const OVERFLOW = 0x11n;
/** Solidity's code of a place beyond an array. */
const OUT_OF_BOUNDS = 0x32n;

/** Gives a result of arithmetic. Reverts with `Panic(0x11)` where it does not fit a uint256, as Solidity 0.8 does. */
export const checked = (value: bigint): bigint => {
  if (value < 0n || value >> 256n !== 0n) throw new Revert(PANIC.encode(OVERFLOW), "arithmetic overflow");
  return value;
};

/** Reverts with `Panic(0x32)`, as Solidity does for a place beyond an array. */
export const outOfBounds = (): never => {
  throw new Revert(PANIC.encode(OUT_OF_BOUNDS), "index out of bounds");
};

/** Makes a function that reverts with a custom error: `customError("NoSuchToken(uint256 id)")(7n)`. */
export const customError = (source: string): ((...args: readonly AbiValue[]) => never) => {
  const error = abiFunction(source);
  return (...args) => {
    throw new Revert(error.encode(...args), `${error.name}(${args.join(", ")})`);
  };
};
