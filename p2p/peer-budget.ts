import { putNewest } from "../lib/lru.ts";
import { type Bucket, type Clock, createBucket, monotonic } from "./bucket.ts";

/**
 * Milliseconds of processor that may go into what is refused or ignored: at once, and each second after; of one peer, of one
 * address, of all peers that this node called, and of all that came by themselves, who may be any number in other names.
 */
const PEER = { capacity: 150, perSecond: 50 };
const ADDRESS = { capacity: 250, perSecond: 100 };
const CALLED = { capacity: 400, perSecond: 300 };
const CAME = { capacity: 250, perSecond: 100 };
/** What a message that is accepted gives back to its peer at most, and how much of it a peer can have saved. */
const REWARD_MS = 5;
const MAX_CREDIT_MS = 500;
/** What was earned is worth half after so long, and nothing once it is less than the least. */
const HALF_LIFE_MS = 60_000;
const MIN_CREDIT_MS = 0.1;
/**
 * Offers are transactions and orders: what one node takes another may not, so that nobody is at fault for them. So many are read,
 * each counted once and once more for each millisecond that it costs, at once and each second after: of one peer, of one address,
 * which may be many peers, and of all.
 */
const OFFERS = { capacity: 300, perSecond: 50 };
const OFFERS_OF_ADDRESS = { capacity: 500, perSecond: 100 };
const OFFERS_CALLED = { capacity: 2_000, perSecond: 400 };
const OFFERS_CAME = { capacity: 1_000, perSecond: 200 };
/** Rejected messages, before a peer is at fault: at once, and each second after. */
const FAULTS = { capacity: 5, perSecond: 1 / 60 };
/** Messages of a peer at fault left unread, before it or its address is sent away: at once, and each second after. */
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
  /** Tells whether an offer of a peer is to be read. */
  admitsOffer(peer: string): boolean;
  /** Pays for an offer, whether it was taken or not. */
  spendOffer(peer: string, ms: number): void;
  /** Notes that a peer brought what was of use and cost `ms`: it may be of no use so much longer. */
  reward(peer: string, ms?: number): void;
  /** Notes that a peer sent what no honest one can have sent. */
  fault(peer: string): void;
  /** Notes that messages of a peer were left unread. Who is at fault and goes on and on is sent away, and nobody else. */
  leave(peer: string, count?: number): void;
  /** Milliseconds that a peer has earned, and that have not faded. */
  credit(peer: string): number;
  /** Milliseconds since a peer was last of use; infinite where it never was. */
  idleMs(peer: string): number;
}

interface Account {
  readonly own: Bucket;
  readonly offers: Bucket;
  readonly faults: Bucket;
  readonly patience: Bucket;
  /** What was earned, as it was when the peer was last of use or spent of it. */
  credit: number;
  creditAt: number;
  usefulAt: number;
  origin: Origin;
}

/** Makes the budget of a node. `onOver` hears of a peer, or of an address, that was at fault and over its budget for long. */
export const createPeerBudget = (
  onOver: (over: { readonly peer: string; readonly subscriber?: string }) => void,
  now: Clock = monotonic,
): PeerBudget => {
  const bucketOf = ({ capacity, perSecond }: typeof PEER): Bucket => createBucket(capacity, perSecond, now);
  const called = bucketOf(CALLED);
  const came = bucketOf(CAME);
  const offersCalled = bucketOf(OFFERS_CALLED);
  const offersCame = bucketOf(OFFERS_CAME);
  const allOffers = ({ isOutbound }: Origin): Bucket => (isOutbound ? offersCalled : offersCame);
  const all = ({ isOutbound }: Origin): Bucket => (isOutbound ? called : came);
  const peers = new Map<string, Account>();
  interface Address {
    readonly shared: Bucket;
    readonly offers: Bucket;
    readonly patience: Bucket;
  }
  const addresses = new Map<string, Address>();
  /** Finds an entry and keeps it from being the oldest, which goes first. */
  const touch = <T>(map: Map<string, T>, key: string, make: () => T): T => {
    const entry = map.get(key) ?? make();
    putNewest(map, key, entry, MAX_PEERS);
    return entry;
  };
  const peerOf = (peer: string): Account =>
    touch(peers, peer, () => ({
      own: bucketOf(PEER),
      offers: bucketOf(OFFERS),
      faults: bucketOf(FAULTS),
      patience: bucketOf(PATIENCE),
      credit: 0,
      creditAt: now(),
      usefulAt: Number.NEGATIVE_INFINITY,
      origin: { subscriber: undefined, isOutbound: false },
    }));
  const addressOf = ({ subscriber }: Origin) =>
    subscriber === undefined
      ? undefined
      : touch(addresses, subscriber, () => ({
          shared: bucketOf(ADDRESS),
          offers: bucketOf(OFFERS_OF_ADDRESS),
          patience: bucketOf(PATIENCE),
        }));
  /** What an offer of a peer is counted in. */
  const offersOf = ({ offers, origin }: Account): readonly Bucket[] => {
    const address = addressOf(origin);
    return address ? [offers, address.offers, allOffers(origin)] : [offers, allOffers(origin)];
  };

  const creditOf = ({ credit, creditAt }: Account): number => {
    const left = credit * 0.5 ** ((now() - creditAt) / HALF_LIFE_MS);
    return left < MIN_CREDIT_MS ? 0 : left;
  };
  const setCredit = (account: Account, credit: number): void => {
    account.credit = credit;
    account.creditAt = now();
  };

  return {
    meet: (peer, origin) => {
      peerOf(peer).origin = origin;
    },
    admits: (peer) => {
      const account = peerOf(peer);
      const { own, origin } = account;
      if (creditOf(account) > 0) return true;
      if (own.level <= 0 || (addressOf(origin)?.shared.level ?? 1) <= 0) return false;
      return all(origin).level > 0;
    },
    spend: (peer, ms) => {
      const account = peerOf(peer);
      const credit = creditOf(account);
      const earned = Math.min(credit, ms);
      setCredit(account, credit - earned);
      const rest = ms - earned;
      if (rest <= 0) return;
      account.own.spend(rest);
      addressOf(account.origin)?.shared.spend(rest);
      all(account.origin).spend(rest);
    },
    admitsOffer: (peer) => offersOf(peerOf(peer)).every(({ level }) => level >= 1),
    spendOffer: (peer, ms) => {
      for (const bucket of offersOf(peerOf(peer))) bucket.spend(1 + ms);
    },
    reward: (peer, ms = REWARD_MS) => {
      const account = peerOf(peer);
      setCredit(account, Math.min(MAX_CREDIT_MS, creditOf(account) + Math.min(REWARD_MS, ms)));
      account.usefulAt = now();
    },
    fault: (peer) => peerOf(peer).faults.spend(1),
    leave: (peer, count = 1) => {
      const { faults, patience, origin } = peerOf(peer);
      // An empty budget alone may be the work of others, who gave an honest peer what is of no use here.
      if (faults.level >= 1) return;
      patience.spend(count);
      if (patience.level <= 0) onOver({ peer });
      const address = addressOf(origin);
      if (!address || address.shared.level > 0) return;
      address.patience.spend(count);
      if (address.patience.level <= 0) onOver({ peer, subscriber: origin.subscriber! });
    },
    credit: (peer) => {
      const account = peers.get(peer);
      return account ? creditOf(account) : 0;
    },
    idleMs: (peer) => now() - (peers.get(peer)?.usefulAt ?? Number.NEGATIVE_INFINITY),
  };
};
