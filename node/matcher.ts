import { type Address, fromHex, type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { REVERTED } from "../rpc/errors.ts";
import type { AbiValue } from "../vm/abi.ts";
import { HUB_EVENTS } from "../vm/market/abi.ts";
import { orderValues } from "../vm/market/signed-order.ts";
import { HUB, MARKET } from "../vm/tables.ts";
import { publicPoolOrder } from "./iexec-files.ts";
import { hubFunction } from "./market-client.ts";
import { createFacts, type Facts, offersOf } from "./matcher-facts.ts";
import {
  boundByOwner,
  coveredBy,
  NO_DATASET,
  type Offer,
  type Offers,
  pairCrosses,
  priceOf,
  priceOfPair,
  restrictionsOfPair,
  restrictionsOfPool,
  termsCross,
  volumeOf,
} from "./matching.ts";
import { freshSalt } from "./orders.ts";
import { createRefusals } from "./refusals.ts";
import { TransactionReverted, transact } from "./wallet.ts";

/** Requests that a round looks at, those first that wait longest for a look. */
const REQUESTS = 100;
/** Pairs of app and dataset that are considered for a request. */
const PAIRS = 64;
/** Sets that a round asks the chain about in vain before it tries them. */
const LOOKS = 256;
/** Sets of orders that a round tries in vain for a request, and those of them of one pool's signer. */
const TRIES = 8;
const TRIES_OF_SIGNER = 2;

/** A deal that the matcher made. */
export interface Filled {
  readonly dealid: Hash;
  readonly request: Hash;
  readonly volume: bigint;
  /** nRLC of a task: app, dataset and pool together. */
  readonly priceNrlc: bigint;
  readonly workerpool: Address;
}

export interface Matcher {
  /** Fills what crosses in a node's book now: requests that pay most first, each by the cheapest offers. */
  round(): Promise<Filled[]>;
}

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));
/** Names a set beyond doubt. */
const nameOf = ({ app, dataset, workerpool, request }: Offers): string =>
  [app, dataset, workerpool, request].map(({ key }) => key).join();
/** The two that a refusal is between: what one requester asks in vain tells nothing of others' requests. */
const sidesOf = ({ request, workerpool }: Offers): string => `${request.order.requester} ${workerpool.signer}`;

const calldata = ({ app, dataset, workerpool, request }: Offers): Uint8Array =>
  hubFunction("matchOrders").encode(
    orderValues({ kind: "app", order: app.order }),
    orderValues({ kind: "dataset", order: dataset.order }),
    orderValues({ kind: "workerpool", order: workerpool.order }),
    orderValues({ kind: "request", order: request.order }),
  );

