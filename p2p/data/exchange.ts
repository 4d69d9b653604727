import { setTimeout as sleep } from "node:timers/promises";
import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Hash } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { RuleError } from "../../lib/rule-error.ts";
import type { Host } from "../host.ts";
import { ask } from "../streams.ts";
import type { Hold } from "./blocks.ts";
import { isBlockOf, parseCid, RAW } from "./cid.ts";
import { MAX_BLOCK_BYTES, TREE_LIMITS, type TreeLimits } from "./limits.ts";
import { createProviders } from "./providers.ts";
import { failData } from "./rules.ts";
import { dataProtocol, MAX_ANSWER_BYTES, MAX_CIDS, serveData } from "./serve.ts";
import type { DataStore, Pin } from "./store.ts";
import { createBudget, decodeNode } from "./unixfs.ts";

export interface FetchOptions {
  readonly signal?: AbortSignal;
  /** Who keeps the tree once it is here; left out, it stays as long as the cache has room. */
  readonly pin?: Pin;
}

/** Exchanges content-addressed data with other nodes. */
export interface DataExchange {
  start(): Promise<void>;
  stop(): Promise<void>;
  /**
   * Brings a whole tree here, from the peers that have it. Does nothing where it is here already. Throws RuleError
   * "data-missing" where nobody has it, "data-malformed" and "data-limit" where it is no tree that a node takes.
   */
  fetch(cid: string, options?: FetchOptions): Promise<void>;
  /** Tells the network, in the background, that this node has a tree. */
  provide(cid: string): void;
}

