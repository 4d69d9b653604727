import { decodeTransaction } from "../../chain/transaction.ts";
import { type Address, fromHex, type Hex, toHex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { RpcCallError, type RpcClient } from "../../rpc/client.ts";
import { REVERTED } from "../../rpc/errors.ts";
import type { MARKET } from "../../vm/addresses.ts";
import { marketNatives } from "../../vm/market/natives.ts";
import { Revert } from "../../vm/natives.ts";
import type { createWorld } from "../vm/market/world.ts";

interface Message {
  readonly to: Address;
  readonly from?: Address;
  readonly data: Hex;
}

/** Makes a client of a node whose head is a world; what is sent comes from `sender`. `tried` counts messages that were tried, and reverts. */
export const clientOf = (world: ReturnType<typeof createWorld>, sender: Address = ZERO_ADDRESS) => {
  const tried = { messages: 0, reverts: 0 };
  const run = ({ to, from = ZERO_ADDRESS, data }: Message, isStatic: boolean): Uint8Array => {
    const call = { state: world.state, block: world.block(), self: to, sender: from, origin: from, isStatic };
    return marketNatives[to as typeof MARKET]!.call({
      ...call,
      value: 0n,
      data: fromHex(data),
      log: () => {},
    } as never);
  };
  /** Runs a message and takes back what it did. */
  const look = (message: Message, isStatic: boolean): Uint8Array => {
    const before = world.state.snapshot();
    try {
      return run(message, isStatic);
    } catch (error) {
      if (error instanceof Revert) throw new RpcCallError(REVERTED, "execution reverted", undefined);
      throw error;
    } finally {
      world.state.revert(before);
    }
  };
  const call = async (method: string, [asked]: readonly unknown[] = []): Promise<unknown> => {
    switch (method) {
      case "eth_call":
        return toHex(look(asked as Message, true));
      case "eth_estimateGas":
        tried.messages += 1;
        try {
          look(asked as Message, false);
        } catch (error) {
          tried.reverts += 1;
          throw error;
        }
        return "0x50000";
      case "eth_sendRawTransaction": {
        const { to, data, hash } = decodeTransaction(fromHex(asked as Hex));
        run({ to: to!, from: sender, data: toHex(data) }, false);
        return hash;
      }
      case "eth_getBlockByNumber":
        return { baseFeePerGas: "0x1", number: "0x5", hash: `0x${"05".repeat(32)}` };
      case "eth_getLogs":
        return [];
      default:
        return "0x1";
    }
  };
  const batch = (items: readonly { method: string; params: readonly unknown[] }[]): Promise<unknown[]> =>
    Promise.all(items.map(({ method, params }) => call(method, params)));
  return { client: { call, batch } as unknown as RpcClient, tried };
};
