import type { Socket } from "node:net";
import { createBudget } from "../lib/budget.ts";
import { type Account, createSpending } from "../lib/spending.ts";
import { isLoopback, peerOf } from "./connections.ts";
import type { RpcAllowances, RpcLimits } from "./limits.ts";
import type { Tenant } from "./room.ts";

/** Memory that one request takes, until all of it is given back. */
export interface Holding {
  /** Takes so many bytes more; false where the client has too many, or all have. */
  take(bytes: number): boolean;
  /** Gives back some of what was taken. */
  give(bytes: number): void;
  /** Gives back all that was taken. */
  free(): void;
}

/** What a client has spent, which also stands for it where something is shared. */
export type ClientAccount = Account & Tenant;

/** Who asks: an address of the network, or a connection from this machine. */
export interface Client {
  readonly account: ClientAccount;
  hold(): Holding;
}

/** Knows clients by their connections, and what each of them, and all, may take of the node. */
export const createClients = (limits: RpcLimits, allowances: RpcAllowances) => {
  const spending = createSpending({ ...allowances, nowMs: () => performance.now() });
  const all = createBudget(limits.maxBytesInFlight);
  const reserve = limits.maxBytesInFlight / 4;
  /** Of all programs of this machine together: the rest is for those who come over the network. */
  const local = createBudget(limits.maxBytesInFlight - reserve);
  const bySocket = new WeakMap<Socket, Client>();
  const byAddress = new Map<string, { readonly client: Client; connections: number }>();

  const open = (account: ClientAccount): Client => {
    const own = createBudget(limits.maxBytesOfClient);
    const budgets = account.isLocal ? [own, local, all] : [own, all];
    /** What is large leaves this much of all: of this machine's programs it leaves a part to others' large ones, too. */
    const left = account.isLocal ? 2 * reserve : reserve;
    return {
      account,
      hold: () => {
        let held = 0;
        const give = (bytes: number): void => {
          for (const budget of budgets) budget.give(bytes);
          held -= bytes;
        };
        return {
          take: (bytes) => {
            const isSmall = held + bytes <= limits.smallBytes;
            if (!isSmall && all.left - bytes < left) return false;
            if (budgets.some((budget) => budget.left < bytes)) return false;
            for (const budget of budgets) budget.take(bytes);
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
          ? open({ ...spending.account(undefined, allowances.local), isLocal: true })
          : ofAddress(peerOf(remoteAddress), socket);
        bySocket.set(socket, client);
      }
      return client;
    },
  };
};
