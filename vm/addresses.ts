import type { Address } from "../lib/bytes.ts";

/** System accounts (spec section 10). */
export const VALIDATORS: Address = "0x0000000000000000000000000000000000001000";
export const HUB: Address = "0x0000000000000000000000000000000000001001";
export const APP_REGISTRY: Address = "0x0000000000000000000000000000000000001002";
export const DATASET_REGISTRY: Address = "0x0000000000000000000000000000000000001003";
export const WORKERPOOL_REGISTRY: Address = "0x0000000000000000000000000000000000001004";
export const TOKEN: Address = "0x0000000000000000000000000000000000001005";
export const MARKET: Address = "0x0000000000000000000000000000000000001006";

/** Code of system accounts and registry entries: INVALID, one byte, so that tools take them for contracts. */
export const SYSTEM_CODE = Uint8Array.of(0xfe);
