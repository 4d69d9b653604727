import { randomBytes } from "node:crypto";
import type { BlockHead } from "../chain/store.ts";
import type { Transaction } from "../chain/transaction.ts";
import type { Log } from "../lib/log.ts";
import type { ChainView } from "./chain-view.ts";
import { type Connection, type Methods, method } from "./dispatch.ts";
import { invalidParams, NO_METHOD, REFUSED, RpcError } from "./errors.ts";
import type { Feed, HeadChange } from "./feed.ts";
import { headerJson, transactionJson } from "./format.ts";
import { type LogMatcher, logMatcher, logWriter, placedLogs } from "./logs.ts";
import { createRoom, type Room } from "./room.ts";
import { hexNumber, logFilter, sizeOfFilter, text } from "./values.ts";

/** Subscriptions of one connection at most. */
const MAX_SUBSCRIPTIONS = 128;
/** Subscriptions of all connections: each block, each log, each waiting transaction goes to all who follow it. */
const MAX_OF_KIND = { newHeads: 4_096, logs: 1_024, newPendingTransactions: 64, syncing: 4_096 } as const;
type Kind = keyof typeof MAX_OF_KIND;
/** Changes of the head that may wait to be told; beyond them the oldest are not. */
const MAX_BEHIND = 64;

/** Logs that are looked at, or followers that are written to, in one turn. */
const PER_TURN = 64;

interface Subscription {
  /** Sends an event that is JSON already. */
  push(json: string): void;
  /** Of logs alone. */
  readonly matcher: LogMatcher | undefined;
  /** Of waiting transactions: the whole, not its hash. */
  readonly isFull: boolean;
}

const any = (value: unknown): unknown => value;
const lazy = <T>(make: () => T): (() => T) => {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
};

/**
 * Makes eth_subscribe and eth_unsubscribe; they work on connections that stay open (WebSocket). What happens is written as
 * JSON once, however many follow. `values` is what filters may name in all.
 */
export const subscribeMethods = (view: ChainView, feed: Feed, values: Room, log: Log): Methods => {
  const followers: Record<Kind, Set<Subscription>> = {
    newHeads: new Set(),
    logs: new Set(),
    newPendingTransactions: new Set(),
    syncing: new Set(),
  };

  const room = (kind: Kind): Room => createRoom(`subscriptions of ${kind}`, MAX_OF_KIND[kind]);
  const rooms: Record<Kind, Room> = {
    newHeads: room("newHeads"),
    logs: room("logs"),
    newPendingTransactions: room("newPendingTransactions"),
    syncing: room("syncing"),
  };

  const tellLogsOf = async (block: BlockHead, removed: boolean): Promise<void> => {
    const wanting = [...followers.logs].filter(({ matcher }) => matcher!.mayHold(block.header.logsBloom));
    if (wanting.length === 0) return;
    const write = logWriter(view, block, removed);
    const logs = placedLogs(view, block.hash).map((placed) => ({
      log: placed.log,
      json: lazy(() => JSON.stringify(write(placed))),
    }));
    for (const subscription of wanting)
      for (const [index, each] of logs.entries()) {
        if (index % PER_TURN === 0) await view.turns.turn();
        if (subscription.matcher!.fits(each.log)) subscription.push(each.json());
      }
  };
  const tellHead = async (block: BlockHead): Promise<void> => {
    const json = JSON.stringify(headerJson(block));
    let told = 0;
    for (const subscription of [...followers.newHeads]) {
      if (told++ % PER_TURN === 0) await view.turns.turn();
      subscription.push(json);
    }
  };
  const waiting: HeadChange[] = [];
  let isTelling = false;
  /** Tells heads and logs change by change, in turns with others. */
  const tell = async (): Promise<void> => {
    isTelling = true;
    for (let change = waiting.shift(); change; change = waiting.shift()) {
      for (const block of change.left) await tellLogsOf(block, true);
      for (const block of change.joined) {
        await tellHead(block);
        await tellLogsOf(block, false);
      }
    }
    isTelling = false;
  };
  feed.onHead((change) => {
    if (followers.newHeads.size + followers.logs.size === 0) return;
    if (waiting.push(change) > MAX_BEHIND) waiting.shift();
    if (!isTelling)
      tell().catch((error) => {
        isTelling = false;
        log.error({ err: error }, "a head was not told");
      });
  });
  feed.onTransaction((tx: Transaction) => {
    const json = lazy(() => JSON.stringify(transactionJson(tx, undefined)));
    for (const { push, isFull } of followers.newPendingTransactions) push(isFull ? json() : `"${tx.hash}"`);
  });

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
    eth_subscribe: method([text, any], ([name, argument], { connection, client }) => {
      const subscriptions = subscriptionsOf(connection);
      if (!Object.hasOwn(MAX_OF_KIND, name)) return invalidParams(`no subscription "${name.slice(0, 40)}"`);
      const kind = name as Kind;
      if (subscriptions.size >= MAX_SUBSCRIPTIONS) invalidParams(`at most ${MAX_SUBSCRIPTIONS} subscriptions`);
      if (kind === "newPendingTransactions" && argument !== undefined && typeof argument !== "boolean")
        invalidParams("invalid argument 1: true or false");
      const filter = kind === "logs" ? logFilter(argument ?? {}, "argument 1") : undefined;
      const full = rooms[kind].take(client);
      if (full !== undefined) throw new RpcError(REFUSED, full);
      const tooMuch = filter && values.take(client, sizeOfFilter(filter));
      if (tooMuch !== undefined) {
        rooms[kind].give(client);
        throw new RpcError(REFUSED, tooMuch);
      }
      const id = hexNumber(BigInt(`0x${randomBytes(16).toString("hex")}`));
      const subscription: Subscription = {
        push: (json) =>
          void connection?.send(
            `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"${id}","result":${json}}}`,
          ),
        matcher: filter && logMatcher(filter),
        isFull: argument === true,
      };
      followers[kind].add(subscription);
      subscriptions.set(id, () => {
        followers[kind].delete(subscription);
        rooms[kind].give(client);
        if (filter) values.give(client, sizeOfFilter(filter));
      });
      // A node answers from the head that it has, whether others have more or not: there is no change to tell.
      if (kind === "syncing") setImmediate(() => subscription.push("false"));
      return id;
    }),
    eth_unsubscribe: method([text], ([id], { connection }) => {
      const subscriptions = subscriptionsOf(connection);
      subscriptions.get(id)?.();
      return subscriptions.delete(id);
    }),
  };
};
