import type { State } from "../../chain/state.ts";
import { type Address, toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { big } from "../../lib/codec.ts";
import { abiFunction } from "../abi.ts";
import { NATIVE_GAS } from "../gas.ts";
import { nativeContract } from "../natives.ts";
import { Revert, revert } from "../revert.ts";
import { HUB, TOKEN } from "../tables.ts";
import { eventsOf, methodsFor, TOKEN_ABI } from "./abi.ts";
import { type Env, emitAt, NRLC } from "./env.ts";
import { deposit } from "./escrow.ts";
import { pairId, single, TOKEN_TABLE, tableOf } from "./tables.ts";

const allowances = tableOf(TOKEN, TOKEN_TABLE.allowance, single(big));
const { Transfer, Approval } = eventsOf(TOKEN_ABI);
/** 87,000,000 RLC, in nRLC. */
const TOTAL_SUPPLY = 87_000_000n * NRLC;
const UNSUPPORTED = abiFunction("UnsupportedOperation(bytes4 selector)");

const allowanceOf = (state: State, owner: Address, spender: Address): bigint =>
  allowances.get(state, pairId(owner, spender)) ?? 0n;

const setAllowance = (env: Env, owner: Address, spender: Address, amount: bigint): void => {
  allowances.set(env.state, pairId(owner, spender), amount === 0n ? undefined : amount);
  emitAt(env, TOKEN, Approval!, owner, spender, amount);
};

/** Moves nRLC between balances; to the hub it is a deposit. Reverts to other contracts, which could never give it back. */
const transfer = (env: Env, from: Address, to: Address, amount: bigint): void => {
  if (to === ZERO_ADDRESS) revert("ERC20: transfer to the zero address");
  if (env.state.balance(from) < amount * NRLC) revert("ERC20: transfer amount exceeds balance");
  if (to === HUB) deposit(env, from, from, amount);
  else {
    if (env.state.code(to).length > 0) revert("ERC20: a contract cannot hold RLC");
    env.state.debit(from, amount * NRLC);
    env.state.credit(to, amount * NRLC);
  }
  emitAt(env, TOKEN, Transfer!, from, to, amount);
};

/** Uses up part of an allowance, of which the greatest number is endless. */
const spend = (env: Env, owner: Address, spender: Address, amount: bigint): void => {
  const allowed = allowanceOf(env.state, owner, spender);
  if (allowed < amount) revert("ERC20: insufficient allowance");
  if (allowed !== (1n << 256n) - 1n) setAllowance(env, owner, spender, allowed - amount);
};

/** Deposits what an owner has allowed the hub to take: PoCo's token mode. */
export const depositAllowed = (env: Env, owner: Address, beneficiary: Address, amount: bigint): void => {
  spend(env, owner, HUB, amount);
  if (env.state.balance(owner) < amount * NRLC) revert("ERC20: transfer amount exceeds balance");
  deposit(env, owner, beneficiary, amount);
  emitAt(env, TOKEN, Transfer!, owner, HUB, amount);
};

const view = NATIVE_GAS.view;

/** 0x…1005: RLC as ERC-20 with 9 decimals, over native balances. */
export const tokenNative = nativeContract(
  "RLC",
  methodsFor(TOKEN_ABI, {
    name: { gas: view, run: () => ["iExec Network Token"] },
    symbol: { gas: view, run: () => ["RLC"] },
    decimals: { gas: view, run: () => [9n] },
    totalSupply: { gas: view, run: () => [TOTAL_SUPPLY] },
    balanceOf: { gas: view, run: (ctx, [account]) => [ctx.state.balance(account as Address) / NRLC] },
    allowance: {
      gas: view,
      run: (ctx, [owner, spender]) => [allowanceOf(ctx.state, owner as Address, spender as Address)],
    },
    transfer: {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, [to, amount]) => {
        transfer(ctx, ctx.sender, to as Address, amount as bigint);
        return [true];
      },
    },
    approve: {
      gas: NATIVE_GAS.write,
      run: (ctx, [spender, amount]) => {
        setAllowance(ctx, ctx.sender, spender as Address, amount as bigint);
        return [true];
      },
    },
    transferFrom: {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, [from, to, amount]) => {
        spend(ctx, from as Address, ctx.sender, amount as bigint);
        transfer(ctx, from as Address, to as Address, amount as bigint);
        return [true];
      },
    },
    approveAndCall: {
      gas: 2 * NATIVE_GAS.writeMany,
      run: (ctx, args) => {
        const [spender, amount, data] = args as [Address, bigint, Uint8Array];
        // Only the hub answers receiveApproval; what it would run from `data` is matching of signed orders.
        if (spender !== HUB) revert("ERC20: the spender does not answer receiveApproval");
        if (data.length > 0) {
          const selector = new Uint8Array(4);
          selector.set(data.subarray(0, 4));
          throw new Revert(UNSUPPORTED.encode(toHex(selector)));
        }
        setAllowance(ctx, ctx.sender, spender, amount);
        depositAllowed(ctx, ctx.sender, ctx.sender, amount);
        return [true];
      },
    },
  }),
);
