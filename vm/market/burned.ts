import { ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import type { Address } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { NRLC } from "../../lib/units.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";
import type { Env } from "./env.ts";

const byEra = table(MARKET, MARKET_TABLE.burnedOfEra, 1, single(big));
const total = table(MARKET, MARKET_TABLE.burnedTotal, 1, single(big));

/** Gives the nRLC of fees burned in an era (spec section 8), which bounds what the next one issues (section 9). */
export const burnedOfEra = (state: State, era: number): bigint => byEra.get(state, era) ?? 0n;

/** Gives the wei that the market ever burned: fees, penalties and slot stakes. */
export const burnedTotal = (state: State): bigint => total.get(state, ONLY) ?? 0n;

/** Burns wei out of the balance of a system account. */
export const burn = (env: Env, from: Address, wei: bigint): void => {
  if (wei === 0n) return;
  env.state.debit(from, wei);
  total.set(env.state, ONLY, burnedTotal(env.state) + wei);
};

/** Burns nRLC of a fee, and counts it for issuance. */
export const burnFee = (env: Env, from: Address, nrlc: bigint): void => {
  if (nrlc === 0n) return;
  burn(env, from, nrlc * NRLC);
  byEra.set(env.state, env.block.era, burnedOfEra(env.state, env.block.era) + nrlc);
};
