import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import type { AbiEvent, AbiValue } from "../abi.ts";
import type { BlockContext } from "../natives.ts";

/** What a rule of the market works on: a call's context, or the system step's. */
export interface Env {
  readonly state: State;
  readonly block: BlockContext;
  log(address: Address, topics: readonly Hash[], data: Uint8Array): void;
}

/** Writes an event of a system account to the log. */
export const emitAt = (env: Env, address: Address, event: AbiEvent, ...args: readonly AbiValue[]): void => {
  const { topics, data } = event.encode(...args);
  env.log(address, topics, data);
};

/** Wei in an nRLC. */
