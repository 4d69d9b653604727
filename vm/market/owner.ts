import type { State } from "../../chain/state.ts";
import { type Address, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { address } from "../../lib/codec.ts";
import { HUB } from "../tables.ts";
import { HUB_TABLE, single, tableOf } from "./tables.ts";

const owners = tableOf(HUB, HUB_TABLE.owner, single(address));

/** Gives the hub's owner, who may create categories; the zero address is nobody. */
export const hubOwner = (state: State): Address => owners.get(state, ZERO_HASH) ?? ZERO_ADDRESS;
/** Names the hub's owner, at genesis. */
export const setHubOwner = (state: State, owner: Address): void => owners.set(state, ZERO_HASH, owner);
