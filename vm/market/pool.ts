import { ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { address, bool, record, uint } from "../../lib/codec.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import { revert } from "../revert.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { firstCommittee } from "./committee.ts";
import type { Job } from "./deal.ts";
import { type Env, emitAt } from "./env.ts";
import { workerpools } from "./registry.ts";
import { followPool, removeWaiting } from "./waiting.ts";

/** A drawn pool: an entry of the workerpool registry whose work the chain hands out. */
export interface Pool {
  /** Slots in its dense array. */
  readonly length: number;
  /** How many of them could be drawn. */
  readonly drawable: number;
  /** Named in genesis: work in it becomes contribution credit. */
  readonly isGenesis: boolean;
  readonly workerRestrict: Address;
  readonly requesterRestrict: Address;
}

const pools = table(
  MARKET,
  MARKET_TABLE.pool,
  1,
  record({ length: uint, drawable: uint, isGenesis: bool, workerRestrict: address, requesterRestrict: address }),
);
const genesis = table(MARKET, MARKET_TABLE.genesisPool, 1, single(address));

/** Reads a drawn pool; undefined where an address is none. */
export const poolOf = (state: State, pool: Address): Pool | undefined => pools.get(state, pool);
/** Writes a pool, and whether it has turns in the draw. */
export const setPool = (state: State, address: Address, pool: Pool): void => {
  pools.set(state, address, pool);
  followPool(state, address, pool);
};

/** Gives the pool named in genesis. */
export const genesisPool = (state: State): Address => genesis.get(state, ONLY)!;
/** Names the genesis pool, at genesis. */
export const setGenesisPool = (state: State, pool: Address): void => genesis.set(state, ONLY, pool);

/** Makes a registered workerpool a drawn one, for ever. Reverts unless its owner asks. */
export const openPool = (
  env: Env,
  sender: Address,
  pool: Address,
  workerRestrict: Address,
  requesterRestrict: Address,
): void => {
  if (workerpools.ownerOf(env.state, pool) !== sender) revert("not the pool's owner");
  if (poolOf(env.state, pool)) revert("the pool is drawn already");
  setPool(env.state, pool, { length: 0, drawable: 0, isGenesis: false, workerRestrict, requesterRestrict });
  emitAt(env, MARKET, MARKET_EVENTS.PoolOpened!, pool, workerRestrict, requesterRestrict);
};

/** Ends the drawing of a deal, wherever it waits. */
export const endWaiting = (state: State, dealid: Hash, { pool, trust }: Pick<Job, "pool" | "trust">): void =>
  removeWaiting(state, pool, poolOf(state, pool)!, firstCommittee(trust), dealid);
