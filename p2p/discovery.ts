import { randomBytes } from "node:crypto";
import type { Connection, PeerId, PeerInfo } from "@libp2p/interface";
import { removePrivateAddressesMapper } from "@libp2p/kad-dht";
import type { Log } from "../lib/log.ts";
import { type Host, isPublic } from "./host.ts";

/** Connections that a node seeks by itself; the rest of what it takes is for those that come. */
const WANTED_PEERS = 24;
const MAX_FOUND = 256;
const DIALS_PER_ROUND = 4;
const ROUND_MS = 2_000;
const DIAL_MS = 5_000;
/** Who is there is asked again after so long, twice as long each time that nobody new was named. */
const FIRST_LOOKUP_MS = 4_000;
const LAST_LOOKUP_MS = 300_000;
const LOOKUP_MS = 10_000;

/** Connects to nodes of this chain that Kademlia comes across. Stops with what it gives. */
export const startDiscovery = (host: Host, log: Log, wanted = WANTED_PEERS): (() => void) => {
  const found = new Map<string, PeerId>();
  const stopped = new AbortController();
  let lookup = { at: 0, waitMs: FIRST_LOOKUP_MS };
  const take = (id: PeerId): boolean => {
    if (id.equals(host.peerId) || found.size >= MAX_FOUND || host.getConnections(id).length > 0) return false;
    found.set(id.toString(), id);
    return true;
  };
  /** Whoever comes by itself, however many they are, is no reason to seek no others. */
  const hasEnough = (): boolean =>
    host.getConnections().filter(({ direction }) => direction === "outbound").length >= wanted;
  const onPeer = ({ detail: { id } }: CustomEvent<PeerInfo>): void => void take(id);
  /** Asks those that are near a random key whom they know. */
  const look = async (): Promise<void> => {
    if (Date.now() < lookup.at || host.getPeers().length === 0) return;
    const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(LOOKUP_MS)]);
    let isNew = false;
    try {
      for await (const { id } of host.peerRouting.getClosestPeers(randomBytes(32), { signal }))
        isNew = take(id) || isNew;
    } catch (error) {
      log.debug({ error: (error as Error).message }, "nobody named others");
    }
    const waitMs = isNew ? FIRST_LOOKUP_MS : Math.min(LAST_LOOKUP_MS, lookup.waitMs * 2);
    lookup = { at: Date.now() + waitMs, waitMs };
  };
  /** Behind a router, a node is a client: others would look for it at addresses of its own network. */
  const onConnection = ({ detail: { remoteAddr, remotePeer } }: CustomEvent<Connection>): void => {
    const isFar = removePrivateAddressesMapper({ id: remotePeer, multiaddrs: [remoteAddr] }).multiaddrs.length > 0;
    const mode = isFar && !isPublic(host) ? "client" : undefined;
    if (mode) host.services.dht.setMode(mode).catch(() => undefined);
  };
  const round = async (): Promise<void> => {
    if (stopped.signal.aborted || hasEnough()) return;
    await look();
    const some = [...found].slice(0, DIALS_PER_ROUND);
    for (const [name, id] of some) {
      if (stopped.signal.aborted || hasEnough()) return;
      found.delete(name);
      if (host.getConnections(id).length > 0) continue;
      const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(DIAL_MS)]);
      await host
        .dial(id, { signal })
        .catch((error: Error) => log.debug({ peer: name, error: error.message }, "not met"));
    }
  };
  let isRunning = false;
  const timer = setInterval(() => {
    if (isRunning) return;
    isRunning = true;
    void round().finally(() => {
      isRunning = false;
    });
  }, ROUND_MS);
  host.addEventListener("peer:discovery", onPeer);
  host.addEventListener("connection:open", onConnection);
  return () => {
    clearInterval(timer);
    stopped.abort(new Error("the node stops"));
    host.removeEventListener("peer:discovery", onPeer);
    host.removeEventListener("connection:open", onConnection);
  };
};
