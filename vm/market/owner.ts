import { ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { address } from "../../lib/codec.ts";
import { APP_REGISTRY, DATASET_REGISTRY, HUB, WORKERPOOL_REGISTRY } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";
import { ensure, refuse } from "../revert.ts";
import { HUB_EVENTS } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import { groupOwner } from "./group.ts";
import { ownerOfEntry } from "./registry.ts";

const OWNED: readonly Address[] = [HUB, APP_REGISTRY, DATASET_REGISTRY, WORKERPOOL_REGISTRY];
const owners = table(HUB, HUB_TABLE.owner, 1, single(address));
const idOf = (contract: Address) => (contract === HUB ? ONLY : contract);

/** Gives the owner of the hub, who may create categories, or of a registry; the zero address is nobody. */
export const contractOwner = (state: State, contract: Address): Address =>
  owners.get(state, idOf(contract)) ?? ZERO_ADDRESS;

/** Names the owner of the hub and the registries, at genesis. */
export const setGenesisOwner = (state: State, owner: Address): void => {
  for (const contract of OWNED) owners.set(state, idOf(contract), owner === ZERO_ADDRESS ? undefined : owner);
};

/** Reverts unless an account is a contract's owner. */
export const onlyOwner = (state: State, contract: Address, account: Address): void =>
  ensure(contractOwner(state, contract) === account, "Ownable: caller is not the owner");

/** Gives a contract of the hub's family to another owner, or to nobody. Reverts unless its owner asks. */
export const transferContract = (env: Env, sender: Address, contract: Address, to: Address): void => {
  onlyOwner(env.state, contract, sender);
  owners.set(env.state, idOf(contract), to);
  emitAt(env, contract, HUB_EVENTS.OwnershipTransferred!, sender, to);
};

/** Asks any contract for its owner, as PoCo calls `owner()`. Reverts without data where nothing answers. */
export const ownerAnswered = (state: State, contract: Address): Address =>
  ownerOfEntry(state, contract) ??
  groupOwner(state, contract) ??
  (OWNED.includes(contract) ? contractOwner(state, contract) : refuse());
