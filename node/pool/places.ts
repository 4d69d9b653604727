import type { Address, Hash } from "../../lib/bytes.ts";
import { forgetOldest } from "../../lib/lru.ts";
import { taskId } from "../../vm/market/deal.ts";
import { CONTRIBUTION_RATIO } from "../../vm/market/lot.ts";
import type { DealView } from "../market-client.ts";
import { newTask, type PoolStore } from "./store.ts";
import { workersFor } from "./trust.ts";
import { type Claim, nextInTurn, type UnderWay, type Waiting, worthOf } from "./turns.ts";

/** What does not change of a deal. */
interface DealFacts {
  readonly requester: Address;
  readonly priceNrlc: bigint;
  readonly seconds: number;
  readonly workers: number;
  /** Its first task, and the first after its own. */
  readonly first: number;
  readonly end: number;
  /** Unix seconds until which its tasks take contributions. */
  readonly closes: number;
}

/** Requesters that are remembered for what they paid, the oldest forgotten first. */
const MAX_KNOWN = 16_384;

/** Which tasks of a pool's deals are under way. */
export interface Places {
  /** Tasks that nobody computes, and nobody has contributed to. */
  readonly idle: Set<Hash>;
  /** Gives places to tasks that wait, at a time (Unix seconds). Some may make way for them, and wait again. */
  give(time: number): Promise<void>;
  /** Says what the turn of a deal depends on at a time: what nobody can compute any more is worth nothing. */
  claimOf(dealid: Hash, time: number): Promise<Claim>;
  /** Tells how many workers a task of a deal needs, if all agree. */
  workersOf(dealid: Hash): Promise<number>;
  /** Remembers who pays: of all others some may be keys of one hand. */
  paid(deal: DealView): void;
}

interface Parts {
  readonly store: PoolStore;
  readonly dealOf: (id: Hash) => Promise<DealView>;
  readonly secondsOf: (category: bigint) => Promise<number>;
  /** Forgets a task that has no place any more. */
  readonly drop: (id: Hash) => void;
  readonly idle: Set<Hash>;
  /** Of deals that are not over. */
  readonly facts: Map<Hash, DealFacts>;
  readonly known: Set<Address>;
}

const factsOf = async ({ facts, dealOf, secondsOf }: Parts, dealid: Hash): Promise<DealFacts> => {
  const found = facts.get(dealid);
  if (found) return found;
  const { requester, priceNrlc, trust, category, startTime, botFirst, botSize } = await dealOf(dealid);
  const seconds = await secondsOf(category);
  const closes = startTime + CONTRIBUTION_RATIO * seconds;
  const [workers, end] = [workersFor(trust), botFirst + botSize];
  const read = { requester, priceNrlc, seconds, workers, first: botFirst, end, closes };
  facts.set(dealid, read);
  return read;
};

const claimOf = async (parts: Parts, dealid: Hash, time: number): Promise<Claim> => {
  const { requester, first, end: _, closes, ...terms } = await factsOf(parts, dealid);
  const { next, vainMs } = parts.store.deals.get(dealid)!;
  const worth = time >= closes ? Number.NEGATIVE_INFINITY : worthOf({ ...terms, begun: next - first, vainMs });
  return { dealid, requester, isKnown: parts.known.has(requester), worth };
};

/** Finds the deals of which nothing waits and nothing is under way. */
const endDeals = ({ store, facts }: Parts): void => {
  const withTasks = new Set([...store.tasks.values()].map(({ dealid }) => dealid));
  for (const [dealid, deal] of store.deals) {
    if (!deal.over)
      deal.over = deal.next === facts.get(dealid)!.end && deal.back.length === 0 && !withTasks.has(dealid);
    if (deal.over) facts.delete(dealid);
  }
};

const give = async (parts: Parts, time: number): Promise<void> => {
  const { store, idle, drop } = parts;
  const [waiting, underWay]: [Waiting[], UnderWay[]] = [[], []];
  for (const [dealid, { over, next, back }] of store.deals) {
    if (over) continue;
    const tasks = (await factsOf(parts, dealid)).end - next + back.length;
    if (tasks > 0) waiting.push({ ...(await claimOf(parts, dealid, time)), tasks });
  }
  for (const [id, { dealid }] of store.tasks)
    underWay.push({ ...(await claimOf(parts, dealid, time)), id, isIdle: idle.has(id) });
  const { begun, putBack } = nextInTurn(waiting, underWay);
  for (const id of putBack) {
    const { dealid, index } = store.tasks.get(id)!;
    store.deals.get(dealid)!.back.push(index);
    drop(id);
  }
  for (const dealid of begun) {
    const deal = store.deals.get(dealid)!;
    const index = deal.back.shift() ?? deal.next++;
    store.tasks.set(taskId(dealid, index), newTask(dealid, index));
  }
  endDeals(parts);
};

/** Makes the places of a scheduler's tasks. */
export const createPlaces = (options: Pick<Parts, "store" | "dealOf" | "secondsOf" | "drop">): Places => {
  const parts: Parts = { ...options, idle: new Set(), facts: new Map(), known: new Set() };
  const { idle, known } = parts;
  return {
    idle,
    give: (time) => give(parts, time),
    claimOf: (dealid, time) => claimOf(parts, dealid, time),
    workersOf: async (dealid) => (await factsOf(parts, dealid)).workers,
    paid: ({ requester, priceNrlc }) => {
      if (priceNrlc === 0n) return;
      known.delete(requester);
      known.add(requester);
      forgetOldest(known, MAX_KNOWN);
    },
  };
};
