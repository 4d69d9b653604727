import { ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big, record } from "../../lib/codec.ts";
import { NRLC } from "../../lib/units.ts";
import { HUB } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";
import { checked, ensure } from "../revert.ts";
import { HUB_EVENTS } from "./abi.ts";
import { burn, burnFee } from "./burned.ts";
import { type Env, emitAt } from "./env.ts";

/**
 * An account in the hub, in nRLC: `stake` is free, `locked` is bound to deals. As in PoCo what is bound stands in the hub's
 * own stake, so that the stakes of all are the total supply.
 */
export interface HubAccount {
  readonly stake: bigint;
  readonly locked: bigint;
}

const accounts = table(HUB, HUB_TABLE.account, 1, record({ stake: big, locked: big }));
const supply = table(HUB, HUB_TABLE.totalSupply, 1, single(big));
const NOTHING: HubAccount = { stake: 0n, locked: 0n };

/** Reads an account of the hub; zeros where there is none. */
export const hubAccount = (state: State, owner: Address): HubAccount => accounts.get(state, owner) ?? NOTHING;
/** Gives the nRLC of all stakes. */
export const totalSupply = (state: State): bigint => supply.get(state, ONLY) ?? 0n;

const setAccount = (state: State, owner: Address, account: HubAccount): void =>
  accounts.set(state, owner, account.stake + account.locked === 0n ? undefined : account);
const addStake = (state: State, owner: Address, amount: bigint): void => {
  const account = hubAccount(state, owner);
  if (account.stake + amount < 0n) throw new Error(`${owner} has ${account.stake} nRLC, ${-amount} are asked for`);
  if (amount !== 0n) setAccount(state, owner, { ...account, stake: account.stake + amount });
};
const addLocked = (state: State, owner: Address, amount: bigint): void => {
  const account = hubAccount(state, owner);
  const locked = account.locked + amount;
  if (locked < 0n) throw new Error(`${owner} has ${account.locked} nRLC locked, ${-amount} are asked for`);
  if (amount !== 0n) setAccount(state, owner, { ...account, locked });
};
const addSupply = (state: State, amount: bigint): void => supply.set(state, ONLY, totalSupply(state) + amount);

const { Transfer, Lock, Unlock, Reward, Seize } = HUB_EVENTS;
const transferred = (env: Env, from: Address, to: Address, amount: bigint): void =>
  emitAt(env, HUB, Transfer!, from, to, amount);

/** Moves a free stake. The caller has checked that there is enough. */
const move = (env: Env, from: Address, to: Address, amount: bigint): void => {
  addStake(env.state, from, -amount);
  addStake(env.state, to, amount);
  transferred(env, from, to, amount);
};

/** Adds nRLC to a free stake; their wei must have come into the hub's balance. */
export const mint = (env: Env, owner: Address, amount: bigint): void => {
  ensure(owner !== ZERO_ADDRESS, "ERC20: mint to the zero address");
  addSupply(env.state, amount);
  addStake(env.state, owner, amount);
  transferred(env, ZERO_ADDRESS, owner, amount);
};

/** Takes nRLC out of a free stake; their wei are to leave the hub's balance. Reverts where there is less. */
const unmint = (env: Env, owner: Address, amount: bigint): void => {
  ensure(hubAccount(env.state, owner).stake >= amount);
  addSupply(env.state, -amount);
  addStake(env.state, owner, -amount);
  transferred(env, owner, ZERO_ADDRESS, amount);
};

/** Moves a free stake to another account, as ERC-20. Reverts where there is less. */
export const transferStake = (env: Env, from: Address, to: Address, amount: bigint): void => {
  ensure(from !== ZERO_ADDRESS, "ERC20: transfer from the zero address");
  ensure(to !== ZERO_ADDRESS, "ERC20: transfer to the zero address");
  ensure(hubAccount(env.state, from).stake >= amount);
  move(env, from, to, amount);
};

