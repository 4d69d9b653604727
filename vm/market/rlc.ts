import { pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { NRLC } from "../../lib/units.ts";
import { HUB, TOKEN } from "../addresses.ts";
import { TOKEN_TABLE } from "../layout.ts";
import { ensure } from "../revert.ts";
import { eventsOf, TOKEN_ABI } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import { deposit, payOut } from "./escrow.ts";

const allowances = table(TOKEN, TOKEN_TABLE.allowance, 1, single(big));
const { Transfer, Approval } = eventsOf(TOKEN_ABI);
const ENDLESS = (1n << 256n) - 1n;

/** Gives the nRLC of its balance that an owner lets a spender take. */
export const allowanceOf = (state: State, owner: Address, spender: Address): bigint =>
  allowances.get(state, pairId(owner, spender)) ?? 0n;

const setAllowance = (state: State, owner: Address, spender: Address, amount: bigint): void =>
  allowances.set(state, pairId(owner, spender), amount === 0n ? undefined : amount);

/** Lets a spender take nRLC of a balance. */
export const approve = (env: Env, owner: Address, spender: Address, amount: bigint): void => {
  ensure(spender !== ZERO_ADDRESS, "ERC20: approve to the zero address");
  setAllowance(env.state, owner, spender, amount);
  emitAt(env, TOKEN, Approval!, owner, spender, amount);
};

/** Uses up part of an allowance, of which the greatest number is endless. */
const spend = ({ state }: Env, owner: Address, spender: Address, amount: bigint): void => {
  const allowed = allowanceOf(state, owner, spender);
  ensure(allowed >= amount, "ERC20: insufficient allowance");
  if (allowed !== ENDLESS) setAllowance(state, owner, spender, allowed - amount);
};

/** Moves nRLC between balances; to the hub it is a deposit. Reverts to other contracts, which could never give it back. */
export const transfer = (env: Env, from: Address, to: Address, amount: bigint): void => {
  ensure(to !== ZERO_ADDRESS, "ERC20: transfer to the zero address");
  ensure(env.state.balance(from) >= amount * NRLC, "ERC20: transfer amount exceeds balance");
  emitAt(env, TOKEN, Transfer!, from, to, amount);
  if (to === HUB) {
    deposit(env, from, from, amount);
    return;
  }
  ensure(env.state.code(to).length === 0, "ERC20: a contract cannot hold RLC");
  env.state.debit(from, amount * NRLC);
  env.state.credit(to, amount * NRLC);
};

/** Moves nRLC that their owner lets a spender take. */
export const transferFrom = (env: Env, spender: Address, from: Address, to: Address, amount: bigint): void => {
  spend(env, from, spender, amount);
  transfer(env, from, to, amount);
};

/** Deposits what an owner lets the hub take: PoCo's token mode. */
export const depositAllowed = (env: Env, owner: Address, beneficiary: Address, amount: bigint): void => {
  spend(env, owner, HUB, amount);
  ensure(env.state.balance(owner) >= amount * NRLC, "ERC20: transfer amount exceeds balance");
  emitAt(env, TOKEN, Transfer!, owner, HUB, amount);
  deposit(env, owner, beneficiary, amount);
};

/** Pays a free stake out as RLC. Reverts where there is less, or the address is a contract. */
export const withdraw = (env: Env, owner: Address, to: Address, amount: bigint): void => {
  payOut(env, owner, to, amount);
  emitAt(env, TOKEN, Transfer!, HUB, to, amount);
};
