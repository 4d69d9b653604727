import type { State } from "../chain/state.ts";
import type { Address } from "../lib/bytes.ts";
import { VALIDATORS } from "./addresses.ts";
import { marketEntryAt, marketNatives } from "./market/natives.ts";
import type { NativeContract } from "./natives.ts";
import { validatorsNative } from "./validators.ts";

const table = new Map<Address, NativeContract>([
  [VALIDATORS, validatorsNative],
  ...(Object.entries(marketNatives) as [Address, NativeContract][]),
]);

/** Gives the native contract at an address: a system account or an entry of a registry. */
export const nativeAt = (state: State, address: Address): NativeContract | undefined =>
  table.get(address) ?? marketEntryAt(state, address);
