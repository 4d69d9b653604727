import type { Log } from "../chain/receipt.ts";
import type { Transaction } from "../chain/transaction.ts";
import { senderOf } from "../chain/transaction.ts";
import { type Address, ZERO_ADDRESS } from "../lib/bytes.ts";
import type { AbiValue } from "../vm/abi.ts";
import {
  APP_REGISTRY,
  DATASET_REGISTRY,
  HUB,
  MARKET,
  TOKEN,
  VALIDATORS,
  WORKERPOOL_REGISTRY,
} from "../vm/addresses.ts";
import { HUB_EVENTS, MARKET_EVENTS } from "../vm/market/abi.ts";

/** How two sides are tied: by an account of both or one step between, by an account that both are a step from, not at all. */
export type Tie = "tied" | "near" | "none";

/** Accounts that are related by what a reader of the chain can see. */
export interface Ties {
  /** Notes all that a transaction that succeeded says: who sent RLC to whom, who works for whom, who pays for whom. */
  note(transaction: Transaction, logs: readonly Log[]): void;
  /** Notes that accounts act together. */
  relate(...accounts: readonly Address[]): void;
  /** Tells how two groups are tied. O(neighbours of the smaller). */
  between(one: ReadonlySet<Address>, other: ReadonlySet<Address>): Tie;
  readonly steps: number;
}

/** Accounts of the protocol tie nobody. */
const SYSTEM: ReadonlySet<Address> = new Set([
  ...[ZERO_ADDRESS, VALIDATORS, HUB, APP_REGISTRY, DATASET_REGISTRY, WORKERPOOL_REGISTRY, TOKEN, MARKET],
]);
const { Transfer } = HUB_EVENTS;
const { JoinRequested } = MARKET_EVENTS;

/** Makes an empty graph of ties. */
export const createTies = (): Ties => {
  const neighbours = new Map<Address, Set<Address>>();
  const none: ReadonlySet<Address> = new Set();
  let steps = 0;
  const link = (a: Address, b: Address): void => {
    const others = neighbours.get(a) ?? new Set();
    if (!others.has(b)) steps += 1;
    neighbours.set(a, others.add(b));
  };
  const relate = (...accounts: readonly Address[]): void => {
    const known = [...new Set(accounts)].filter((account) => !SYSTEM.has(account));
    for (const a of known) for (const b of known) if (a !== b) link(a, b);
  };
  /** Who is tied by a log: a transfer moves RLC or stake, or makes or takes stake of who is not its sender. */
  const byLog = (sender: Address, { address, topics, data }: Log): void => {
    if (topics[0] === Transfer!.topic && (address === HUB || address === TOKEN)) {
      const [from, to] = Transfer!.decode({ topics, data }) as [Address, Address, AbiValue];
      const isPaidIn = address === HUB && from === ZERO_ADDRESS;
      const isPaidOut = address === TOKEN && from === HUB;
      if (isPaidIn || isPaidOut) relate(sender, to);
      else relate(from, to);
    }
    if (topics[0] === JoinRequested!.topic && address === MARKET) {
      const [, worker, validator, staker] = JoinRequested!.decode({ topics, data }) as Address[];
      relate(worker!, validator!, staker!);
    }
  };
  return {
    note: (transaction, logs) => {
      const sender = senderOf(transaction);
      if (transaction.value > 0n && transaction.to) relate(sender, transaction.to);
      for (const log of logs) byLog(sender, log);
    },
    relate,
    between: (one, other) => {
      const [few, many] = one.size <= other.size ? [one, other] : [other, one];
      for (const account of few) if (many.has(account)) return "tied";
      let isNear = false;
      for (const account of few)
        for (const next of neighbours.get(account) ?? none) {
          if (many.has(next)) return "tied";
          for (const far of many) if (neighbours.get(far)?.has(next)) isNear = true;
        }
      return isNear ? "near" : "none";
    },
    get steps() {
      return steps;
    },
  };
};
