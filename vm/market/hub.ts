import { NATIVE_GAS } from "../gas.ts";
import { type NativeContract, nativeContract } from "../natives.ts";
import { HUB_ABI, methodsFor } from "./abi.ts";
import { orderHandlers } from "./hub-orders.ts";
import { settingHandlers } from "./hub-settings.ts";
import { depositValue, stakeHandlers } from "./hub-stake.ts";
import { taskHandlers } from "./hub-tasks.ts";

const contract = nativeContract(
  "Hub",
  methodsFor(HUB_ABI, { ...stakeHandlers, ...orderHandlers, ...taskHandlers, ...settingHandlers }),
);

/** 0x…1001: the hub. A bare transfer is a deposit, as in PoCo's native mode. */
export const hubNative: NativeContract = {
  ...contract,
  gas: (data) => (data.length === 0 ? NATIVE_GAS.writeMany : contract.gas(data)),
  call: (ctx) => {
    if (ctx.data.length > 0) return contract.call(ctx);
    depositValue(ctx, ctx.sender);
    return new Uint8Array(0);
  },
};
