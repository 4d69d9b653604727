import type { Address } from "../lib/bytes.ts";
import type { OrderName } from "../vm/market/signed-order.ts";
import { bestPairs, type LazyList, lazyList, type Priced } from "./best-first.ts";
import type { Book } from "./matcher-facts.ts";
import type { Judge } from "./matcher-judge.ts";
import {
  appCrosses,
  datasetCrosses,
  NO_DATASET,
  type Offer,
  type Offers,
  pairCrosses,
  poolCrosses,
  priceOfPair,
} from "./matching.ts";
import { drawn } from "./pool/crew.ts";
import type { Refusals } from "./refusals.ts";

/** Pairs of app and dataset that are considered for a request. */
const PAIRS = 64;
/** Pools' orders that come later than their price says, since their pools could draw nobody now. */
const HELD = 64;
/** Signers of pools' orders that are drawn for a request. */
const STRAYS = 64;

type Request = Offers["request"];
type Pool = Offers["workerpool"];
interface Row<T> extends Priced {
  readonly offer: Offer<T>;
}
interface Pair extends Priced {
  readonly app: Offers["app"];
  readonly dataset: Offers["dataset"];
}

/** Names a set beyond doubt. */
export const nameOf = ({ app, dataset, workerpool, request }: Offers): string =>
  [app, dataset, workerpool, request].map(({ key }) => key).join();

/** Sets for a request that may make a deal, found one by one as they are asked for. */
export interface Candidates {
  /** The cheapest first, before them those whose pool could draw now; those whose pool's signer was refused lately come last. */
  readonly best: AsyncGenerator<Offers>;
  /** A set of each signer, in an order that nobody can foresee: whoever fills the head of the book does not fill this. */
  readonly strays: AsyncGenerator<Offers>;
}

/**
 * Finds the sets for a request. `look` is asked before each judgement, and ends both lists where it says no: what was refused is remembered,
 * so that the next round goes on there. `isOut` tells of signers that no more sets are wanted of.
 */
export const candidatesOf = (options: {
  readonly book: Book;
  readonly judge: Judge;
  readonly refusals: Refusals;
  readonly request: Request;
  /** The public pool's order for this request. */
  readonly own: Pool | undefined;
  readonly look: () => boolean;
  readonly isOut: (signer: Address) => boolean;
}): Candidates => {
  const { book, judge, refusals, request, own, look, isOut } = options;
  const { app, dataset, requester, category } = request.order;

  /** Those of some offers that pass a judgement, which is asked for when they are. */
  const passing = async function* <T>(
    kind: OrderName,
    offers: readonly Offer<T>[],
    crosses: (offer: Offer<T>) => boolean,
    passes: (offer: Offer<T>) => Promise<boolean>,
    rowOf: (offer: Offer<T>) => Row<T>,
  ): AsyncGenerator<Row<T>> {
    for (const offer of offers) {
      const name = `${kind} ${offer.key} ${request.key}`;
      if (!crosses(offer) || refusals.has(requester, name)) continue;
      if (!look()) return;
      if (await passes(offer)) yield rowOf(offer);
      else refusals.add(requester, name);
    }
  };
  const apps = passing(
    "app",
    book.apps(app),
    (offer) => appCrosses({ app: offer, request }),
    (offer) => judge.app({ app: offer, request }),
    (offer) => ({ offer, price: offer.order.appprice }),
  );
  const datasets = passing(
    "dataset",
    dataset === NO_DATASET.order.dataset ? [NO_DATASET] : book.datasets(dataset),
    (offer) => datasetCrosses({ dataset: offer, request }),
    (offer) => judge.dataset({ dataset: offer, request }),
    (offer) => ({ offer, price: offer.order.datasetprice }),
  );
  const crossingPairs = async function* (): AsyncGenerator<Pair> {
    for await (const [{ offer: ofApp }, { offer: ofDataset }] of bestPairs(lazyList(apps), lazyList(datasets))) {
      const pair = { app: ofApp, dataset: ofDataset, request };
      if (!look()) return;
      if (pairCrosses(pair)) yield { ...pair, price: priceOfPair(pair) };
    }
  };
  const pairs: LazyList<Pair> = lazyList(crossingPairs(), PAIRS);

  const levelOf = ({ signer }: Pool): number => refusals.of(requester, signer);
  const passingPools = (pools: readonly Pool[]) =>
    passing(
      "workerpool",
      pools,
      (workerpool) => !isOut(workerpool.signer) && poolCrosses({ workerpool, request }),
      (workerpool) => judge.pool({ workerpool, request }),
      (offer) => ({ offer, price: offer.order.workerpoolprice, level: levelOf(offer) }),
    );
  /** Rows of one level after another: of each first those whose pools could draw now, and each part a level of its own. */
  const readyFirst = async function* (rows: AsyncGenerator<Row<Pool["order"]>>): AsyncGenerator<Row<Pool["order"]>> {
    let level = 0;
    let held: Row<Pool["order"]>[] = [];
    for await (const row of rows) {
      const next = row.level ?? 0;
      if (next !== level) {
        yield* held;
        held = [];
        level = next;
      }
      const isHeld = held.length < HELD && !(await judge.canDraw({ workerpool: row.offer, request }));
      if (isHeld) held.push({ ...row, level: 2 * level + 1 });
      else yield { ...row, level: 2 * level };
    }
    yield* held;
  };
  const passesSet = async (offers: Offers): Promise<boolean> => {
    const name = nameOf(offers);
    if (refusals.has(requester, name)) return false;
    if (await judge.set(offers)) return true;
    refusals.add(requester, name);
    return false;
  };
  const byRank = (): Pool[] => {
    const ranked = [...book.pools(category), ...(own ? [own] : [])].map((pool) => ({ pool, level: levelOf(pool) }));
    const price = ({ pool }: { pool: Pool }): bigint => pool.order.workerpoolprice;
    return ranked
      .sort((a, b) => a.level - b.level || (price(a) < price(b) ? -1 : Number(price(a) > price(b))))
      .map(({ pool }) => pool);
  };
  const best = async function* (): AsyncGenerator<Offers> {
    const rows = lazyList(readyFirst(passingPools(byRank())));
    for await (const [{ offer: workerpool }, pair] of bestPairs(rows, pairs, ({ offer }) => isOut(offer.signer))) {
      if (!look()) return;
      const offers = { ...pair, workerpool, request };
      if (await passesSet(offers)) yield offers;
    }
  };
  const strays = async function* (): AsyncGenerator<Offers> {
    const bySigner = Map.groupBy(book.pools(category), ({ signer }) => signer);
    for (const signer of drawn([...bySigner.keys()], STRAYS))
      next: for await (const { offer: workerpool } of passingPools(bySigner.get(signer)!))
        for (let i = 0, pair = await pairs.at(0); pair; pair = await pairs.at(++i)) {
          if (!look()) return;
          const offers = { ...pair, workerpool, request };
          if (!(await passesSet(offers))) continue;
          yield offers;
          break next;
        }
  };
  return { best: best(), strays: strays() };
};
