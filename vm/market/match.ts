import { type Address, type Hash, word, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { type AbiValue, encodeAbi } from "../abi.ts";
import { HUB } from "../addresses.ts";
import { checked, ensure } from "../revert.ts";
import { HUB_ERRORS, HUB_EVENTS } from "./abi.ts";
import { categoryCount } from "./category.ts";
import { firstCommittee } from "./committee.ts";
import { type Deal, dealOf, setDeal } from "./deal.ts";
import { drawnTerms, type Offered, openDrawnDeal } from "./drawn-deal.ts";
import { type Env, emitAt } from "./env.ts";
import { lock } from "./escrow.ts";
import { accepts } from "./group.ts";
import {
  APP_ORDER,
  type AppOrder,
  DATASET_ORDER,
  type DatasetOrder,
  orderHash,
  REQUEST_ORDER,
  type RequestOrder,
  WORKERPOOL_ORDER,
  type WorkerpoolOrder,
} from "./order.ts";
import { consumedOf, setConsumed } from "./order-state.ts";
import { ownerAnswered } from "./owner.ts";
import { type Pool, poolOf } from "./pool.ts";
import { apps, datasets, workerpools } from "./registry.ts";
import { verifyPresignatureOrSignature } from "./signature.ts";
import { matchedPrice } from "./standing-order.ts";

/** Percent of a task's price that the owner of an owner-scheduled pool locks. */
export const WORKERPOOL_STAKE_RATIO = 30n;
/** Bits of the TEE frameworks: those of a dataset ask nothing of the rest of a deal. */
const FRAMEWORK_BITS = 0b1110n;
/** The bit of an enclave, which is the app's to ask for. */
export const TEE_BIT = 1n;

export interface Orders {
  readonly app: AppOrder;
  readonly dataset: DatasetOrder;
  readonly workerpool: WorkerpoolOrder;
  readonly request: RequestOrder;
}
/** The four orders' hashes; that of the dataset's is zero where there is no dataset. */
type Hashes = Readonly<Record<keyof Orders, Hash>>;

/** Reads the four orders of a call's arguments. */
export const readOrders = ([app, dataset, workerpool, request]: readonly AbiValue[]): Orders => ({
  app: APP_ORDER.read(app!),
  dataset: DATASET_ORDER.read(dataset!),
  workerpool: WORKERPOOL_ORDER.read(workerpool!),
  request: REQUEST_ORDER.read(request!),
});

const hasDataset = ({ dataset }: Orders): boolean => dataset.dataset !== ZERO_ADDRESS;
const withoutFramework = (tag: Hash): bigint => BigInt(tag) & ~FRAMEWORK_BITS;
/** Joins what the orders of a deal ask of its pool. */
export const tagOf = ({ app, dataset, request }: Omit<Orders, "workerpool">): bigint =>
  BigInt(app.tag) | withoutFramework(dataset.tag) | BigInt(request.tag);
const match = (code: string, condition: boolean): void => ensure(condition, `iExecV5-matchOrders-0x${code}`);

/** Checks that orders fit together, in PoCo's order and with its codes. */
const checkCompatibility = ({ state }: Env, orders: Orders): void => {
  const { app, dataset, workerpool, request } = orders;
  match("00", request.category === workerpool.category);
  match("01", request.category < BigInt(categoryCount(state)));
  match("02", request.trust <= workerpool.trust);
  match("03", request.appmaxprice >= app.appprice);
  match("04", request.datasetmaxprice >= dataset.datasetprice);
  match("05", request.workerpoolmaxprice >= workerpool.workerpoolprice);
  const tag = tagOf(orders);
  match("06", (tag & ~BigInt(workerpool.tag)) === 0n);
  match("07", ((tag ^ BigInt(app.tag)) & TEE_BIT) === 0n);
  match("10", request.app === app.app);
  match("11", request.dataset === dataset.dataset);
  match("12", accepts(state, request.workerpool, workerpool.workerpool));
  match("13", accepts(state, app.datasetrestrict, dataset.dataset));
  match("14", accepts(state, app.workerpoolrestrict, workerpool.workerpool));
  match("15", accepts(state, app.requesterrestrict, request.requester));
  match("16", accepts(state, dataset.apprestrict, app.app));
  match("17", accepts(state, dataset.workerpoolrestrict, workerpool.workerpool));
  match("18", accepts(state, dataset.requesterrestrict, request.requester));
  match("19", accepts(state, workerpool.apprestrict, app.app));
  match("1a", accepts(state, workerpool.datasetrestrict, dataset.dataset));
  match("1b", accepts(state, workerpool.requesterrestrict, request.requester));
};

/** The owners at the time of a match, who are paid later even if they sell. */
interface Owners {
  readonly app: Address;
  readonly dataset: Address;
  readonly workerpool: Address;
}

/** Checks that entries are registered and orders signed; gives the entries' owners. */
const checkAuthenticity = (env: Env, orders: Orders, hashes: Hashes): Owners => {
  const { state } = env;
  const { app, dataset, workerpool, request } = orders;
  const appOwner = ownerAnswered(state, app.app);
  match("20", apps.ownerOf(state, app.app) !== undefined);
  match("21", verifyPresignatureOrSignature(env, appOwner, hashes.app, app.sign));
  let datasetOwner = ZERO_ADDRESS;
  if (hasDataset(orders)) {
    datasetOwner = ownerAnswered(state, dataset.dataset);
    match("30", datasets.ownerOf(state, dataset.dataset) !== undefined);
    match("31", verifyPresignatureOrSignature(env, datasetOwner, hashes.dataset, dataset.sign));
  }
  const workerpoolOwner = ownerAnswered(state, workerpool.workerpool);
  match("40", workerpools.ownerOf(state, workerpool.workerpool) !== undefined);
  match("41", verifyPresignatureOrSignature(env, workerpoolOwner, hashes.workerpool, workerpool.sign));
  match("50", verifyPresignatureOrSignature(env, request.requester, hashes.request, request.sign));
  return { app: appOwner, dataset: datasetOwner, workerpool: workerpoolOwner };
};

const hashesOf = ({ block }: Env, orders: Orders): Hashes => ({
  app: orderHash(block.chainId, APP_ORDER, orders.app),
  dataset: hasDataset(orders) ? orderHash(block.chainId, DATASET_ORDER, orders.dataset) : ZERO_HASH,
  workerpool: orderHash(block.chainId, WORKERPOOL_ORDER, orders.workerpool),
  request: orderHash(block.chainId, REQUEST_ORDER, orders.request),
});

/** The orders that a match uses up: the dataset's only where there is one. */
const present = (orders: Orders): (keyof Orders)[] =>
  hasDataset(orders) ? ["app", "dataset", "workerpool", "request"] : ["app", "workerpool", "request"];

const volumeOf = ({ state }: Env, orders: Orders, hashes: Hashes): bigint =>
  present(orders)
    .map((which) => checked(orders[which].volume - consumedOf(state, hashes[which])))
    .reduce((least, left) => (left < least ? left : least));

/** Computes how many tasks orders would make. Reverts with a panic where more than an order's volume is used up. */
export const dealVolume = (env: Env, orders: Orders): bigint => volumeOf(env, orders, hashesOf(env, orders));

/**
 * Gives what a drawn pool's order offers for a task. Whoever matches chooses the pool and, of a genesis pool, the order: so this
 * reverts where the pool could seat no committee, and where a genesis pool's order is of a trust that costs more than the request's.
 */
const drawnOffer = (env: Env, pool: Pool, price: bigint, cap: number, trust: bigint): Offered => {
  const seats = firstCommittee(trust);
  ensure(pool.length >= seats, `the pool has ${pool.length} slots, and a committee takes ${seats}`);
  const asked = (clock: number): bigint => {
    const due = pool.isGenesis ? matchedPrice(env, clock, trust) : price;
    ensure(price === due, `the pool's price for this trust is ${due}`);
    return price;
  };
  return { gasLimit: BigInt(cap), price: asked, lotSize: 1 };
};

/** Opens a deal of an owner-scheduled pool: its sponsor locks the cost, the pool's owner a part of its own price. */
const openScheduledDeal = (env: Env, dealid: Hash, deal: Deal): void => {
  setDeal(env.state, dealid, deal);
  lock(env, deal.sponsor, checked(checked(deal.appPrice + deal.datasetPrice + deal.price) * deal.botSize));
  lock(env, deal.poolOwner, checked((checked(deal.price * WORKERPOOL_STAKE_RATIO) / 100n) * deal.botSize));
  emitAt(env, HUB, HUB_EVENTS.SchedulerNotice!, deal.pool, dealid);
};

/** What a deal of an owner-scheduled pool has where the chain fixes more for drawn ones. */
const scheduledTerms = (
  { state, block }: Env,
  { workerpool, request }: Orders,
  owner: Address,
  first: bigint,
  volume: bigint,
) => {
  const { workerStakeRatio, schedulerRewardRatio } = workerpools.get(state, workerpool.workerpool)!;
  return {
    pool: workerpool.workerpool,
    poolOwner: owner,
    price: workerpool.workerpoolprice,
    trust: request.trust < 1n ? 1n : request.trust,
    category: Number(request.category),
    botFirst: first,
    botSize: volume,
    workerStake: checked(workerpool.workerpoolprice * workerStakeRatio) / 100n,
    schedulerRewardRatio,
    gasLimit: 0,
    cap: 0,
    lotSize: 0,
    timeref: 0,
    vmVersion: block.params.vmVersion,
  };
};

/**
 * Makes a deal of signed orders (spec section 10): anyone may ask, `sponsor` pays. Reverts with PoCo's codes where orders do
 * not fit, are not signed or are used up. Gives the deal's id.
 */
export const matchOrders = (env: Env, orders: Orders, sponsor: Address): Hash => {
  const { state, block } = env;
  const { app, dataset, workerpool, request } = orders;
  checkCompatibility(env, orders);
  const hashes = hashesOf(env, orders);
  const owners = checkAuthenticity(env, orders, hashes);
  const volume = volumeOf(env, orders, hashes);
  match("60", volume > 0n);

  const first = consumedOf(state, hashes.request);
  const dealid = keccak256(encodeAbi("bytes32,uint256", [hashes.request, first]));
  const pool = poolOf(state, workerpool.workerpool);
  const { requester, category, trust, params } = request;
  const ask = { pool: workerpool.workerpool, requester, category, tag: tagOf(orders), trust, params, first, volume };
  const terms = pool
    ? drawnTerms(env, ask, (cap, atTrust) => drawnOffer(env, pool, workerpool.workerpoolprice, cap, atTrust))
    : scheduledTerms(env, orders, owners.workerpool, first, volume);
  for (const which of present(orders))
    setConsumed(state, hashes[which], checked(consumedOf(state, hashes[which]) + volume));
  const open = pool ? openDrawnDeal : openScheduledDeal;
  open(env, dealid, {
    ...terms,
    app: app.app,
    appOwner: owners.app,
    appPrice: app.appprice,
    dataset: dataset.dataset,
    datasetOwner: owners.dataset,
    datasetPrice: hasDataset(orders) ? dataset.datasetprice : 0n,
    tag: word(tagOf(orders)),
    requester,
    beneficiary: request.beneficiary,
    callback: request.callback,
    params,
    startTime: block.timestamp,
    sponsor,
  });
  const { app: appHash, dataset: datasetHash, workerpool: workerpoolHash, request: requestHash } = hashes;
  emitAt(env, HUB, HUB_EVENTS.OrdersMatched!, dealid, appHash, datasetHash, workerpoolHash, requestHash, volume);
  return dealid;
};

/** Reverts unless a dataset could be used in a deal that was made without one. */
export const assertDatasetDealCompatibility = (env: Env, order: DatasetOrder, dealid: Hash): void => {
  const { state, block } = env;
  const incompatible = (reason: string) => HUB_ERRORS.IncompatibleDatasetOrder!(reason);
  const hash = orderHash(block.chainId, DATASET_ORDER, order);
  if (consumedOf(state, hash) >= order.volume) incompatible("Dataset order is revoked or fully consumed");
  if (!verifyPresignatureOrSignature(env, ownerAnswered(state, order.dataset), hash, order.sign))
    incompatible("Invalid dataset order signature");
  const found = dealOf(state, dealid);
  const deal = found && found.requester !== ZERO_ADDRESS ? found : incompatible("Deal not found");
  if (deal.dataset !== ZERO_ADDRESS) incompatible("Deal already has a dataset");
  if (!accepts(state, order.apprestrict, deal.app)) incompatible("App restriction not satisfied");
  if (!accepts(state, order.workerpoolrestrict, deal.pool)) incompatible("Workerpool restriction not satisfied");
  if (!accepts(state, order.requesterrestrict, deal.requester)) incompatible("Requester restriction not satisfied");
  const tag = withoutFramework(order.tag);
  if ((BigInt(deal.tag) & tag) !== tag) incompatible("Tag compatibility not satisfied");
};
