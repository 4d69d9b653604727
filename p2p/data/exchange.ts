import { setTimeout as sleep } from "node:timers/promises";
import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Hash } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { createTurns } from "../../lib/turns.ts";
import type { Host } from "../host.ts";
import { ask } from "../streams.ts";
import type { Hold } from "./blocks.ts";
import { createBudget } from "./budget.ts";
import { isBlockOf, parseCid, RAW } from "./cid.ts";
import { MAX_BLOCK_BYTES, TREE_LIMITS, type TreeLimits } from "./limits.ts";
import { createProviders } from "./providers.ts";
import { failData } from "./rules.ts";
import { dataProtocol, MAX_ANSWER_BYTES, MAX_CIDS, serveData } from "./serve.ts";
import type { DataStore, Pin } from "./store.ts";
import { createGate, createPace, orAbort, type Pace } from "./waits.ts";
import { createSurvey } from "./walk.ts";

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
  /** Milliseconds that a fetch may wait for a block; less where the blocks before came slowly. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
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

/** A peer that is asked for blocks of one tree. */
interface Source {
  readonly peer: PeerId;
  failures: number;
  /** Blocks that it was asked for in vain. */
  readonly lacks: Set<string>;
}

/** A tree on its way, and how many wait for it. */
interface Fetching {
  readonly work: Promise<void>;
  readonly left: AbortController;
  waiting: number;
}

/** Makes the exchange of a node. */
export const createExchange = (options: ExchangeOptions): DataExchange => {
  const { host, store, log } = options;
  const { blocks } = store;
  const limits: TreeLimits = { ...TREE_LIMITS, ...options.limits };
  const protocol = dataProtocol(options.genesisHash);
  const providers = createProviders(host, log, () => Array.from(blocks.pins(), ({ cid }) => cid));
  const gates = new Map<string, ReturnType<typeof createGate>>();
  const fetches = createGate(MAX_FETCHES);
  const running = new Map<string, Fetching>();
  const turns = createTurns();
  const stopped = new AbortController();

  const isBanned = host.services.bans.has;
  const punish = (peer: PeerId, error: RuleError): void => {
    log.warn({ peer: peer.toString(), error: error.message }, "a peer serves false data");
    host.services.bans.add(peer);
    host.hangUp(peer).catch(() => undefined);
  };
  const askPeer = (peer: PeerId, request: unknown, signal: AbortSignal): Promise<unknown> => {
    const name = peer.toString();
    const gate = gates.get(name) ?? createGate(REQUESTS_PER_PEER, () => gates.delete(name));
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
  const fetchTree = async (root: CID, hold: Hold, signal: AbortSignal, onBlock: Pace["onBlock"]): Promise<void> => {
    // The blocks that hold a tree together come on top of its files.
    const budget = createBudget({ ...limits, bytes: limits.bytes + limits.bytes / 16 });
    const survey = createSurvey(root, limits);
    const wanted = new Map<string, CID>();
    /** Goes on with blocks of the tree, and with all below that are here; the others are wanted. */
    const follow = async (found: CID[]): Promise<void> => {
      // The list grows while it is read.
      for (const cid of found) {
        await turns.turn();
        signal.throwIfAborted();
        hold.keep(cid);
        // What links to nothing needs not be read to go on: most of a tree's bytes.
        const size = cid.code === RAW ? blocks.sizeOf(cid) : undefined;
        if (size !== undefined) {
          budget.spend("bytes", size);
          continue;
        }
        const bytes = blocks.get(cid);
        if (!bytes) wanted.set(cid.toString(), cid);
        else for (const below of await take(cid, bytes)) found.push(below);
      }
    };
    const take = (cid: CID, bytes: Uint8Array): Promise<CID[]> => {
      budget.spend("bytes", bytes.length);
      return survey(cid, bytes);
    };
    await follow([root]);

    const sources: Source[] = [];
    const known = new Set<string>();
    const join = (peer: PeerId): void => {
      if (known.has(peer.toString()) || isBanned(peer) || peer.equals(host.peerId)) return;
      known.add(peer.toString());
      sources.push({ peer, failures: 0, lacks: new Set() });
    };
    const mayHave = (source: Source): boolean => {
      for (const name of wanted.keys()) if (!source.lacks.has(name)) return true;
      return false;
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
          onBlock(bytes.length);
          await follow(await take(cid, bytes));
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
            if (!mayHave(source)) continue;
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

  const run = (root: CID, left: AbortSignal): Promise<void> =>
    fetches(async () => {
      const pace = createPace(options.timeoutMs ?? TIMEOUT_MS, root);
      const signal = AbortSignal.any([stopped.signal, left, pace.signal]);
      const hold = blocks.hold();
      try {
        signal.throwIfAborted();
        await fetchTree(root, hold, signal, pace.onBlock);
      } finally {
        pace.stop();
        hold.release();
      }
    });
  /** Joins the fetch of a tree, or begins it. It ends with the last of those who wait for it. */
  const fetchOnce = async (root: CID, signal: AbortSignal | undefined): Promise<void> => {
    const name = root.toString();
    const joined = running.get(name);
    const left = joined?.left ?? new AbortController();
    const fetching = joined ?? { left, waiting: 0, work: run(root, left.signal) };
    const forget = (): void => {
      if (running.get(name) === fetching) running.delete(name);
    };
    if (!joined) {
      running.set(name, fetching);
      fetching.work.then(forget, forget);
    }
    fetching.waiting += 1;
    try {
      await (signal ? orAbort(fetching.work, signal) : fetching.work);
    } finally {
      fetching.waiting -= 1;
      if (fetching.waiting === 0) {
        // Who asks for it now begins anew.
        forget();
        left.abort(new Error(`nobody waits for ${root} any more`));
      }
    }
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
      await Promise.allSettled([...running.values()].map(({ work }) => work));
    },
    fetch: async (text, { signal, pin } = {}) => {
      const root = parseCid(text);
      await fetchOnce(root, signal);
      if (pin) await store.pin(text, pin);
    },
    provide: (text) => providers.provide(parseCid(text)),
  };
};
