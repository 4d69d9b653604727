import { type Address, EMPTY, type Hash, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { TEE_BIT, tagOf, WORKERPOOL_STAKE_RATIO } from "../vm/market/match.ts";
import type { AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder } from "../vm/market/order.ts";

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

/** nRLC of a task at most, as a request says. */
export const mostOf = ({ appmaxprice, datasetmaxprice, workerpoolmaxprice }: RequestOrder): bigint =>
  appmaxprice + datasetmaxprice + workerpoolmaxprice;

/** nRLC that the owner of a pool binds for a task of an order. */
export const boundByOwner = ({ workerpoolprice }: WorkerpoolOrder): bigint =>
  (workerpoolprice * WORKERPOOL_STAKE_RATIO) / 100n;

const tagOfOffers = ({ app, dataset, request }: Omit<Offers, "workerpool">): bigint =>
  tagOf({ app: app.order, dataset: dataset.order, request: request.order });

/** Tells whether an app's own terms are those of a request. */
export const appCrosses = ({ app, request }: Pick<Offers, "app" | "request">): boolean =>
  request.order.app === app.order.app && request.order.appmaxprice >= app.order.appprice;

/** Tells whether a dataset's own terms are those of a request. */
export const datasetCrosses = ({ dataset, request }: Pick<Offers, "dataset" | "request">): boolean =>
  request.order.dataset === dataset.order.dataset && request.order.datasetmaxprice >= dataset.order.datasetprice;

/** Tells whether the tags of app, dataset and request fit together: an enclave is the app's to ask for. */
export const pairCrosses = (pair: Omit<Offers, "workerpool">): boolean =>
  ((tagOfOffers(pair) ^ BigInt(pair.app.order.tag)) & TEE_BIT) === 0n;

/** Tells whether a pool's own terms cross a request: category, trust, price, and the request's tag (spec section 10.3). */
export const poolCrosses = ({ workerpool, request }: Pick<Offers, "workerpool" | "request">): boolean => {
  const [ofPool, asked] = [workerpool.order, request.order];
  return (
    asked.category === ofPool.category &&
    asked.trust <= ofPool.trust &&
    asked.workerpoolmaxprice >= ofPool.workerpoolprice &&
    (BigInt(asked.tag) & ~BigInt(ofPool.tag)) === 0n
  );
};

/** Tells whether a pool serves all that the tags of the others ask for. */
export const tagsCross = (offers: Offers): boolean =>
  (tagOfOffers(offers) & ~BigInt(offers.workerpool.order.tag)) === 0n;

/** Tells whether a set asks for something by a tag, which no pool that the chain draws has. */
export const isTagged = (offers: Offers): boolean => tagOfOffers(offers) !== 0n;

/** A restriction, and who has to be let pass by it. */
export type Restriction = readonly [restriction: Address, account: Address];

/** What an app's order asks of the request. */
export const restrictionsOfApp = ({ app, request }: Pick<Offers, "app" | "request">): Restriction[] => [
  [app.order.datasetrestrict, request.order.dataset],
  [app.order.requesterrestrict, request.order.requester],
];

/** What a dataset's order asks of the request. */
export const restrictionsOfDataset = ({ dataset, request }: Pick<Offers, "dataset" | "request">): Restriction[] => [
  [dataset.order.apprestrict, request.order.app],
  [dataset.order.requesterrestrict, request.order.requester],
];

/** What a pool's order and the request ask of each other. */
export const restrictionsOfPool = ({ workerpool, request }: Pick<Offers, "workerpool" | "request">): Restriction[] => [
  [request.order.workerpool, workerpool.order.workerpool],
  [workerpool.order.apprestrict, request.order.app],
  [workerpool.order.datasetrestrict, request.order.dataset],
  [workerpool.order.requesterrestrict, request.order.requester],
];

/** What the orders of app and dataset ask of the pool. */
export const restrictionsOfSet = ({ app, dataset, workerpool }: Omit<Offers, "request">): Restriction[] => [
  [app.order.workerpoolrestrict, workerpool.order.workerpool],
  [dataset.order.workerpoolrestrict, workerpool.order.workerpool],
];

/** Computes how many tasks a set would make: what is left of the order that has least. */
export const volumeOf = ({ app, dataset, workerpool, request }: Offers): bigint =>
  [app, dataset, workerpool, request].map(({ remaining }) => remaining).reduce((a, b) => (a < b ? a : b));

/** Tells how many tasks money covers, at most so many. */
export const coveredBy = (money: bigint, price: bigint, most: bigint): bigint =>
  price === 0n || money / price > most ? most : money / price;