/** Takes nRLC out of a free stake and pays them to an address. Reverts where there is less, or the address is a contract. */
export const payOut = (env: Env, owner: Address, to: Address, amount: bigint): void => {
  unmint(env, owner, amount);
  ensure(env.state.code(to).length === 0, "native-transfer-failed");
  env.state.debit(HUB, amount * NRLC);
  env.state.credit(to, amount * NRLC);
};

/** Binds nRLC of a free stake. Reverts where there is less. */
export const lock = (env: Env, owner: Address, amount: bigint): void => {
  ensure(owner !== ZERO_ADDRESS, "IexecEscrow: Transfer from empty address");
  ensure(hubAccount(env.state, owner).stake >= amount, "IexecEscrow: Transfer amount exceeds balance");
  move(env, owner, HUB, amount);
  addLocked(env.state, owner, amount);
  emitAt(env, HUB, Lock!, owner, amount);
};

/** Makes locked nRLC free again. */
export const unlock = (env: Env, owner: Address, amount: bigint): void => {
  move(env, HUB, owner, amount);
  addLocked(env.state, owner, -amount);
  emitAt(env, HUB, Unlock!, owner, amount);
};

/** Takes locked nRLC away; whoever calls gives them to others or burns them. */
export const seize = (env: Env, owner: Address, amount: bigint, ref: Hash): void => {
  addLocked(env.state, owner, -amount);
  emitAt(env, HUB, Seize!, owner, amount, ref);
};

/** Adds nRLC that were seized to a free stake. */
export const reward = (env: Env, owner: Address, amount: bigint, ref: Hash): void => {
  ensure(owner !== ZERO_ADDRESS, "IexecEscrow: Transfer to empty address");
  move(env, HUB, owner, amount);
  emitAt(env, HUB, Reward!, owner, amount, ref);
};

/** Binds nRLC that were seized to an account, without making them free between: how the kitty is filled. */
export const rewardLocked = (env: Env, owner: Address, amount: bigint, ref: Hash): void => {
  addLocked(env.state, owner, amount);
  emitAt(env, HUB, Reward!, owner, amount, ref);
  emitAt(env, HUB, Lock!, owner, amount);
};

/** Burns nRLC that were seized. */
export const burnSeized = (env: Env, amount: bigint): void => {
  unmint(env, HUB, amount);
  burn(env, HUB, amount * NRLC);
};
/** Burns nRLC of a fee that were seized, and counts them for issuance. */
export const burnSeizedFee = (env: Env, amount: bigint): void => {
  unmint(env, HUB, amount);
  burnFee(env, HUB, amount);
};

/** Brings wei of a system account's balance into the hub as nRLC that were seized. */
export const bringIn = (env: Env, from: Address, amount: bigint): void => {
  env.state.debit(from, amount * NRLC);
  env.state.credit(HUB, amount * NRLC);
  mint(env, HUB, amount);
};
/** Takes nRLC that were seized out of the hub into a system account's balance. */
export const takeOut = (env: Env, to: Address, amount: bigint): void => {
  unmint(env, HUB, amount);
  env.state.debit(HUB, amount * NRLC);
  env.state.credit(to, amount * NRLC);
};

/** Moves wei into the hub's balance and adds their nRLC to a free stake. Wei below an nRLC stay where they are. */
export const deposit = (env: Env, from: Address, owner: Address, amount: bigint): void => {
  env.state.debit(from, amount * NRLC);
  env.state.credit(HUB, amount * NRLC);
  mint(env, owner, amount);
};

/** Gives back the wei of a call that no nRLC was made of. */
export const giveBack = (env: Env, to: Address, wei: bigint): void => {
  env.state.debit(HUB, wei);
  env.state.credit(to, wei);
};

/** Turns wei that came into the hub's balance unasked into stake of its owner; gives their nRLC. */
export const recover = (env: Env, owner: Address): bigint => {
  const delta = checked(env.state.balance(HUB) / NRLC - totalSupply(env.state));
  mint(env, owner, delta);
  return delta;
};
