import { type Address, EMPTY, type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { REVERTED } from "../rpc/errors.ts";
import type { AbiValue } from "../vm/abi.ts";
import { HUB_EVENTS } from "../vm/market/abi.ts";
import type { AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder } from "../vm/market/order.ts";
import { orderValues } from "../vm/market/signed-order.ts";
import { HUB } from "../vm/tables.ts";
import { publicPool, publicPoolOrder } from "./iexec-files.ts";
import { hubFunction } from "./market-client.ts";
import { freshSalt, type ListedOrder, listOrders } from "./orders.ts";
import { transact } from "./wallet.ts";

/** Requests that a round looks at, offers that it looks at for each, and sets of orders that it tries for each. */
const REQUESTS = 100;
const OFFERS = 20;
const TRIES = 8;
/** A set of orders that the chain refused is not tried again for so long. */
const RETRY_MS = 60_000;
const MAX_REFUSED = 4_096;
/** Bits of a dataset's tag that ask nothing of the rest (PoCo 6). */
const FRAMEWORK_BITS = 0b1110n;

/** A deal that the matcher made. */
export interface Filled {
  readonly dealid: Hash;
  readonly request: Hash;
  readonly volume: bigint;
  /** nRLC of a task: app, dataset and pool together. */
  readonly priceNrlc: bigint;
  readonly workerpool: Address;
}

interface Orders {
  readonly app: AppOrder;
  readonly dataset: DatasetOrder;
  readonly workerpool: WorkerpoolOrder;
  readonly request: RequestOrder;
}

/** Stands where a deal uses no dataset. */
const NO_DATASET: DatasetOrder = {
  dataset: ZERO_ADDRESS,
  datasetprice: 0n,
  volume: 0n,
  tag: ZERO_HASH,
  apprestrict: ZERO_ADDRESS,
  workerpoolrestrict: ZERO_ADDRESS,
  requesterrestrict: ZERO_ADDRESS,
  salt: ZERO_HASH,
  sign: EMPTY,
};

const priceOf = ({ app, dataset, workerpool }: Orders): bigint =>
  app.appprice + dataset.datasetprice + workerpool.workerpoolprice;

/** Tells what is plain without the state, so that the chain is asked of orders alone that may cross. */
const mayCross = ({ app, dataset, workerpool, request }: Orders): boolean => {
  const tag = BigInt(app.tag) | (BigInt(dataset.tag) & ~FRAMEWORK_BITS) | BigInt(request.tag);
  return (
    request.category === workerpool.category &&
    request.trust <= workerpool.trust &&
    request.appmaxprice >= app.appprice &&
    request.datasetmaxprice >= dataset.datasetprice &&
    request.workerpoolmaxprice >= workerpool.workerpoolprice &&
    (tag & ~BigInt(workerpool.tag)) === 0n
  );
};

const calldata = ({ app, dataset, workerpool, request }: Orders): Uint8Array =>
  hubFunction("matchOrders").encode(
    orderValues({ kind: "app", order: app }),
    orderValues({ kind: "dataset", order: dataset }),
    orderValues({ kind: "workerpool", order: workerpool }),
    orderValues({ kind: "request", order: request }),
  );

export interface Matcher {
  /** Fills what crosses in a node's book now: requests that pay most first, each by the cheapest offers. */
  round(): Promise<Filled[]>;
}

/** Makes a matcher over a node's book. Anybody may match: the account of `key` pays gas alone, requesters the deals. */
export const createMatcher = (client: RpcClient, key: `0x${string}`, now: () => number = Date.now): Matcher => {
  const from = addressOf(key);
  const refused = new Map<string, number>();

  /** The public pool's order for a request, where the request lets that pool and its price pass. */
  const standingOrder = async (request: RequestOrder, volume: bigint): Promise<WorkerpoolOrder | undefined> => {
    const pool = await publicPool(client);
    if (request.tag !== ZERO_HASH || (request.workerpool !== ZERO_ADDRESS && request.workerpool !== pool))
      return undefined;
    const { category, trust } = request;
    try {
      return await publicPoolOrder(client, { category, trust, volume, salt: freshSalt() });
    } catch {
      return undefined; // beyond what that pool offers
    }
  };
  const candidatesOf = async ({ signed: { order: request }, remaining }: ListedOrder<"request">): Promise<Orders[]> => {
    const own = { limit: OFFERS };
    const category = Number(request.category);
    const [apps, datasets, pools, standing] = await Promise.all([
      listOrders(client, { ...own, kind: "app", app: request.app }),
      request.dataset === ZERO_ADDRESS ? [] : listOrders(client, { ...own, kind: "dataset", dataset: request.dataset }),
      listOrders(client, { ...own, kind: "workerpool", category }),
      standingOrder(request, remaining),
    ]);
    const datasetOrders = request.dataset === ZERO_ADDRESS ? [NO_DATASET] : datasets.map(({ signed }) => signed.order);
    const poolOrders = [...pools.map(({ signed }) => signed.order), ...(standing ? [standing] : [])];
    return apps
      .flatMap(({ signed: { order: app } }) =>
        datasetOrders.flatMap((dataset) => poolOrders.map((workerpool) => ({ app, dataset, workerpool, request }))),
      )
      .filter(mayCross)
      .sort((a, b) => Number(priceOf(a) - priceOf(b)));
  };
  const nameOf = ({ app, dataset, workerpool, request }: Orders): string =>
    [app, dataset, workerpool, request].map(({ salt }) => salt).join();

  /** Makes a deal of orders; undefined where the chain does not let them pass. */
  const fill = async (orders: Orders, request: Hash): Promise<Filled | undefined> => {
    const name = nameOf(orders);
    if ((refused.get(name) ?? 0) > now()) return undefined;
    const data = calldata(orders);
    let gas: number;
    try {
      gas = Number(await client.call("eth_estimateGas", [{ from, to: HUB, data: toHex(data) }]));
    } catch (error) {
      if (!(error instanceof RpcCallError) || error.code !== REVERTED) throw error;
      if (refused.size >= MAX_REFUSED) refused.clear();
      refused.set(name, now() + RETRY_MS);
      return undefined;
    }
    const { logs } = await transact(client, key, { to: HUB, data, gas });
    const event = HUB_EVENTS.OrdersMatched!;
    const log = logs.find(({ topics }) => topics[0] === event.topic)!;
    const values = event.decode({ topics: log.topics, data: Uint8Array.from(Buffer.from(log.data.slice(2), "hex")) });
    const [dealid, volume] = [values[0] as Hash, values[5] as AbiValue as bigint];
    return { dealid, request, volume, priceNrlc: priceOf(orders), workerpool: orders.workerpool.workerpool };
  };

  return {
    round: async () => {
      const filled: Filled[] = [];
      for (const listed of await listOrders(client, { kind: "request", limit: REQUESTS })) {
        let { remaining } = listed;
        for (const orders of (await candidatesOf(listed)).slice(0, TRIES)) {
          if (remaining <= 0n) break;
          const deal = await fill(orders, listed.hash);
          if (!deal) continue;
          filled.push(deal);
          remaining -= deal.volume;
        }
      }
      return filled;
    },
  };
};
