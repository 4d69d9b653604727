import type { PeerId } from "@libp2p/interface";
import { putNewest } from "../lib/lru.ts";
import { type Clock, monotonic } from "./bucket.ts";
import type { Host } from "./host.ts";

/** Who gave what is false is not talked to for so long. */
const BAN_MS = 10 * 60_000;
const MAX_BANS = 4_096;

/** Peers, and addresses, that a host neither calls nor answers for a time. */
export interface Bans {
  add(peer: PeerId): void;
  has(peer: PeerId): boolean;
  addAddress(subscriber: string): void;
  hasAddress(subscriber: string | undefined): boolean;
}

export const createBans = (now: Clock = monotonic): Bans => {
  const createList = () => {
    const until = new Map<string, number>();
    return {
      add: (name: string): void => {
        putNewest(until, name, now() + BAN_MS, MAX_BANS);
      },
      has: (name: string): boolean => {
        const end = until.get(name);
        if (end !== undefined && end <= now()) until.delete(name);
        return until.has(name);
      },
    };
  };
  const [peers, addresses] = [createList(), createList()];
  return {
    add: (peer) => peers.add(peer.toString()),
    has: (peer) => peers.has(peer.toString()),
    addAddress: addresses.add,
    hasAddress: (subscriber) => subscriber !== undefined && addresses.has(subscriber),
  };
};

/** Ends the conversation with a peer that broke a rule which no honest one breaks, and talks to it no more for a while. */
export const expel = (host: Host, peer: PeerId): void => {
  host.services.bans.add(peer);
  host.hangUp(peer).catch(() => undefined);
};
