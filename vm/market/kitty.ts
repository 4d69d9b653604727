import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { NRLC, RLC } from "../../lib/units.ts";
import type { Env } from "./env.ts";
import { hubAccount, reward, rewardLocked, seize } from "./escrow.ts";

/** The account that holds what owners of pools lost; nobody has its key. */
export const KITTY: Address = "0x99c2268479b93fde36232351229815df80837e23";
/** Percent of the kitty that a success gives, and the least it gives, in nRLC. */
export const KITTY_RATIO = 10n;
export const KITTY_MIN = RLC / NRLC;

/** Gives the nRLC in the kitty. */
const kittyOf = (state: State): bigint => hubAccount(state, KITTY).locked;

/** Pays a part of the kitty to the owner of a pool that did a task. */
export const payFromKitty = (env: Env, poolOwner: Address, ref: Hash): void => {
  const kitty = kittyOf(env.state);
  if (kitty === 0n) return;
  const part = (kitty * KITTY_RATIO) / 100n;
  const least = part > KITTY_MIN ? part : KITTY_MIN;
  const given = least < kitty ? least : kitty;
  seize(env, KITTY, given, ref);
  reward(env, poolOwner, given, ref);
};

/** Puts the stake of a pool's owner that did not do a task into the kitty: the requester never gets it. */
export const payToKitty = (env: Env, poolOwner: Address, amount: bigint, ref: Hash): void => {
  seize(env, poolOwner, amount, ref);
  rewardLocked(env, KITTY, amount, ref);
};
