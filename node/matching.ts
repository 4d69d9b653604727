import { type Address, EMPTY, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { WORKERPOOL_STAKE_RATIO } from "../vm/market/match.ts";
import type { AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder } from "../vm/market/order.ts";

/** Bits of a dataset's tag that ask nothing of the rest (PoCo 6), and the bit of an enclave. */
const FRAMEWORK_BITS = 0b1110n;
const TEE_BIT = 1n;

/** An order of a set, with what stands of it. */
export interface Offer<T> {
  readonly order: T;
  /** Names it beyond doubt: of its contents, since salts are copied. */
  readonly key: Hash;
  /** What the chain calls it. */
  readonly hash: Hash;
  readonly signer: Address;
  readonly remaining: bigint;
}

/** Orders that a deal may be made of. */
export interface Offers {
  readonly app: Offer<AppOrder>;
  readonly dataset: Offer<DatasetOrder>;
  readonly workerpool: Offer<WorkerpoolOrder>;
  readonly request: Offer<RequestOrder>;
}

/** Stands where a deal uses no dataset. */
export const NO_DATASET: Offer<DatasetOrder> = {
  key: ZERO_HASH,
  hash: ZERO_HASH,
  signer: ZERO_ADDRESS,
  remaining: 1n << 255n,
  order: {
    dataset: ZERO_ADDRESS,
    datasetprice: 0n,
    volume: 0n,
    tag: ZERO_HASH,
    apprestrict: ZERO_ADDRESS,
    workerpoolrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt: ZERO_HASH,
    sign: EMPTY,
  },
};

/** nRLC of a task for app and dataset. */
export const priceOfPair = ({ app, dataset }: Pick<Offers, "app" | "dataset">): bigint =>
  app.order.appprice + dataset.order.datasetprice;
/** nRLC of a task: app, dataset and pool together. */
export const priceOf = (offers: Offers): bigint => priceOfPair(offers) + offers.workerpool.order.workerpoolprice;

/** nRLC that the owner of a pool binds for a task of an order. */
export const boundByOwner = ({ workerpoolprice }: WorkerpoolOrder): bigint =>
  (workerpoolprice * WORKERPOOL_STAKE_RATIO) / 100n;

const tagOf = ({ app, dataset, request }: Omit<Offers, "workerpool">): bigint =>
  BigInt(app.order.tag) | (BigInt(dataset.order.tag) & ~FRAMEWORK_BITS) | BigInt(request.order.tag);

/** Tells whether app and dataset are those of a request, at its prices, and their tags fit together. */
export const pairCrosses = (pair: Omit<Offers, "workerpool">): boolean => {
  const [ofApp, ofDataset, asked] = [pair.app.order, pair.dataset.order, pair.request.order];
  return (
    asked.app === ofApp.app &&
    asked.dataset === ofDataset.dataset &&
    asked.appmaxprice >= ofApp.appprice &&
    asked.datasetmaxprice >= ofDataset.datasetprice &&
    ((tagOf(pair) ^ BigInt(ofApp.tag)) & TEE_BIT) === 0n
  );
};

/** Tells whether a pool's terms cross the others: categories, trust, prices and tags, as the chain judges them (spec section 10.3). */
export const termsCross = (offers: Offers): boolean => {
  const [ofPool, asked] = [offers.workerpool.order, offers.request.order];
  return (
    asked.category === ofPool.category &&
    asked.trust <= ofPool.trust &&
    asked.workerpoolmaxprice >= ofPool.workerpoolprice &&
    (tagOf(offers) & ~BigInt(ofPool.tag)) === 0n
  );
};

/** A restriction, and who has to be let pass by it. */
export type Restriction = readonly [restriction: Address, account: Address];

/** The restrictions between app, dataset and requester. */
export const restrictionsOfPair = ({ app, dataset, request }: Omit<Offers, "workerpool">): Restriction[] => [
  [app.order.datasetrestrict, dataset.order.dataset],
  [app.order.requesterrestrict, request.order.requester],
  [dataset.order.apprestrict, app.order.app],
  [dataset.order.requesterrestrict, request.order.requester],
];

/** The restrictions between a pool and the others. */
export const restrictionsOfPool = ({ app, dataset, workerpool: { order }, request }: Offers): Restriction[] => [
  [request.order.workerpool, order.workerpool],
  [app.order.workerpoolrestrict, order.workerpool],
  [dataset.order.workerpoolrestrict, order.workerpool],
  [order.apprestrict, app.order.app],
  [order.datasetrestrict, dataset.order.dataset],
  [order.requesterrestrict, request.order.requester],
];

/** Computes how many tasks a set would make: what is left of the order that has least. */
export const volumeOf = ({ app, dataset, workerpool, request }: Offers): bigint =>
  [app, dataset, workerpool, request].map(({ remaining }) => remaining).reduce((a, b) => (a < b ? a : b));

/** Tells how many tasks money covers, at most so many. */
export const coveredBy = (money: bigint, price: bigint, most: bigint): bigint =>
  price === 0n || money / price > most ? most : money / price;
