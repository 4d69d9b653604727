import { single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, word, wordAddress, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { HUB } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";

const settings = table(HUB, HUB_TABLE.setting, 1, single(big));
const TEE_BROKER = 0;
const CALLBACK_GAS = 1;
/** PoCo's gas of a callback; nothing is called here, so that it is only shown. */
const DEFAULT_CALLBACK_GAS = 200_000n;

/** Gives who authorizes workers with enclaves in place of a pool's owner; the zero address for nobody. */
export const teeBroker = (state: State): Address => {
  const broker = settings.get(state, TEE_BROKER);
  return broker === undefined ? ZERO_ADDRESS : wordAddress(word(broker));
};
export const setTeeBroker = (state: State, broker: Address): void => settings.set(state, TEE_BROKER, BigInt(broker));

/** Gives the gas that a callback is said to get. */
export const callbackGas = (state: State): bigint => settings.get(state, CALLBACK_GAS) ?? DEFAULT_CALLBACK_GAS;
export const setCallbackGas = (state: State, gas: bigint): void => settings.set(state, CALLBACK_GAS, gas);
