import { pairId, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { type Address, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { NRLC } from "../../lib/units.ts";
import type { AbiValue } from "../abi.ts";
import { HUB, TOKEN } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import { HUB_TABLE } from "../layout.ts";
import type { CallContext } from "../natives.ts";
import { checked, ensure, refuse } from "../revert.ts";
import { type Handler, HUB_EVENTS } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import { deposit, giveBack, hubAccount, recover, totalSupply, transferStake } from "./escrow.ts";
import { MARKET_GAS } from "./gas.ts";
import { constant, viewing } from "./handlers.ts";
import { contractOwner, onlyOwner } from "./owner.ts";
import { receiveApproval } from "./receive-approval.ts";
import { depositAllowed, withdraw } from "./rlc.ts";

const { write, writeMany } = NATIVE_GAS;

const allowances = table(HUB, HUB_TABLE.allowance, 1, single(big));
const allowanceOf = (state: State, owner: Address, spender: Address): bigint =>
  allowances.get(state, pairId(owner, spender)) ?? 0n;
const approve = (env: Env, owner: Address, spender: Address, amount: bigint): void => {
  ensure(spender !== ZERO_ADDRESS, "ERC20: approve to the zero address");
  allowances.set(env.state, pairId(owner, spender), amount === 0n ? undefined : amount);
  emitAt(env, HUB, HUB_EVENTS.Approval!, owner, spender, amount);
};

/** Takes the value of a call as a deposit; wei below an nRLC go back. */
export const depositValue = (ctx: CallContext, target: Address): boolean => {
  const amount = ctx.value / NRLC;
  deposit(ctx, HUB, target, amount);
  giveBack(ctx, ctx.sender, ctx.value - amount * NRLC);
  return true;
};

/** Deposits for many: with a value from it, what is left going back; without from what the sender lets the hub take. */
const depositForArray = (ctx: CallContext, amounts: readonly bigint[], targets: readonly Address[]): void => {
  ensure(amounts.length === targets.length, "invalid-array-length");
  const isNative = ctx.value > 0n;
  let left = ctx.value;
  for (const [i, amount] of amounts.entries()) {
    if (isNative) {
      left = checked(left - checked(amount * NRLC));
      deposit(ctx, HUB, targets[i]!, amount);
    } else depositAllowed(ctx, ctx.sender, targets[i]!, amount);
  }
  giveBack(ctx, ctx.sender, left);
};

/** A call that writes and answers true. */
const doing = (gas: number, run: (ctx: CallContext, args: AbiValue[]) => void, perWord = 0): Handler => ({
  gas,
  perWord,
  run: (ctx, args) => {
    run(ctx, args);
    return [true];
  },
});

/** The hub's functions over stakes: deposits, withdrawals, and stake as an ERC-20. */
export const stakeHandlers: Readonly<Record<string, Handler>> = {
  "deposit()": doing(writeMany, (ctx) => depositValue(ctx, ctx.sender)),
  "deposit(uint256)": doing(writeMany, (ctx, [amount]) =>
    depositAllowed(ctx, ctx.sender, ctx.sender, amount as bigint),
  ),
  "depositFor(address)": doing(writeMany, (ctx, [target]) => depositValue(ctx, target as Address)),
  "depositFor(uint256,address)": doing(writeMany, (ctx, [amount, target]) =>
    depositAllowed(ctx, ctx.sender, target as Address, amount as bigint),
  ),
  depositForArray: doing(
    writeMany,
    (ctx, [amounts, targets]) => depositForArray(ctx, amounts as bigint[], targets as Address[]),
    writeMany / 2,
  ),
  withdraw: doing(writeMany, (ctx, [amount]) => withdraw(ctx, ctx.sender, ctx.sender, amount as bigint)),
  withdrawTo: doing(writeMany, (ctx, [amount, to]) => withdraw(ctx, ctx.sender, to as Address, amount as bigint)),
  recover: {
    gas: writeMany,
    run: (ctx) => {
      onlyOwner(ctx.state, HUB, ctx.sender);
      return [recover(ctx, contractOwner(ctx.state, HUB))];
    },
  },
  receiveApproval: doing(
    writeMany,
    (ctx, args) => {
      const [sender, amount, token, data] = args as [Address, bigint, Address, Uint8Array];
      receiveApproval(ctx, sender, amount, token, data);
    },
    MARKET_GAS.matchPerWord,
  ),
  transfer: doing(writeMany, (ctx, [to, amount]) => transferStake(ctx, ctx.sender, to as Address, amount as bigint)),
  transferFrom: doing(writeMany, (ctx, args) => {
    const [from, to, amount] = args as [Address, Address, bigint];
    transferStake(ctx, from, to, amount);
    const allowed = allowanceOf(ctx.state, from, ctx.sender);
    ensure(allowed >= amount);
    approve(ctx, from, ctx.sender, allowed - amount);
  }),
  approve: doing(write, (ctx, [spender, amount]) => approve(ctx, ctx.sender, spender as Address, amount as bigint)),
  approveAndCall: doing(writeMany, (ctx, [spender, amount]) => {
    approve(ctx, ctx.sender, spender as Address, amount as bigint);
    // The hub takes RLC alone, and no other account answers receiveApproval.
    ensure(spender !== HUB, "wrong-token");
    refuse();
  }),
  increaseAllowance: doing(write, (ctx, args) => {
    const [spender, added] = args as [Address, bigint];
    approve(ctx, ctx.sender, spender, checked(allowanceOf(ctx.state, ctx.sender, spender) + added));
  }),
  decreaseAllowance: doing(write, (ctx, args) => {
    const [spender, taken] = args as [Address, bigint];
    const allowed = allowanceOf(ctx.state, ctx.sender, spender);
    ensure(allowed >= taken);
    approve(ctx, ctx.sender, spender, allowed - taken);
  }),
  allowance: viewing((ctx, [owner, spender]) => allowanceOf(ctx.state, owner as Address, spender as Address)),
  balanceOf: viewing((ctx, [account]) => hubAccount(ctx.state, account as Address).stake),
  frozenOf: viewing((ctx, [account]) => hubAccount(ctx.state, account as Address).locked),
  viewAccount: viewing((ctx, [account]) => {
    const { stake, locked } = hubAccount(ctx.state, account as Address);
    return [stake, locked];
  }),
  totalSupply: viewing((ctx) => totalSupply(ctx.state)),
  name: constant("Staked RLC"),
  symbol: constant("SRLC"),
  decimals: constant(9n),
  token: constant(TOKEN),
};
