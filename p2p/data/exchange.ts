import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Hash } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { createSharedWork, orAbort } from "../../lib/shared-work.ts";
import { createTurns } from "../../lib/turns.ts";
import { expel } from "../bans.ts";
import { monotonic } from "../bucket.ts";
import type { Host } from "../host.ts";
import { ask } from "../streams.ts";
import type { Hold } from "./blocks.ts";
import { createBudget } from "./budget.ts";
import { isBlockOf, parseCid, RAW } from "./cid.ts";
import { createFetchRoom, TurnOver } from "./fetch-room.ts";
import { MAX_BLOCK_BYTES, TREE_LIMITS, type TreeLimits } from "./limits.ts";
import { createProviders } from "./providers.ts";
import { failData } from "./rules.ts";
import { dataProtocol, MAX_ANSWER_BYTES, MAX_CIDS, serveData } from "./serve.ts";
import type { DataStore, Pin } from "./store.ts";
import { createGate, createPace, type Pace, TREE_MS } from "./waits.ts";
import { createSurvey } from "./walk.ts";

export interface FetchOptions {
  /** Ends the wait; the fetch itself ends with the last who waits for it. */
  readonly signal?: AbortSignal | undefined;
  /** For whom it is: the places of fetches are shared among askers. Left out: this node. */
  readonly asker?: object | undefined;
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
  /** Trees fetched at a time, and milliseconds for each of them while others wait. */
  readonly maxFetches?: number;
  readonly turnMs?: number;
}

const TIMEOUT_MS = 60_000;
/** Requests under way to one peer, of all fetches together; libp2p allows 16 streams. */
const REQUESTS_PER_PEER = 6;
/** Connected peers asked whether they have a tree. */
const MAX_ASKED = 32;
/** Peers that one tree is fetched from at a time. */
const MAX_SOURCES = 8;
const MAX_FAILURES = 2;
/** Blocks that a source may lack, and more of them for each that it gave: beyond it nothing more is expected of it. */
const MAX_LACKS = 1_024;
const LACKS_FOR_ONE = 4;
/** Answers "later" in a row that are waited for, when nobody else has the data. */
const MAX_WAITS = 20;
/** Who has not answered for so long keeps no place from others, and gives nothing: one window of an honest one, and a little. */
const PATIENCE_MS = 2_500;
/** While nobody gives, others are looked for at once, and then again after these milliseconds, the longer the more often. */
const SEARCH_MS = 1_000;
const MAX_SEARCH_MS = 30_000;
/** The first and the longest rest of a source that says "later"; it may ask for a longer one. */
const REST_MS = 125;
const MAX_REST_MS = 4_000;
/** After so long without an answer, what one source was asked for is asked for from an idle one too, of so many in all. */
const HELP_AFTER_MS = 500;
const MAX_ASKERS = 4;
/** How often resting and idle sources are looked at. */
const TICK_MS = 100;
/** Milliseconds for peers to say whether they have a tree, where none has it; who is later is asked for its blocks all the same. */
const SURVEY_MS = 5_000;
/** Trees fetched at a time; more wait, and then each has so many milliseconds before it makes way for another. */
const MAX_FETCHES = 16;
const TURN_MS = 5_000;

/** A peer that is asked for blocks of one tree. */
interface Source {
  readonly peer: PeerId;
  failures: number;
  /** Answers "later" since its last block. */
  waits: number;
  restsUntil: number;
  /** Blocks that it was asked for in vain, and how many it gave. */
  readonly lacks: Set<string>;
  gave: number;
}

/** A block that is missing, how many sources are asked for it now, and when the last of them was. */
interface Want {
  readonly cid: CID;
  askers: number;
  askedAt: number;
}