/** Makes a matcher over a node's book. Anybody may match: the account of `key` pays gas alone, requesters the deals. */
export const createMatcher = (client: RpcClient, key: `0x${string}`, now: () => number = Date.now): Matcher => {
  const from = addressOf(key);
  const refusals = createRefusals(now);
  /** By request, the round that looked at it last. */
  let lookedAt = new Map<Hash, number>();
  let rounds = 0;

  /** The public pool's order for a request, where the request lets that pool and its price pass. */
  const standing = async (facts: Facts, request: Offers["request"], volume: bigint) => {
    const pool = await facts.publicPool();
    const { category, trust, tag, workerpool } = request.order;
    if (!pool || tag !== ZERO_HASH || !(await facts.pass([[workerpool, pool]]))) return undefined;
    try {
      const order = await publicPoolOrder(client, { category, trust, volume, salt: freshSalt() });
      return { order, key: ZERO_HASH, hash: ZERO_HASH, signer: MARKET, remaining: volume };
    } catch {
      return undefined; // beyond what that pool offers
    }
  };

  /** Sets that may make a deal, the cheapest first; those whose pool's signer was refused lately come last. */
  const candidatesOf = async (facts: Facts, request: Offers["request"]): Promise<Offers[]> => {
    const { app, dataset, requester, category } = request.order;
    const takers = { app, requester, ...(dataset === ZERO_ADDRESS ? {} : { dataset }) };
    const [apps, datasets, pools, own] = await Promise.all([
      facts.orders({ ...takers, kind: "app" }),
      dataset === ZERO_ADDRESS ? [NO_DATASET] : facts.orders({ ...takers, kind: "dataset" }),
      facts.orders({ ...takers, kind: "workerpool", category: Number(category) }),
      standing(facts, request, request.remaining),
    ]);
    const crossing = apps
      .flatMap((app) => datasets.map((dataset) => ({ app, dataset, request })))
      .filter(pairCrosses)
      .sort((a, b) => compare(priceOfPair(a), priceOfPair(b)));
    const pairs: typeof crossing = [];
    for (const pair of crossing)
      if (pairs.length < PAIRS && (await facts.pass(restrictionsOfPair(pair)))) pairs.push(pair);
    return [...pools, ...(own ? [own] : [])]
      .flatMap((workerpool) => pairs.map((pair): Offers => ({ ...pair, workerpool })))
      .filter((offers) => termsCross(offers) && !refusals.has(nameOf(offers)))
      .map((offers) => ({ offers, price: priceOf(offers), refused: refusals.of(sidesOf(offers)) }))
      .sort((a, b) => a.refused - b.refused || compare(a.price, b.price))
      .map(({ offers }) => offers);
  };

  /** Tells whether the chain would let a set pass, by what is known of its restrictions and of its pool's owner. */
  const passes = async (facts: Facts, offers: Offers, volume: bigint): Promise<boolean> => {
    const { workerpool, request } = offers;
    if (!(await facts.pass(restrictionsOfPool(offers)))) return false;
    const drawnFor = await facts.drawnFor(workerpool.order.workerpool);
    if (drawnFor !== undefined) return facts.pass([[drawnFor, request.order.requester]]);
    const bound = boundByOwner(workerpool.order);
    if (bound === 0n || workerpool.signer === MARKET) return true;
    return coveredBy(await facts.stakeOf(workerpool.signer), bound, volume) === volume;
  };

  /** Makes a deal of orders; undefined where the chain does not let them pass. */
  const fill = async (orders: Offers): Promise<Filled | undefined> => {
    const data = calldata(orders);
    try {
      const gas = Number(await client.call("eth_estimateGas", [{ from, to: HUB, data: toHex(data) }]));
      const { logs } = await transact(client, key, { to: HUB, data, gas });
      const event = HUB_EVENTS.OrdersMatched!;
      const log = logs.find(({ topics }) => topics[0] === event.topic)!;
      const values = event.decode({ topics: log.topics, data: fromHex(log.data) });
      const [dealid, volume] = [values[0] as Hash, values[5] as AbiValue as bigint];
      const { request, workerpool } = orders;
      const priceNrlc = priceOf(orders);
      return { dealid, request: request.hash, volume, priceNrlc, workerpool: workerpool.order.workerpool };
    } catch (error) {
      const isRefused = error instanceof RpcCallError && error.code === REVERTED;
      // Or somebody else made the deal first.
      if (isRefused || error instanceof TransactionReverted) return undefined;
      throw error;
    }
  };

  /** Fills a request as far as its money and the offers go. */
  const fillRequest = async (facts: Facts, asked: Offers["request"]): Promise<Filled[]> => {
    const filled: Filled[] = [];
    const used = new Map<Hash, bigint>();
    const left = <T>(offer: Offer<T>): Offer<T> =>
      offer.key === ZERO_HASH ? offer : { ...offer, remaining: offer.remaining - (used.get(offer.key) ?? 0n) };
    const tries = new Map<Address, number>();
    let [failures, looks] = [0, 0];
    for (const each of await candidatesOf(facts, asked)) {
      if (failures >= TRIES) break;
      const { signer } = each.workerpool;
      if ((tries.get(signer) ?? 0) >= TRIES_OF_SIGNER) continue;
      let offers: Offers = {
        app: left(each.app),
        dataset: left(each.dataset),
        workerpool: left(each.workerpool),
        request: left(asked),
      };
      const volume = volumeOf(offers);
      const covered = coveredBy(await facts.stakeOf(asked.order.requester), priceOf(offers), volume);
      // Orders that others signed are filled whole; the public pool stands by any part. What a requester cannot pay is
      // nobody else's fault.
      if (covered <= 0n || (covered < volume && signer !== MARKET)) continue;
      if (covered < volume) {
        const part = await standing(facts, asked, covered);
        if (part) offers = { ...offers, workerpool: part };
      }
      if (!(await passes(facts, offers, covered))) {
        refusals.add(nameOf(each));
        if (++looks >= LOOKS) break;
        continue;
      }
      const deal = await fill(offers);
      if (!deal) {
        failures += 1;
        tries.set(signer, (tries.get(signer) ?? 0) + 1);
        refusals.add(nameOf(each), sidesOf(each));
        continue;
      }
      refusals.passed(sidesOf(each));
      filled.push(deal);
      for (const { key } of Object.values<Offer<unknown>>({ ...offers }))
        used.set(key, (used.get(key) ?? 0n) + deal.volume);
      for (const account of [asked.order.requester, signer]) facts.spent(account);
    }
    return filled;
  };

  return {
    round: async () => {
      const facts = createFacts(client);
      rounds += 1;
      const requests = (await offersOf(client, { kind: "request" })).map((request, rank) => ({
        request,
        rank,
        seen: lookedAt.get(request.key) ?? 0,
      }));
      lookedAt = new Map(requests.map(({ request, seen }) => [request.key, seen]));
      const due = requests.toSorted((a, b) => a.seen - b.seen || a.rank - b.rank).slice(0, REQUESTS);
      const filled: Filled[] = [];
      for (const { request } of due.sort((a, b) => a.rank - b.rank)) {
        lookedAt.set(request.key, rounds);
        filled.push(...(await fillRequest(facts, request)));
      }
      return filled;
    },
  };
};
