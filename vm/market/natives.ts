import type { Address } from "../../lib/bytes.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, MARKET, TOKEN, WORKERPOOL_REGISTRY } from "../addresses.ts";
import type { NativeContract } from "../natives.ts";
import { hubNative } from "./hub.ts";
import { marketNative } from "./market.ts";
import { appRegistryNative, datasetRegistryNative, workerpoolRegistryNative } from "./registry-contract.ts";
import { tokenNative } from "./token.ts";

export { marketEntryAt } from "./registry-contract.ts";

/** The market's system accounts (spec section 10). */
export const marketNatives: Readonly<Record<Address, NativeContract>> = {
  [HUB]: hubNative,
  [APP_REGISTRY]: appRegistryNative,
  [DATASET_REGISTRY]: datasetRegistryNative,
  [WORKERPOOL_REGISTRY]: workerpoolRegistryNative,
  [TOKEN]: tokenNative,
  [MARKET]: marketNative,
};
