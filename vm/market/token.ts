import { SUPPLY_WEI } from "../../chain/genesis.ts";
import type { Address } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import { HUB, TOKEN } from "../addresses.ts";
import { NATIVE_GAS } from "../gas.ts";
import { nativeContract } from "../natives.ts";
import { revert } from "../revert.ts";
import { methodsFor, TOKEN_ABI } from "./abi.ts";
import { MARKET_GAS } from "./gas.ts";
import { receiveApproval } from "./receive-approval.ts";
import { allowanceOf, approve, transfer, transferFrom } from "./rlc.ts";

/** 87,000,000 RLC, in nRLC. */
const TOTAL_SUPPLY = SUPPLY_WEI / NRLC;
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
        approve(ctx, ctx.sender, spender as Address, amount as bigint);
        return [true];
      },
    },
    transferFrom: {
      gas: NATIVE_GAS.writeMany,
      run: (ctx, [from, to, amount]) => {
        transferFrom(ctx, ctx.sender, from as Address, to as Address, amount as bigint);
        return [true];
      },
    },
    approveAndCall: {
      gas: 2 * NATIVE_GAS.writeMany,
      perWord: MARKET_GAS.matchPerWord,
      run: (ctx, args) => {
        const [spender, amount, data] = args as [Address, bigint, Uint8Array];
        approve(ctx, ctx.sender, spender, amount);
        if (spender !== HUB) revert("ERC20: the spender does not answer receiveApproval");
        receiveApproval(ctx, ctx.sender, amount, TOKEN, data);
        return [true];
      },
    },
  }),
);
