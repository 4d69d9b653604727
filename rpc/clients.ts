import type { Socket } from "node:net";
import { createBudget } from "../lib/budget.ts";
import { type Account, createSpending } from "../lib/spending.ts";
import { isLoopback, peerOf } from "./connections.ts";
import type { RpcAllowances, RpcLimits } from "./limits.ts";

/** Memory that one request takes, until all of it is given back. */
export interface Holding {
  /** Takes so many bytes more; false where the client has too many, or all have. */
  take(bytes: number): boolean;
  /** Gives back some of what was taken. */
  give(bytes: number): void;
  /** Gives back all that was taken. */
  free(): void;
}

/** Who asks: an address of the network, or a connection from this machine. */
export interface Client {
  readonly account: Account;
  hold(): Holding;
}

/** Knows clients by their connections, and what each of them, and all, may take of the node. */
export const createClients = (limits: RpcLimits, allowances: RpcAllowances) => {
  const spending = createSpending({ ...allowances, nowMs: () => performance.now() });
  const all = createBudget(limits.maxBytesInFlight);
  const reserve = limits.maxBytesInFlight / 4;
  const bySocket = new WeakMap<Socket, Client>();
  const byAddress = new Map<string, { readonly client: Client; connections: number }>();

  const open = (account: Account): Client => {
    const own = createBudget(limits.maxBytesOfClient);
    return {
      account,
      hold: () => {
        let held = 0;
        const give = (bytes: number): void => {
          own.give(bytes);
          all.give(bytes);
          held -= bytes;
        };
        return {
          take: (bytes) => {
            const isSmall = held + bytes <= limits.smallBytes;
            if (!isSmall && all.left - bytes < reserve) return false;
            if (!own.take(bytes)) return false;
            if (!all.take(bytes)) {
              own.give(bytes);
              return false;
            }
            held += bytes;
            return true;
          },
          give,
          free: () => give(held),
        };
      },
    };
  };
  /** The client of an address while it has connections; its account is remembered beyond them. */
  const ofAddress = (name: string, socket: Socket): Client => {
    const known = byAddress.get(name) ?? {
      client: open(spending.account(name, allowances.address)),
      connections: 0,
    };
    byAddress.set(name, known);
    known.connections += 1;
    socket.once("close", () => {
      known.connections -= 1;
      if (known.connections === 0) byAddress.delete(name);
    });
    return known.client;
  };
  return {
    /** Tells who is behind a connection. */
    of: (socket: Socket): Client => {
      let client = bySocket.get(socket);
      if (!client) {
        const { remoteAddress } = socket;
        client = isLoopback(remoteAddress)
          ? open(spending.account(undefined, allowances.local))
          : ofAddress(peerOf(remoteAddress), socket);
        bySocket.set(socket, client);
      }
      return client;
    },
  };
};
