import { randomBytes } from "node:crypto";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams, REFUSED, RpcError } from "./errors.ts";
import type { Feed } from "./feed.ts";
import { findLogs, MAX_LOGS, matchingLogs } from "./logs.ts";
import { hexNumber, type LogFilter, logFilter, text } from "./values.ts";

/** A filter that nobody asks goes after five minutes, as geth's does. */
const IDLE_MS = 5 * 60_000;
const MAX_FILTERS = 1_024;

interface Filter {
  readonly logs: LogFilter | undefined;
  events: unknown[];
  usedAt: number;
  stop(): void;
}

/** Polled filters. `now` gives milliseconds. */
export const createFilters = (view: ChainView, feed: Feed, now: () => number) => {
  const filters = new Map<string, Filter>();
  const expire = (): void => {
    for (const [id, filter] of filters)
      if (now() - filter.usedAt > IDLE_MS) {
        filter.stop();
        filters.delete(id);
      }
  };
  const add = (logs: LogFilter | undefined, follow: (push: (...events: unknown[]) => void) => () => void): string => {
    expire();
    if (filters.size >= MAX_FILTERS) throw new RpcError(REFUSED, `too many filters: at most ${MAX_FILTERS}`);
    const filter: Filter = { logs, events: [], usedAt: now(), stop: () => undefined };
    filter.stop = follow((...events) => {
      // what nobody fetches is dropped from its old end
      filter.events.push(...events);
      if (filter.events.length > MAX_LOGS) filter.events.splice(0, filter.events.length - MAX_LOGS);
    });
    const id = hexNumber(BigInt(`0x${randomBytes(16).toString("hex")}`));
    filters.set(id, filter);
    return id;
  };
  const use = (id: string): Filter => {
    expire();
    const filter = filters.get(id);
    if (!filter) throw new RpcError(REFUSED, "filter not found");
    filter.usedAt = now();
    return filter;
  };
  const methods: Methods = {
    eth_newFilter: method([logFilter], ([filter]) => {
      if (filter.blockHash) invalidParams("blockHash is for eth_getLogs alone");
      return add(filter, (push) =>
        feed.onHead(({ left, joined }) => {
          for (const block of left) push(...matchingLogs(view, block, filter, true));
          for (const block of joined) push(...matchingLogs(view, block, filter));
        }),
      );
    }),
    eth_newBlockFilter: method([], () =>
      add(undefined, (push) => feed.onHead(({ joined }) => push(...joined.map(({ hash }) => hash)))),
    ),
    eth_newPendingTransactionFilter: method([], () =>
      add(undefined, (push) => feed.onTransaction((tx) => push(tx.hash))),
    ),
    eth_getFilterChanges: method([text], ([id]) => {
      const filter = use(id);
      const { events } = filter;
      filter.events = [];
      return events;
    }),
    eth_getFilterLogs: method([text], ([id]) => {
      const { logs } = use(id);
      if (!logs) throw new RpcError(REFUSED, "filter not found");
      return findLogs(view, logs);
    }),
    eth_uninstallFilter: method([text], ([id]) => {
      const filter = filters.get(id);
      filter?.stop();
      return filters.delete(id);
    }),
  };
  return {
    methods,
    stop: (): void => {
      for (const filter of filters.values()) filter.stop();
      filters.clear();
    },
  };
};
