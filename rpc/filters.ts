import { randomBytes } from "node:crypto";
import type { Hash } from "../lib/bytes.ts";
import type { ChainView } from "./chain-view.ts";
import { type Call, type Methods, method } from "./dispatch.ts";
import { invalidParams, REFUSED, RpcError } from "./errors.ts";
import type { Feed } from "./feed.ts";
import type { LogJson } from "./format.ts";
import { findLogs, type LogMatcher, logMatcher, MAX_LOGS, matchingLogs } from "./logs.ts";
import { createRoom, type Room, type Tenant } from "./room.ts";
import { hexNumber, type LogFilter, logFilter, sizeOfFilter, text } from "./values.ts";

/** A filter that nobody asks goes after five minutes, as geth's does. */
const IDLE_MS = 5 * 60_000;
const MAX_FILTERS = 1_024;
/** Blocks and waiting transactions that are remembered, for all filters together. */
const MAX_CHANGES = 4_096;
const MAX_TRANSACTIONS = 20_000;

/** The last of what happened, numbered from 0; one list for any number of readers. */
const createTrail = <T>(max: number) => {
  let events: T[] = [];
  let before = 0;
  return {
    push: (event: T): void => {
      events.push(event);
      if (events.length < 2 * max) return;
      before += events.length - max;
      events = events.slice(-max);
    },
    /** The number that the next event will have. */
    get end(): number {
      return before + events.length;
    },
    /** What happened from a number on; the oldest may be forgotten. */
    from: (number: number): T[] => events.slice(Math.max(0, number - before)),
  };
};

interface Filter {
  readonly client: Tenant;
  readonly kind: "logs" | "blocks" | "transactions";
  /** Of logs alone. */
  readonly logs?: { readonly filter: LogFilter; readonly matcher: LogMatcher };
  /** Number of the first event that it has not told yet. */
  next: number;
  usedAt: number;
}

/**
 * Polled filters. A filter remembers a place in what happened, and looks for its logs when it is asked: a thousand of them
 * hold no more than one. `now` gives milliseconds; `values` is what filters may name in all.
 */
export const createFilters = (view: ChainView, feed: Feed, now: () => number, values: Room) => {
  const filters = new Map<string, Filter>();
  const places = createRoom("filters", MAX_FILTERS);
  const changes = createTrail<{ readonly hash: Hash; readonly removed: boolean }>(MAX_CHANGES);
  const transactions = createTrail<Hash>(MAX_TRANSACTIONS);
  const stops = [
    feed.onHead(({ left, joined }) => {
      for (const { hash } of left) changes.push({ hash, removed: true });
      for (const { hash } of joined) changes.push({ hash, removed: false });
    }),
    feed.onTransaction(({ hash }) => transactions.push(hash)),
  ];
  const remove = (id: string): boolean => {
    const filter = filters.get(id);
    if (!filter) return false;
    if (filter.logs) values.give(filter.client, sizeOfFilter(filter.logs.filter));
    places.give(filter.client);
    return filters.delete(id);
  };
  /** Drops those that nobody used for long: they come first. */
  const expire = (): void => {
    for (const [id, { usedAt }] of filters) {
      if (now() - usedAt <= IDLE_MS) return;
      remove(id);
    }
  };
  const add = (client: Tenant, kind: Filter["kind"], wanted?: LogFilter): string => {
    expire();
    const full = places.take(client);
    if (full !== undefined) throw new RpcError(REFUSED, full);
    const tooMuch = wanted && values.take(client, sizeOfFilter(wanted));
    if (tooMuch !== undefined) {
      places.give(client);
      throw new RpcError(REFUSED, tooMuch);
    }
    const id = hexNumber(BigInt(`0x${randomBytes(16).toString("hex")}`));
    const logs = wanted && { filter: wanted, matcher: logMatcher(wanted) };
    const next = (kind === "transactions" ? transactions : changes).end;
    filters.set(id, { client, kind, ...(logs ? { logs } : {}), next, usedAt: now() });
    return id;
  };
  const use = (id: string): Filter => {
    expire();
    const filter = filters.get(id);
    if (!filter) throw new RpcError(REFUSED, "filter not found");
    filters.delete(id);
    filters.set(id, filter);
    filter.usedAt = now();
    return filter;
  };
  const logsOf = async (
    matcher: LogMatcher,
    blocks: readonly { hash: Hash; removed: boolean }[],
    turn: Call["turn"],
  ) => {
    const found: LogJson[] = [];
    for (const { hash, removed } of blocks) {
      await turn();
      const block = view.header({ hash, requireCanonical: false });
      if (block) for (const log of matchingLogs(view, block, matcher, removed)) found.push(log);
      // what nobody fetched in time is dropped from its old end
      if (found.length > MAX_LOGS) found.splice(0, found.length - MAX_LOGS);
    }
    return found;
  };
  const methods: Methods = {
    eth_newFilter: method([logFilter], ([filter], { client }) => {
      if (filter.blockHash) invalidParams("blockHash is for eth_getLogs alone");
      return add(client, "logs", filter);
    }),
    eth_newBlockFilter: method([], (_, { client }) => add(client, "blocks")),
    eth_newPendingTransactionFilter: method([], (_, { client }) => add(client, "transactions")),
    eth_getFilterChanges: method([text], ([id], { turn }) => {
      const filter = use(id);
      const since = filter.next;
      if (filter.kind === "transactions") {
        filter.next = transactions.end;
        return transactions.from(since).slice(-MAX_TRANSACTIONS);
      }
      filter.next = changes.end;
      const blocks = changes.from(since).slice(-MAX_CHANGES);
      if (filter.logs) return logsOf(filter.logs.matcher, blocks, turn);
      return blocks.filter(({ removed }) => !removed).map(({ hash }) => hash);
    }),
    eth_getFilterLogs: method([text], ([id], call) => {
      const { logs } = use(id);
      if (!logs) throw new RpcError(REFUSED, "filter not found");
      return findLogs(view, logs.filter, call);
    }),
    eth_uninstallFilter: method([text], ([id]) => remove(id)),
  };
  return {
    methods,
    stop: (): void => {
      for (const stop of stops) stop();
      filters.clear();
    },
  };
};
