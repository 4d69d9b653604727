import type { Address, Hex } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { putNewest } from "../lib/lru.ts";
import type { RpcClient } from "../rpc/client.ts";
import { send } from "./wallet.ts";

/** Messages of a daemon to the chain, each sent again where it has had no effect after a few blocks. */
export interface Resends {
  /** Sends a message by its name unless it is under way. `fields` are logged with it. */
  send(
    name: string,
    block: number,
    message: { readonly to: Address; readonly data: Uint8Array },
    fields: object,
  ): Promise<void>;
  has(name: string): boolean;
  /** Forgets the messages whose names are not wanted. */
  keep(isWanted: (name: string) => boolean): void;
}

const RESEND_BLOCKS = 4;
const MAX_MESSAGES = 65_536;

/** Makes an empty memory of what an account has sent. */
export const createResends = (client: RpcClient, key: Hex, log: Log): Resends => {
  /** By name, the block at which it was sent last. */
  const sent = new Map<string, number>();
  return {
    send: async (name, block, message, fields) => {
      if (block < (sent.get(name) ?? -RESEND_BLOCKS) + RESEND_BLOCKS) return;
      putNewest(sent, name, block, MAX_MESSAGES);
      try {
        await send(client, key, message);
      } catch (error) {
        // What was not sent is tried again in the next block: its time may be short.
        sent.set(name, block - RESEND_BLOCKS + 1);
        throw error;
      }
      log.info(fields, "sent");
    },
    has: (name) => sent.has(name),
    keep: (isWanted) => {
      for (const name of sent.keys()) if (!isWanted(name)) sent.delete(name);
    },
  };
};
