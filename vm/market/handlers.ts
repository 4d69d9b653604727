import type { AbiValue } from "../abi.ts";
import { NATIVE_GAS } from "../gas.ts";
import type { CallContext } from "../natives.ts";
import type { Handler } from "./abi.ts";

/** Makes a handler of a view of one value. */
export const viewing = (
  run: (ctx: CallContext, args: AbiValue[]) => AbiValue,
  gas: number = NATIVE_GAS.view,
): Handler => ({
  gas,
  run: (ctx, args) => [run(ctx, args)],
});

/** Makes a handler of a view that always answers the same. */
export const constant = (value: AbiValue): Handler => viewing(() => value);

/** Makes a handler of a function that writes and answers nothing; `perWord` is gas for each word of its calldata. */
export const acting = (gas: number, run: (ctx: CallContext, args: AbiValue[]) => void, perWord = 0): Handler => ({
  gas,
  perWord,
  run: (ctx, args) => {
    run(ctx, args);
    return [];
  },
});
