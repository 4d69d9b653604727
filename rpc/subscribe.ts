import { randomBytes } from "node:crypto";
import type { ChainView } from "./chain-view.ts";
import { type Connection, type Methods, method } from "./dispatch.ts";
import { invalidParams, NO_METHOD, RpcError } from "./errors.ts";
import type { Feed } from "./feed.ts";
import { headerJson, transactionJson } from "./format.ts";
import { matchingLogs } from "./logs.ts";
import { hexNumber, logFilter, text } from "./values.ts";

/** Subscriptions of one connection at most. */
export const MAX_SUBSCRIPTIONS = 128;

type Follow = (view: ChainView, feed: Feed, argument: unknown, push: (result: unknown) => void) => () => void;

/** What can be followed, by name. */
const KINDS: Readonly<Record<string, Follow>> = {
  newHeads: (_view, feed, _argument, push) =>
    feed.onHead(({ joined }) => {
      for (const block of joined) push(headerJson(block));
    }),
  logs: (view, feed, argument, push) => {
    const filter = logFilter(argument ?? {}, "argument 1");
    return feed.onHead(({ left, joined }) => {
      for (const block of left) for (const log of matchingLogs(view, block, filter, true)) push(log);
      for (const block of joined) for (const log of matchingLogs(view, block, filter)) push(log);
    });
  },
  newPendingTransactions: (_view, feed, argument, push) => {
    if (argument !== undefined && typeof argument !== "boolean") invalidParams("invalid argument 1: true or false");
    return feed.onTransaction((tx) => push(argument ? transactionJson(tx, undefined) : tx.hash));
  },
  // A node answers from the head that it has, whether others have more or not: there is no change to tell.
  syncing: (_view, _feed, _argument, push) => {
    const timer = setImmediate(() => push(false));
    return () => clearImmediate(timer);
  },
};

const any = (value: unknown): unknown => value;

/** Makes eth_subscribe and eth_unsubscribe; they work on connections that stay open (WebSocket). */
export const subscribeMethods = (view: ChainView, feed: Feed): Methods => {
  const byConnection = new WeakMap<Connection, Map<string, () => void>>();
  const subscriptionsOf = (connection: Connection | undefined): Map<string, () => void> => {
    if (!connection) throw new RpcError(NO_METHOD, "notifications not supported: use WebSocket");
    let found = byConnection.get(connection);
    if (!found) {
      const made = new Map<string, () => void>();
      byConnection.set(connection, made);
      connection.onClose(() => {
        for (const stop of made.values()) stop();
        made.clear();
      });
      found = made;
    }
    return found;
  };
  return {
    eth_subscribe: method([text, any], ([kind, argument], connection) => {
      const subscriptions = subscriptionsOf(connection);
      const follow = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
      if (!follow) return invalidParams(`no subscription "${kind.slice(0, 40)}"`);
      if (subscriptions.size >= MAX_SUBSCRIPTIONS) invalidParams(`at most ${MAX_SUBSCRIPTIONS} subscriptions`);
      const id = hexNumber(BigInt(`0x${randomBytes(16).toString("hex")}`));
      const push = (result: unknown): void => {
        const params = { subscription: id, result };
        connection?.send(JSON.stringify({ jsonrpc: "2.0", method: "eth_subscription", params }));
      };
      subscriptions.set(id, follow(view, feed, argument, push));
      return id;
    }),
    eth_unsubscribe: method([text], ([id], connection) => {
      const subscriptions = subscriptionsOf(connection);
      subscriptions.get(id)?.();
      return subscriptions.delete(id);
    }),
  };
};
