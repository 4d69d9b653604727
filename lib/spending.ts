import { putNewest } from "./lru.ts";

/** A level that rises by what is spent and falls with time. */
interface Level {
  add(amount: number): void;
  now(): number;
}

const createLevel = (perSecond: number, nowMs: () => number): Level => {
  let level = 0;
  let atMs = nowMs();
  const now = (): number => {
    const then = atMs;
    atMs = nowMs();
    level = Math.max(0, level - ((atMs - then) * perSecond) / 1_000);
    return level;
  };
  return {
    add: (amount) => {
      level = now() + amount;
    },
    now,
  };
};

/** What may be spent: `burst` at once, and `perSecond` again and again. */
export interface Allowance {
  readonly perSecond: number;
  readonly burst: number;
}

/** What one client has spent of what all share. */
export interface Account {
  spend(amount: number): void;
  /** What it has spent and time has not forgiven yet. */
  spent(): number;
  /** Milliseconds until it may spend again; 0 where it may now. */
  waitMs(): number;
}

export interface Spending {
  /** Opens the account of a client; all who give one name share it, and none shares one without a name. */
  account(name: string | undefined, allowance: Allowance): Account;
}

export interface SpendingOptions {
  /** What all clients may spend together. Beyond it those wait who have spent more than `freely` themselves. */
  readonly all: Allowance;
  readonly freely: number;
  readonly nowMs: () => number;
}

/** Names that are remembered; the longest known are forgotten first. */
const MAX_NAMES = 16_384;

/** Makes accounts of something that many share and that comes back with time, e.g. the thread's. */
export const createSpending = ({ all, freely, nowMs }: SpendingOptions): Spending => {
  const total = createLevel(all.perSecond, nowMs);
  const accounts = new Map<string, Account>();
  const over = (level: number, { burst, perSecond }: Allowance): number =>
    level <= burst ? 0 : Math.ceil((1_000 * (level - burst)) / perSecond);
  const open = (allowance: Allowance): Account => {
    const own = createLevel(allowance.perSecond, nowMs);
    return {
      spend: (amount) => {
        own.add(amount);
        total.add(amount);
      },
      spent: own.now,
      waitMs: () => {
        const level = own.now();
        return Math.max(over(level, allowance), level > freely ? over(total.now(), all) : 0);
      },
    };
  };
  return {
    account: (name, allowance) =>
      name === undefined
        ? open(allowance)
        : (accounts.get(name) ?? putNewest(accounts, name, open(allowance), MAX_NAMES)),
  };
};