export interface ExchangeOptions {
  readonly host: Host;
  readonly genesisHash: Hash;
  readonly store: DataStore;
  readonly log: Log;
  readonly limits?: Partial<TreeLimits>;
  /** Milliseconds within which a fetch must get a block, again and again. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
/** Milliseconds for a whole tree: 256 MiB over 1 Mbit/s take 36 minutes. */
const TREE_MS = 3_600_000;
/** Requests under way to one peer, of all fetches together; libp2p allows 16 streams. */
const REQUESTS_PER_PEER = 6;
/** Connected peers asked whether they have a tree. */
const MAX_ASKED = 32;
/** Peers that one tree is fetched from at a time. */
const MAX_SOURCES = 8;
const MAX_FAILURES = 2;
/** Answers "later" in a row that are waited for. */
const MAX_WAITS = 20;
/** Trees fetched at a time; more wait. */
const MAX_FETCHES = 8;

/** Lets so many through at a time. */
const createGate = (places: number) => {
  let free = places;
  const waiting: (() => void)[] = [];
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
};

/** Ends a wait when the signal does; the work itself has its own end. */
const orAbort = async <T>(work: Promise<T>, signal: AbortSignal): Promise<T> => {
  // Work that nobody waits for any more may still fail.
  work.catch(() => undefined);
  signal.throwIfAborted();
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
};

/** A peer that is asked for blocks of one tree. */
interface Source {
  readonly peer: PeerId;
  failures: number;
  /** Blocks that it was asked for in vain. */
  readonly lacks: Set<string>;
}

/** Makes the exchange of a node. */
export const createExchange = (options: ExchangeOptions): DataExchange => {
  const { host, store, log } = options;
  const { blocks } = store;
  const limits: TreeLimits = { ...TREE_LIMITS, ...options.limits };
  const protocol = dataProtocol(options.genesisHash);
  const providers = createProviders(host, log, () => blocks.pins().map(({ cid }) => cid));
  const gates = new Map<string, ReturnType<typeof createGate>>();
  const fetches = createGate(MAX_FETCHES);
  const running = new Map<string, Promise<void>>();
  const stopped = new AbortController();

  const isBanned = host.services.bans.has;
  const punish = (peer: PeerId, error: RuleError): void => {
    log.warn({ peer: peer.toString(), error: error.message }, "a peer serves false data");
    host.services.bans.add(peer);
    host.hangUp(peer).catch(() => undefined);
  };
  const askPeer = (peer: PeerId, request: unknown, signal: AbortSignal): Promise<unknown> => {
    const name = peer.toString();
    const gate = gates.get(name) ?? createGate(REQUESTS_PER_PEER);
    gates.set(name, gate);
    return gate(async () => {
      for (let waits = 0; ; waits++) {
        signal.throwIfAborted();
        const answer = await orAbort(ask(host, peer, protocol, request, MAX_ANSWER_BYTES), signal);
        if (typeof answer !== "number") return answer;
        // It has given all that it gives for now.
        if (!(answer > 0 && answer <= 10_000)) return failData("data-message", `come again in ${answer} ms`);
        if (waits >= MAX_WAITS) throw new Error("it puts off without end");
        await sleep(answer, undefined, { signal });
      }
    });
  };

  /** Asks connected peers whether they have a root, all at once. */
  const whoHas = async (root: CID, signal: AbortSignal): Promise<PeerId[]> => {
    const peers = host.getPeers().filter((peer) => !isBanned(peer));
    const answers = await Promise.all(
      peers.slice(0, MAX_ASKED).map(async (peer) => {
        try {
          const answer = await askPeer(peer, { has: [root.bytes] }, signal);
          return Array.isArray(answer) && answer[0] === true ? peer : undefined;
        } catch {
          return undefined;
        }
      }),
    );
    return answers.filter((peer) => peer !== undefined);
  };

  /** Fetches what is missing of a tree, level by level, each block from one source at a time. */
  const fetchTree = async (root: CID, hold: Hold, signal: AbortSignal, onBlock: () => void): Promise<void> => {
    // The blocks that hold a tree together come on top of its files.
    const budget = createBudget({ ...limits, bytes: limits.bytes + limits.bytes / 16 });
    const seen = new Set([root.toString()]);
    const wanted = new Map<string, CID>();
    const take = async (cid: CID, bytes: Uint8Array): Promise<void> => {
      budget.spend("bytes", bytes.length);
      for (const link of (await decodeNode(cid, bytes)).links) {
        if (seen.has(link.cid.toString())) continue;
        seen.add(link.cid.toString());
        budget.spend("blocks", 1);
        await find(link.cid);
      }
    };
    const find = async (cid: CID): Promise<void> => {
      hold.keep(cid);
      // What links to nothing needs not be read to go on: most of a tree's bytes.
      const size = cid.code === RAW ? blocks.sizeOf(cid) : undefined;
      if (size !== undefined) return budget.spend("bytes", size);
      const bytes = blocks.get(cid);
      if (bytes) await take(cid, bytes);
      else wanted.set(cid.toString(), cid);
    };
    await find(root);

    const sources: Source[] = [];
    const known = new Set<string>();
    const join = (peer: PeerId): void => {
      if (known.has(peer.toString()) || isBanned(peer) || peer.equals(host.peerId)) return;
      known.add(peer.toString());
      sources.push({ peer, failures: 0, lacks: new Set() });
    };
    /** Asks one source for some of what is wanted; true if there was something to ask it for. */
    const askFor = async (source: Source): Promise<boolean> => {
      const some: CID[] = [];
      for (const [name, cid] of wanted) {
        if (source.lacks.has(name)) continue;
        some.push(cid);
        wanted.delete(name);
        if (some.length >= MAX_CIDS) break;
      }
      if (some.length === 0) return false;
      const open = new Map(some.map((cid) => [cid.toString(), cid]));
      try {
        const answer = await askPeer(source.peer, { want: some.map((cid) => cid.bytes) }, signal);
        if (!Array.isArray(answer) || answer.length === 0 || answer.length > some.length)
          return failData("data-message", "no list of blocks");
        for (const [i, bytes] of answer.entries()) {
          const cid = some[i]!;
          if (bytes === null) {
            source.lacks.add(cid.toString());
            continue;
          }
          if (!(bytes instanceof Uint8Array) || bytes.length > MAX_BLOCK_BYTES || !isBlockOf(cid, bytes))
            return failData("data-hash", cid.toString());
          open.delete(cid.toString());
          await blocks.put(cid, bytes, hold);
          onBlock();
          await take(cid, bytes);
        }
        source.failures = 0;
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof RuleError && error.verdict !== "reject") throw error;
        source.failures = error instanceof RuleError ? MAX_FAILURES : source.failures + 1;
        if (error instanceof RuleError) punish(source.peer, error);
        log.debug({ peer: source.peer.toString(), error: (error as Error).message }, "no data from a peer");
      } finally {
        for (const [name, cid] of open) wanted.set(name, cid);
      }
      return true;
    };
    /** Asks all sources in parallel until nothing is wanted, or none of them has more. */
    const drain = async (): Promise<void> => {
      let busy = 0;
      let failure: unknown;
      await new Promise<void>((resolve) => {
        const next = (): void => {
          for (const source of sources.filter((each) => each.failures < MAX_FAILURES)) {
            if (failure || busy >= MAX_SOURCES || wanted.size === 0) break;
            if (active.has(source)) continue;
            if (![...wanted.keys()].some((name) => !source.lacks.has(name))) continue;
            busy += 1;
            active.add(source);
            askFor(source)
              .catch((error) => {
                failure ??= error;
              })
              .finally(() => {
                busy -= 1;
                active.delete(source);
                next();
              });
          }
          if (busy === 0) resolve();
        };
        const active = new Set<Source>();
        next();
      });
      if (failure) throw failure;
    };

    if (wanted.size === 0) return;
    for (const peer of await whoHas(root, signal)) join(peer);
    await drain();
    if (wanted.size > 0) {
      // A peer may have a part of what it does not have as a whole.
      for (const peer of host.getPeers()) join(peer);
      await drain();
    }
    if (wanted.size > 0) {
      for await (const peer of providers.find(root, signal)) {
        join(peer);
        await drain();
        if (wanted.size === 0) break;
      }
    }
    signal.throwIfAborted();
    const [missing] = wanted.keys();
    if (missing) failData("data-missing", `${missing} of ${root}`);
  };

  const fetchOnce = (root: CID): Promise<void> => {
    const name = root.toString();
    const before = running.get(name);
    if (before) return before;
    const work = fetches(async () => {
      const idle = new AbortController();
      const timer = setTimeout(
        () => idle.abort(new DOMException(`no block of ${root} came in time`, "TimeoutError")),
        options.timeoutMs ?? TIMEOUT_MS,
      );
      const signal = AbortSignal.any([stopped.signal, idle.signal, AbortSignal.timeout(TREE_MS)]);
      const hold = blocks.hold();
      try {
        signal.throwIfAborted();
        await fetchTree(root, hold, signal, () => timer.refresh());
      } finally {
        clearTimeout(timer);
        hold.release();
      }
    }).finally(() => running.delete(name));
    running.set(name, work);
    return work;
  };

  return {
    start: async () => {
      await serveData(host, protocol, blocks);
      providers.start();
    },
    stop: async () => {
      stopped.abort(new Error("the node stops"));
      providers.stop();
      await host.unhandle(protocol).catch(() => undefined);
      await Promise.allSettled(running.values());
    },
    fetch: async (text, { signal, pin } = {}) => {
      const root = parseCid(text);
      await (signal ? orAbort(fetchOnce(root), signal) : fetchOnce(root));
      if (pin) await store.pin(text, pin);
    },
    provide: (text) => providers.provide(parseCid(text)),
  };
};
