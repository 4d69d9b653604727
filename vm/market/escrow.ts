import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big, record } from "../../lib/codec.ts";
import { revert } from "../revert.ts";
import { addressId, HUB } from "../tables.ts";
import { HUB_EVENTS } from "./abi.ts";
import { type Env, emitAt, NRLC } from "./env.ts";
import { HUB_TABLE, tableOf } from "./tables.ts";

/** An account in the hub, in nRLC: `stake` is free, `locked` is bound to deals. The hub's balance holds all of it. */
export interface HubAccount {
  readonly stake: bigint;
  readonly locked: bigint;
}

const accounts = tableOf(HUB, HUB_TABLE.account, record({ stake: big, locked: big }));
const NOTHING: HubAccount = { stake: 0n, locked: 0n };

/** Reads an account of the hub; zeros where there is none. */
export const hubAccount = (state: State, owner: Address): HubAccount =>
  accounts.get(state, addressId(owner)) ?? NOTHING;

const setAccount = (state: State, owner: Address, account: HubAccount): void =>
  accounts.set(state, addressId(owner), account.stake + account.locked === 0n ? undefined : account);

const { Transfer, Lock, Unlock, Reward, Seize } = HUB_EVENTS;
const transferred = (env: Env, from: Address, to: Address, amount: bigint): void =>
  emitAt(env, HUB, Transfer!, from, to, amount);

/** Adds nRLC to a free stake; their wei must have come into the hub's balance. */
export const mint = (env: Env, owner: Address, amount: bigint): void => {
  if (owner === ZERO_ADDRESS) revert("ERC20: mint to the zero address");
  const account = hubAccount(env.state, owner);
  setAccount(env.state, owner, { ...account, stake: account.stake + amount });
  transferred(env, ZERO_ADDRESS, owner, amount);
};

/** Takes nRLC out of a free stake and pays them to an address. Reverts where there is less. */
export const withdraw = (env: Env, owner: Address, to: Address, amount: bigint): void => {
  const account = hubAccount(env.state, owner);
  if (account.stake < amount) revert("IexecEscrow: Transfer amount exceeds balance");
  setAccount(env.state, owner, { ...account, stake: account.stake - amount });
  env.state.debit(HUB, amount * NRLC);
  env.state.credit(to, amount * NRLC);
  transferred(env, owner, ZERO_ADDRESS, amount);
};

/** Binds nRLC of a free stake. Reverts where there is less. */
export const lock = (env: Env, owner: Address, amount: bigint): void => {
  const account = hubAccount(env.state, owner);
  if (account.stake < amount) revert("IexecEscrow: Transfer amount exceeds balance");
  setAccount(env.state, owner, { stake: account.stake - amount, locked: account.locked + amount });
  transferred(env, owner, HUB, amount);
  emitAt(env, HUB, Lock!, owner, amount);
};

const unbind = (account: HubAccount, owner: Address, amount: bigint): bigint => {
  if (account.locked < amount) throw new Error(`${owner} has ${account.locked} nRLC locked, ${amount} are asked for`);
  return account.locked - amount;
};

/** Makes locked nRLC free again. */
export const unlock = (env: Env, owner: Address, amount: bigint): void => {
  const account = hubAccount(env.state, owner);
  setAccount(env.state, owner, { stake: account.stake + amount, locked: unbind(account, owner, amount) });
  transferred(env, HUB, owner, amount);
  emitAt(env, HUB, Unlock!, owner, amount);
};

/** Takes locked nRLC away; whoever calls gives them to others or burns them. */
export const seize = (env: Env, owner: Address, amount: bigint, ref: Hash): void => {
  const account = hubAccount(env.state, owner);
  setAccount(env.state, owner, { ...account, locked: unbind(account, owner, amount) });
  emitAt(env, HUB, Seize!, owner, amount, ref);
};

/** Adds nRLC that were seized to a free stake. */
export const reward = (env: Env, owner: Address, amount: bigint, ref: Hash): void => {
  const account = hubAccount(env.state, owner);
  if (amount > 0n) setAccount(env.state, owner, { ...account, stake: account.stake + amount });
  transferred(env, HUB, owner, amount);
  emitAt(env, HUB, Reward!, owner, amount, ref);
};

/** Moves wei into the hub's balance and adds their nRLC to a free stake. Wei below an nRLC stay where they are. */
export const deposit = (env: Env, from: Address, owner: Address, amount: bigint): void => {
  env.state.debit(from, amount * NRLC);
  env.state.credit(HUB, amount * NRLC);
  mint(env, owner, amount);
};
