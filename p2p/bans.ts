import type { PeerId } from "@libp2p/interface";

/** Who gave what is false is not talked to for so long. */
const BAN_MS = 10 * 60_000;
const MAX_BANS = 4_096;

/** Peers that a host neither calls nor answers for a time. */
export interface Bans {
  add(peer: PeerId): void;
  has(peer: PeerId): boolean;
}

export const createBans = (now: () => number = Date.now): Bans => {
  const until = new Map<string, number>();
  return {
    add: (peer) => {
      until.delete(peer.toString());
      until.set(peer.toString(), now() + BAN_MS);
      if (until.size > MAX_BANS) until.delete(until.keys().next().value!);
    },
    has: (peer) => {
      const end = until.get(peer.toString());
      if (end !== undefined && end <= now()) until.delete(peer.toString());
      return until.has(peer.toString());
    },
  };
};
