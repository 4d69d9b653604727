import { single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address, big } from "../../lib/codec.ts";
import { HUB } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";

const consumed = table(HUB, HUB_TABLE.consumed, 1, single(big));
const presigned = table(HUB, HUB_TABLE.presigned, 1, single(address));

/** Gives how much of an order's volume is used up, by its hash. */
export const consumedOf = (state: State, orderHash: Hash): bigint => consumed.get(state, orderHash) ?? 0n;
export const setConsumed = (state: State, orderHash: Hash, volume: bigint): void =>
  consumed.set(state, orderHash, volume === 0n ? undefined : volume);

/** Gives who signed an order on chain; the zero address for nobody. */
export const presignedBy = (state: State, orderHash: Hash): Address => presigned.get(state, orderHash) ?? ZERO_ADDRESS;
export const setPresigned = (state: State, orderHash: Hash, signer: Address): void =>
  presigned.set(state, orderHash, signer);