/** Makes the exchange of a node. */
export const createExchange = (options: ExchangeOptions): DataExchange => {
  const { host, store, log } = options;
  const { blocks } = store;
  const limits: TreeLimits = { ...TREE_LIMITS, ...options.limits };
  const protocol = dataProtocol(options.genesisHash);
  const providers = createProviders(host, log, () => Array.from(blocks.pins(), ({ cid }) => cid));
  const gates = new Map<string, ReturnType<typeof createGate>>();
  const room = createFetchRoom(options.maxFetches ?? MAX_FETCHES, options.turnMs ?? TURN_MS);
  const fetches = createSharedWork<void>();
  const turns = createTurns();
  const stopped = new AbortController();

  const isBanned = host.services.bans.has;
  const punish = (peer: PeerId, error: RuleError): void => {
    log.warn({ peer: peer.toString(), error: error.message }, "a peer serves false data");
    expel(host, peer);
  };
  const askPeer = (peer: PeerId, request: unknown, signal: AbortSignal): Promise<unknown> => {
    const name = peer.toString();
    const gate = gates.get(name) ?? createGate(REQUESTS_PER_PEER, () => gates.delete(name));
    gates.set(name, gate);
    return gate(async () => {
      signal.throwIfAborted();
      const answer = await orAbort(ask(host, peer, protocol, request, MAX_ANSWER_BYTES), signal);
      // A number says that it has given all that it gives for now.
      if (typeof answer === "number" && !(answer > 0 && answer <= 10_000))
        return failData("data-message", `come again in ${answer} ms`);
      return answer;
    });
  };

  /** Asks connected peers whether they have a root, all at once. Resolves with the first that has it: who is silent holds nobody up. */
  const askAround = async (root: CID, whole: AbortSignal, onHas: (peer: PeerId) => void): Promise<void> => {
    const signal = AbortSignal.any([whole, AbortSignal.timeout(SURVEY_MS)]);
    const peers = host.getPeers().filter((peer) => !isBanned(peer));
    const first = Promise.withResolvers<void>();
    const answers = peers.slice(0, MAX_ASKED).map(async (peer) => {
      const answer = await askPeer(peer, { has: [root.bytes] }, signal).catch(() => undefined);
      if (!Array.isArray(answer) || answer[0] !== true) return;
      onHas(peer);
      first.resolve();
    });
    await Promise.race([first.promise, Promise.all(answers)]);
  };

  /** Fetches what is missing of a tree, level by level, each block from one source as long as it answers soon. */
  const fetchTree = async (root: CID, hold: Hold, signal: AbortSignal, onBlock: Pace["onBlock"]): Promise<void> => {
    // The blocks that hold a tree together come on top of its files.
    const budget = createBudget({ ...limits, bytes: limits.bytes + limits.bytes / 16 });
    const survey = createSurvey(root, limits);
    const wanted = new Map<string, Want>();
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
        if (!bytes) wanted.set(cid.toString(), { cid, askers: 0, askedAt: 0 });
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
      sources.push({ peer, failures: 0, waits: 0, restsUntil: 0, lacks: new Set(), gave: 0 });
    };
    /** What a source is to be asked for now: what nobody is asked for, or else what others do not answer. */
    const choose = (source: Source): Want[] => {
      const free: Want[] = [];
      const slow: Want[] = [];
      const before = monotonic() - HELP_AFTER_MS;
      for (const [name, want] of wanted) {
        if (source.lacks.has(name)) continue;
        if (want.askers === 0) free.push(want);
        else if (want.askers < MAX_ASKERS && want.askedAt <= before) slow.push(want);
        if (free.length >= MAX_CIDS) break;
      }
      // A source gives the first of its list first: who helps begins with the last.
      return free.length > 0 ? free : slow.reverse().slice(0, MAX_CIDS);
    };
    /** Lets a source rest that puts off, the longer the more often it did. */
    const rest = (source: Source, askedMs: number): void => {
      const ms = Math.max(askedMs, Math.min(MAX_REST_MS, REST_MS * 2 ** source.waits));
      source.waits += 1;
      source.restsUntil = monotonic() + ms;
    };
    /** Asks one source for some of what is wanted. */
    const askFor = async (source: Source, some: Want[], ended: AbortSignal, answered: () => void): Promise<void> => {
      const now = monotonic();
      for (const want of some) {
        want.askers += 1;
        want.askedAt = now;
      }
      try {
        const answer = await askPeer(source.peer, { want: some.map(({ cid }) => cid.bytes) }, ended);
        answered();
        if (typeof answer === "number") return rest(source, answer);
        if (!Array.isArray(answer) || answer.length === 0 || answer.length > some.length)
          return failData("data-message", "no list of blocks");
        for (const [i, bytes] of answer.entries()) {
          const want = some[i]!;
          const { cid } = want;
          const name = cid.toString();
          if (bytes === null) {
            source.lacks.add(name);
            continue;
          }
          if (!(bytes instanceof Uint8Array) || bytes.length > MAX_BLOCK_BYTES || !isBlockOf(cid, bytes))
            return failData("data-hash", name);
          source.waits = 0;
          source.gave += 1;
          // Another source may have given it in the meantime.
          if (!wanted.delete(name)) continue;
          try {
            await blocks.put(cid, bytes, hold);
          } catch (error) {
            wanted.set(name, want);
            throw error;
          }
          onBlock(bytes.length);
          await follow(await take(cid, bytes));
        }
        source.failures = source.lacks.size > MAX_LACKS + LACKS_FOR_ONE * source.gave ? MAX_FAILURES : 0;
      } catch (error) {
        ended.throwIfAborted();
        if (error instanceof RuleError && error.verdict !== "reject") throw error;
        source.failures = error instanceof RuleError ? MAX_FAILURES : source.failures + 1;
        if (error instanceof RuleError) punish(source.peer, error);
        log.debug({ peer: source.peer.toString(), error: (error as Error).message }, "no data from a peer");
      } finally {
        for (const want of some) want.askers -= 1;
      }
    };
    /** The ways to find sources, each taken once nobody gives by those before. */
    const searches: readonly ((ended: AbortSignal) => Promise<void>)[] = [
      (ended) => askAround(root, ended, join),
      // A peer may have a part of what it does not have as a whole.
      async () => host.getPeers().forEach(join),
      async (ended) => {
        for await (const peer of providers.find(root, ended)) join(peer);
      },
    ];
    /**
     * Asks all sources in parallel until nothing is wanted, or none of them has more and none is found. Who puts off is asked again when it
     * has rested, and meanwhile others are looked for.
     */
    const drain = async (): Promise<void> => {
      const active = new Map<Source, number>();
      const busy = (): number => {
        const since = monotonic() - PATIENCE_MS;
        let count = 0;
        for (const askedAt of active.values()) if (askedAt > since) count += 1;
        return count;
      };
      const done = new AbortController();
      const ended = AbortSignal.any([signal, done.signal]);
      /** Sources whose answer is being stored: the only ones that the end waits for. */
      let storing = 0;
      let failure: unknown;
      const isOver = (): boolean => failure !== undefined || wanted.size === 0;
      const start = (source: Source, some: Want[]): void => {
        let stores = 0;
        active.set(source, monotonic());
        askFor(source, some, ended, () => {
          stores = 1;
          storing += 1;
        })
          .catch((error) => {
            failure ??= error;
          })
          .finally(() => {
            storing -= stores;
            active.delete(source);
            next();
          });
      };
      let next = (): void => {};
      let [searched, searchAt, isSearching] = [0, 0, false];
      const search = (): void => {
        isSearching = true;
        const again = searched - searches.length;
        // Later rounds are for who has come since.
        const ways = again < 0 ? [searches[searched]!] : searches;
        const wait = again < -1 ? 0 : Math.min(MAX_SEARCH_MS, SEARCH_MS * 2 ** (again + 1));
        (async () => {
          for (const way of ways) await way(ended);
        })()
          .catch((error) => log.debug({ error: (error as Error).message }, "no source is found"))
          .finally(() => {
            searched += 1;
            searchAt = monotonic() + wait;
            isSearching = false;
            next();
          });
      };
      await new Promise<void>((resolve) => {
        next = () => {
          if (signal.aborted) failure ??= signal.reason;
          let resting = false;
          for (const source of sources) {
            if (isOver()) break;
            if (active.has(source) || source.failures >= MAX_FAILURES) continue;
            if (source.waits >= MAX_WAITS) continue;
            const rests = source.restsUntil > monotonic();
            // Places are of those that answer: who is silent keeps none from others for long.
            if (!rests && busy() >= MAX_SOURCES) continue;
            const some = choose(source);
            if (some.length === 0) continue;
            if (rests) resting = true;
            else start(source, some);
          }
          const isKnown = !isSearching && searched >= searches.length;
          if (isOver() ? storing === 0 : active.size === 0 && !resting && isKnown) resolve();
          else if (!isOver() && !isSearching && busy() === 0 && monotonic() >= searchAt) search();
        };
        const timer = setInterval(() => next(), TICK_MS);
        done.signal.addEventListener("abort", () => clearInterval(timer), { once: true });
        next();
      });
      next = () => {};
      done.abort();
      if (failure) throw failure;
    };

    if (wanted.size > 0) await drain();
    signal.throwIfAborted();
    const [missing] = wanted.keys();
    if (missing) failData("data-missing", `nobody who was asked has ${missing}, which is of ${root}`);
  };

  /** Fetches a tree for one turn. Tells whether it is here then; else it waits for another. */
  const fetchFor = async (root: CID, asker: object, left: AbortSignal, end: number): Promise<boolean> => {
    const turn = await room.enter(asker, left);
    const pace = createPace(options.timeoutMs ?? TIMEOUT_MS, root, end);
    const hold = blocks.hold();
    try {
      await fetchTree(root, hold, AbortSignal.any([left, turn.ended, pace.signal]), pace.onBlock);
      return true;
    } catch (error) {
      // What came stays in the cache: the next turn goes on from there.
      if (error instanceof TurnOver) return false;
      throw error;
    } finally {
      pace.stop();
      hold.release();
      turn.leave();
    }
  };
  const run = async (root: CID, asker: object, left: AbortSignal): Promise<void> => {
    const signal = AbortSignal.any([stopped.signal, left]);
    const end = Date.now() + TREE_MS;
    while (!(await fetchFor(root, asker, signal, end)));
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
      await Promise.allSettled(fetches.all());
    },
    fetch: async (text, { signal, asker = host, pin } = {}) => {
      const root = parseCid(text);
      signal?.throwIfAborted();
      // What is here waits for no other fetch.
      if (!(await store.hasTree(text))) await fetches.join(root.toString(), (left) => run(root, asker, left), signal);
      if (pin) await store.pin(text, pin);
    },
    provide: (text) => providers.provide(parseCid(text)),
  };
};
