import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
import { putNewest } from "../lib/lru.ts";
import { subscriberOf } from "./address.ts";
import type { Bans } from "./bans.ts";
import { type Bucket, type Clock, createBucket, monotonic } from "./bucket.ts";

/** Connections that others made, and those of them from one address. What this node calls does not count here. */
export const MAX_INBOUND = 64;
const MAX_OF_ADDRESS = 8;
/** Connections that are begun, of one address and of all: at once, and each second after. Each costs a few ms of signatures. */
const BEGUN_OF_ADDRESS = { capacity: 20, perSecond: 2 };
const BEGUN = { capacity: 100, perSecond: 20 };
/** How long a peer that came may bring nothing, before it makes room for the next. */
const TRIAL_MS = 30_000;
/**
 * Who was of use so lately may keep its place: so many of those that were last, and of those that are here for longest. Nobody
 * drives these out by coming, and the other places are open to who comes.
 */
const USEFUL_MS = 10 * 60_000;
const KEPT_BY_USE = 16;
const KEPT_BY_AGE = 16;
const MAX_ADDRESSES = 4_096;

/** Connections that one peer may have made. */
const MAX_OF_PEER = 3;

/** Makes what decides who may connect to a host. `connections` are those that are open; `idleMs` tells since when a peer was of no use (peer-budget.ts). */
export const createConnectionLimits = (options: {
  readonly bans: Bans;
  readonly connections: () => readonly Connection[];
  readonly idleMs: (peer: PeerId) => number;
  readonly now?: Clock;
}): ConnectionGater => {
  const { bans, connections, idleMs, now = monotonic } = options;
  const begun = createBucket(BEGUN.capacity, BEGUN.perSecond, now);
  const begunOf = new Map<string, Bucket>();
  /** Connections that are not yet open, by their address. */
  const pending = new Set<{ readonly subscriber: string | undefined }>();
  const upgraded = new WeakMap<MultiaddrConnection, () => void>();

  const mayBegin = (subscriber: string | undefined): boolean => {
    if (begun.level < 1) return false;
    if (subscriber !== undefined) {
      const { capacity, perSecond } = BEGUN_OF_ADDRESS;
      const bucket = begunOf.get(subscriber) ?? createBucket(capacity, perSecond, now);
      putNewest(begunOf, subscriber, bucket, MAX_ADDRESSES);
      if (bucket.level < 1) return false;
      bucket.spend(1);
    }
    begun.spend(1);
    return true;
  };
  const inbound = (): Connection[] => connections().filter(({ direction }) => direction === "inbound");
  /** Sends away who was of no use for longest, of these who came last; false where all are new or worth their place. */
  const makeRoom = (open: readonly Connection[]): boolean => {
    const ranked = open
      .map((connection) => ({ connection, idle: idleMs(connection.remotePeer), since: connection.timeline.open }))
      .sort((a, b) => (a.idle === b.idle ? a.since - b.since : a.idle < b.idle ? -1 : 1));
    const useful = ranked.filter(({ idle }) => idle < USEFUL_MS);
    const kept = new Set([
      ...useful.slice(0, KEPT_BY_USE),
      ...useful.toSorted((a, b) => a.since - b.since).slice(0, KEPT_BY_AGE),
    ]);
    const least = ranked.findLast((each) => !kept.has(each) && Date.now() - each.since > TRIAL_MS);
    least?.connection.abort(new Error("it makes room for others"));
    return least !== undefined;
  };
  const denyInbound = (connection: MultiaddrConnection): boolean => {
    const subscriber = subscriberOf(connection.remoteAddr);
    if (bans.hasAddress(subscriber) || !mayBegin(subscriber)) return true;
    const open = inbound();
    if (subscriber !== undefined) {
      const same = [...pending].filter((each) => each.subscriber === subscriber).length;
      if (same + open.filter(({ remoteAddr }) => subscriberOf(remoteAddr) === subscriber).length >= MAX_OF_ADDRESS)
        return true;
    }
    if (open.length + pending.size >= MAX_INBOUND && !makeRoom(open)) return true;
    const entry = { subscriber };
    pending.add(entry);
    connection.addEventListener("close", () => pending.delete(entry), { once: true });
    upgraded.set(connection, () => pending.delete(entry));
    return false;
  };

  return {
    denyDialPeer: bans.has,
    denyDialMultiaddr: (address: Multiaddr) => bans.hasAddress(subscriberOf(address)),
    denyInboundConnection: denyInbound,
    denyInboundEncryptedConnection: (peer) =>
      bans.has(peer) || inbound().filter(({ remotePeer }) => remotePeer.equals(peer)).length >= MAX_OF_PEER,
    denyInboundUpgradedConnection: (_, connection) => {
      upgraded.get(connection)?.();
      return false;
    },
  };
};
