import type { Connection, ConnectionGater, MultiaddrConnection, PeerId } from "@libp2p/interface";
import type { Multiaddr } from "@multiformats/multiaddr";
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
const MAX_ADDRESSES = 4_096;

/** Connections that one peer may have made. */
const MAX_OF_PEER = 3;

/** Makes what decides who may connect to a host. `connections` are those that are open; `credit` tells what a peer has earned (peer-budget.ts). */
export const createConnectionLimits = (options: {
  readonly bans: Bans;
  readonly connections: () => readonly Connection[];
  readonly credit: (peer: PeerId) => number;
  readonly now?: Clock;
}): ConnectionGater => {
  const { bans, connections, credit, now = monotonic } = options;
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
      begunOf.delete(subscriber);
      begunOf.set(subscriber, bucket);
      if (begunOf.size > MAX_ADDRESSES) begunOf.delete(begunOf.keys().next().value!);
      if (bucket.level < 1) return false;
      bucket.spend(1);
    }
    begun.spend(1);
    return true;
  };
  const inbound = (): Connection[] => connections().filter(({ direction }) => direction === "inbound");
  /** Sends away who came last of those that brought nothing for a while; false where all are worth their place. */
  const makeRoom = (open: readonly Connection[]): boolean => {
    const [idle] = open
      .filter(({ remotePeer, timeline }) => credit(remotePeer) === 0 && Date.now() - timeline.open > TRIAL_MS)
      .sort((a, b) => b.timeline.open - a.timeline.open);
    idle?.abort(new Error("it makes room for others"));
    return idle !== undefined;
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
