import { type Bucket, type Clock, createBucket, monotonic } from "./bucket.ts";

/**
 * Milliseconds of processor that may go into what is refused or ignored: at once, and each second after; of one peer, of one
 * address, of all peers that this node called, and of all that came by themselves, who may be any number in other names.
 */
const PEER = { capacity: 150, perSecond: 50 };
const ADDRESS = { capacity: 250, perSecond: 100 };
const CALLED = { capacity: 400, perSecond: 300 };
const CAME = { capacity: 250, perSecond: 100 };
/** What a message that is accepted gives back to its peer, and how much of it a peer can have saved. */
const REWARD_MS = 5;
const MAX_CREDIT_MS = 500;
/** Messages left unread, before a peer or an address is sent away: at once, and each second after. */
const PATIENCE = { capacity: 500, perSecond: 5 };
const MAX_PEERS = 4_096;

/** Milliseconds of processor that this thread has used. */
export const processorMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
};

/** Where a connection comes from. */
export interface Origin {
  /** See address.ts; undefined where many share one. */
  readonly subscriber: string | undefined;
  /** This node called it. */
  readonly isOutbound: boolean;
}

/** What peers may cost a node's processor. Peers are named by their ids. */
export interface PeerBudget {
  /** Notes where a peer is. What it has left stays from one connection to the next. */
  meet(peer: string, origin: Origin): void;
  /** Tells whether what a peer sends is to be read. */
  admits(peer: string): boolean;
  /** Pays for what was of no use: refused, ignored. */
  spend(peer: string, ms: number): void;
  /** Notes that a peer brought what was accepted: it may be of no use so much longer. */
  reward(peer: string): void;
  /** Notes that messages of a peer were left unread. Who goes on and on is sent away, where that is its own fault. */
  leave(peer: string, count?: number, isFaulty?: boolean): void;
  /** Milliseconds that a peer has earned. */
  credit(peer: string): number;
}

interface Account {
  readonly own: Bucket;
  readonly patience: Bucket;
  credit: number;
  origin: Origin;
}

/** Makes the budget of a node. `onOver` hears of a peer, or of an address, that was over its budget for long. */
export const createPeerBudget = (
  onOver: (over: { readonly peer: string; readonly subscriber?: string }) => void,
  now: Clock = monotonic,
): PeerBudget => {
  const bucketOf = ({ capacity, perSecond }: typeof PEER): Bucket => createBucket(capacity, perSecond, now);
  const called = bucketOf(CALLED);
  const came = bucketOf(CAME);
  const all = ({ isOutbound }: Origin): Bucket => (isOutbound ? called : came);
  const peers = new Map<string, Account>();
  const addresses = new Map<string, { readonly shared: Bucket; readonly patience: Bucket }>();
  /** Finds an entry and keeps it from being the oldest, which goes first. */
  const touch = <T>(map: Map<string, T>, key: string, make: () => T): T => {
    const entry = map.get(key) ?? make();
    map.delete(key);
    map.set(key, entry);
    if (map.size > MAX_PEERS) map.delete(map.keys().next().value!);
    return entry;
  };
  const peerOf = (peer: string): Account =>
    touch(peers, peer, () => ({
      own: bucketOf(PEER),
      patience: bucketOf(PATIENCE),
      credit: 0,
      origin: { subscriber: undefined, isOutbound: false },
    }));
  const addressOf = ({ subscriber }: Origin) =>
    subscriber === undefined
      ? undefined
      : touch(addresses, subscriber, () => ({ shared: bucketOf(ADDRESS), patience: bucketOf(PATIENCE) }));

  return {
    meet: (peer, origin) => {
      peerOf(peer).origin = origin;
    },
    admits: (peer) => {
      const { own, credit, origin } = peerOf(peer);
      if (credit > 0) return true;
      if (own.level <= 0 || (addressOf(origin)?.shared.level ?? 1) <= 0) return false;
      return all(origin).level > 0;
    },
    spend: (peer, ms) => {
      const account = peerOf(peer);
      const earned = Math.min(account.credit, ms);
      account.credit -= earned;
      const rest = ms - earned;
      if (rest <= 0) return;
      account.own.spend(rest);
      addressOf(account.origin)?.shared.spend(rest);
      all(account.origin).spend(rest);
    },
    reward: (peer) => {
      const account = peerOf(peer);
      account.credit = Math.min(MAX_CREDIT_MS, account.credit + REWARD_MS);
    },
    leave: (peer, count = 1, isFaulty = false) => {
      const { own, patience, origin } = peerOf(peer);
      // Where others used up what all share, this one may be without fault.
      if (isFaulty || own.level <= 0) {
        patience.spend(count);
        if (patience.level <= 0) onOver({ peer });
      }
      const address = addressOf(origin);
      if (!address || address.shared.level > 0) return;
      address.patience.spend(count);
      if (address.patience.level <= 0) onOver({ peer, subscriber: origin.subscriber! });
    },
    credit: (peer) => peers.get(peer)?.credit ?? 0,
  };
};
