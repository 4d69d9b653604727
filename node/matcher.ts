import { type Budget, createBudget } from "../lib/budget.ts";
import { type Address, fromHex, type Hash, toHex, ZERO_HASH } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { REVERTED } from "../rpc/errors.ts";
import { CALL_GAS_CAP } from "../rpc/eth.ts";
import type { AbiValue } from "../vm/abi.ts";
import { HUB, MARKET } from "../vm/addresses.ts";
import { HUB_EVENTS } from "../vm/market/abi.ts";
import { orderValues } from "../vm/market/signed-order.ts";
import { publicPoolOrder } from "./iexec-files.ts";
import { hubFunction } from "./market-client.ts";
import { candidatesOf, nameOf } from "./matcher-candidates.ts";
import { type Book, createFacts, type Facts, readBook } from "./matcher-facts.ts";
import { createJudge, type Judge } from "./matcher-judge.ts";
import { mostOf, type Offer, type Offers, priceOf } from "./matching.ts";
import { freshSalt } from "./orders.ts";
import { createRefusals } from "./refusals.ts";
import { TransactionReverted, transact } from "./wallet.ts";

/** Requests that a round looks at, those first that wait longest for a look. */
const REQUESTS = 100;
/** Judgements of a round and of one of its requests: what goes beyond is looked at in the next. A try is worth so many. */
const LOOKS = 4_096;
const LOOKS_OF_REQUEST = 512;
const LOOKS_OF_TRY = 8;
/** Tries in vain of a round for a requester, one of each signer; the last of every four is for a signer that was drawn. */
const TRIES = 32;
const STRAY = 4;

/** What the requests of a round share. */
interface Round {
  readonly facts: Facts;
  readonly book: Book;
  readonly judge: Judge;
  readonly looks: Budget;
  /** By requester, the signers whose sets were tried in vain. */
  readonly vain: Map<Address, Set<Address>>;
}

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

  /** Makes a deal of orders; undefined where the chain does not let them pass. */
  const fill = async (orders: Offers): Promise<Filled | undefined> => {
    const data = calldata(orders);
    try {
      const gas = Number(await client.call("eth_estimateGas", [{ from, to: HUB, data: toHex(data) }]));
      // What the node has not tried may revert, and the matcher would pay for it.
      if (gas > CALL_GAS_CAP) return undefined;
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
  const fillRequest = async (round: Round, asked: Offers["request"]): Promise<Filled[]> => {
    const { facts, judge, looks } = round;
    const { requester } = asked.order;
    const filled: Filled[] = [];
    const used = new Map<Hash, bigint>();
    const left = <T>(offer: Offer<T>): Offer<T> =>
      offer.key === ZERO_HASH ? offer : { ...offer, remaining: offer.remaining - (used.get(offer.key) ?? 0n) };
    /** The signers whose sets were tried in vain. */
    const vain = round.vain.get(requester) ?? new Set();
    round.vain.set(requester, vain);
    const most = createBudget(LOOKS_OF_REQUEST);
    const own = await standing(facts, asked, asked.remaining);
    const { best, strays } = candidatesOf({
      ...round,
      refusals,
      request: asked,
      own,
      look: () => most.take(1) && looks.take(1),
      isOut: (signer) => vain.has(signer),
    });
    const next = async (): Promise<Offers | undefined> => {
      const stray = vain.size % STRAY === STRAY - 1 ? await strays.next() : undefined;
      return stray?.value ?? (await best.next()).value;
    };
    for (let each = await next(); each && vain.size < TRIES; each = await next()) {
      const { signer } = each.workerpool;
      // What is for this much money: with more, or less, it is looked at again.
      const name = `${nameOf(each)} ${await facts.stakeOf(requester)}`;
      if (vain.has(signer) || refusals.has(requester, name)) continue;
      let offers: Offers = {
        app: left(each.app),
        dataset: left(each.dataset),
        workerpool: left(each.workerpool),
        request: left(asked),
      };
      const funded = await judge.funds(offers);
      // Orders that others signed are filled whole; the public pool stands by any part. What a requester cannot pay is
      // nobody else's fault.
      const isPayable = funded !== undefined && funded.volume > 0n && (funded.isWhole || signer === MARKET);
      if (!isPayable) {
        refusals.add(requester, name);
        continue;
      }
      if (!looks.take(LOOKS_OF_TRY)) break;
      if (!funded.isWhole) {
        const part = await standing(facts, asked, funded.volume);
        if (part) offers = { ...offers, workerpool: part };
      }
      const deal = await fill(offers);
      if (!deal) {
        vain.add(signer);
        refusals.add(requester, nameOf(each));
        refusals.blame(requester, signer);
        continue;
      }
      refusals.passed(requester, signer);
      filled.push(deal);
      for (const { key } of Object.values<Offer<unknown>>({ ...offers }))
        used.set(key, (used.get(key) ?? 0n) + deal.volume);
      for (const account of [requester, signer]) facts.spent(account);
    }
    return filled;
  };

  return {
    round: async () => {
      const facts = createFacts(client);
      const book = await readBook(client);
      const round: Round = { facts, book, judge: createJudge(facts), looks: createBudget(LOOKS), vain: new Map() };
      rounds += 1;
      refusals.keep(new Set(book.requests.map(({ order }) => order.requester)));
      const requests = book.requests.map((request) => ({ request, seen: lookedAt.get(request.key) ?? 0 }));
      lookedAt = new Map(requests.map(({ request, seen }) => [request.key, seen]));
      const filled: Filled[] = [];
      // Whose money is bound waits for it, and keeps no look from those who can pay.
      const [able, short]: Offers["request"][][] = [[], []];
      for (const { request } of requests.sort((a, b) => a.seen - b.seen).slice(0, REQUESTS)) {
        const isAble = (await facts.stakeOf(request.order.requester)) >= mostOf(request.order);
        (isAble ? able : short)!.push(request);
      }
      for (const request of [...able!, ...short!]) {
        if (round.looks.left < LOOKS_OF_TRY) break;
        lookedAt.set(request.key, rounds);
        if (!round.judge.request(request)) continue;
        filled.push(...(await fillRequest(round, request)));
      }
      return filled;
    },
  };
};
