import { randomBytes } from "node:crypto";
import { type Address, EMPTY, fromHex, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { signCompact } from "../lib/secp256k1.ts";
import type { RpcClient } from "../rpc/client.ts";
import { HUB } from "../vm/addresses.ts";
import {
  hashOfOrder,
  isOrderName,
  type OrderJson,
  type OrderName,
  orderFromJson,
  orderToJson,
  orderValues,
  type SignedOrder,
  type SignedOrderOf,
} from "../vm/market/signed-order.ts";
import { parseParams } from "../vm/wasm/params.ts";
import { NEWEST_RULES } from "../vm/wasm/versions.ts";
import { hubFunction } from "./market-client.ts";
import { transact } from "./wallet.ts";

/** An order that stands in a node's book. */
export interface ListedOrder<N extends OrderName = OrderName> {
  readonly hash: Hash;
  readonly signer: Address;
  /** Tasks that are left of its volume. */
  readonly remaining: bigint;
  /** Unix seconds when the node got it. */
  readonly since: number;
  readonly signed: SignedOrderOf<N>;
}

/** Which orders of a book are asked for: of an entry, or such as an entry or a requester may take. */
export interface OrderQuery {
  readonly kind: OrderName;
  readonly signer?: Address;
  readonly app?: Address;
  readonly dataset?: Address;
  readonly workerpool?: Address;
  readonly requester?: Address;
  readonly category?: number;
  readonly skip?: number;
  readonly limit?: number;
}

/** Makes an order another than one of the same terms. */
export const freshSalt = (): Hash => toHex(randomBytes(32));

/** Throws WasmRefused for a request whose parameters every worker would call INVALID: such a deal is paid all the same. */
export const checkRequest = ({ kind, order }: SignedOrder): void => {
  if (kind === "request") parseParams(order.params, NEWEST_RULES);
};

/** Signs an order (EIP-712): `key` is of its entry's owner, or of the requester. */
export const signOrder = <T extends SignedOrder>(chainId: number, key: Hex, unsigned: T): T => {
  checkRequest(unsigned);
  const sign = fromHex(signCompact(hashOfOrder(chainId, unsigned), key));
  sign[64]! += 27;
  return { ...unsigned, order: { ...unsigned.order, sign } };
};

/** Gives an order to a node's book, and through it to others. Throws where the book does not take it. */
export const placeOrder = async (client: RpcClient, { kind, order }: SignedOrder): Promise<Hash> =>
  (await client.call("rolec_placeOrder", [kind, orderToJson(order)])) as Hash;

const MANAGE = {
  app: "manageAppOrder",
  dataset: "manageDatasetOrder",
  workerpool: "manageWorkerpoolOrder",
  request: "manageRequestOrder",
} as const;
const CLOSE = 1n;
/** Closes an order on the chain, for ever. `key` is of who may sign it. */
export const cancelOrder = async (client: RpcClient, key: Hex, signed: SignedOrder): Promise<Hash> => {
  const data = hubFunction(MANAGE[signed.kind]).encode([orderValues(signed), CLOSE, EMPTY]);
  return (await transact(client, key, { to: HUB, data })).transactionHash;
};

interface EntryJson {
  readonly kind: OrderName;
  readonly hash: Hash;
  readonly signer: Address;
  readonly remaining: string;
  readonly since: number;
  readonly order: OrderJson;
}
const toListed = ({ kind, order, remaining, ...entry }: EntryJson): ListedOrder => ({
  ...entry,
  remaining: BigInt(remaining),
  signed: orderFromJson(kind, order),
});

/** Lists orders of a node's book: the lowest price first, of requests the highest. */
export const listOrders = async <N extends OrderName>(
  client: RpcClient,
  query: OrderQuery & { readonly kind: N },
): Promise<ListedOrder<N>[]> => {
  const entries = (await client.call("rolec_orders", [query])) as EntryJson[];
  return entries.map(toListed) as unknown as ListedOrder<N>[];
};

/** Orders of one answer, and of the largest book. */
const PAGE = 100;
const MOST = 4_096;
/** Lists all orders of a query, page by page. */
export const listAllOrders = async <N extends OrderName>(
  client: RpcClient,
  query: OrderQuery & { readonly kind: N },
): Promise<ListedOrder<N>[]> => {
  const found: ListedOrder<N>[] = [];
  for (let skip = 0; skip < MOST; skip += PAGE) {
    const page = await listOrders(client, { ...query, skip, limit: PAGE });
    found.push(...page);
    if (page.length < PAGE) break;
  }
  return found;
};

/** Finds an order of a node's book; undefined where it does not stand there. */
export const findOrder = async (client: RpcClient, hash: Hash): Promise<ListedOrder | undefined> => {
  const entry = (await client.call("rolec_order", [hash])) as EntryJson | null;
  return entry ? toListed(entry) : undefined;
};

/** The document orders.json of iExec's tools: by chain id, by kind of order ("apporder"). */
export type OrdersFile = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Reads the orders of a chain from such a document. Throws a TypeError that names what is wrong. */
export const ordersOfFile = (file: OrdersFile, chainId: number): SignedOrder[] =>
  Object.entries(file[chainId] ?? {}).map(([name, order]) => {
    const kind = name.replace(/order$/, "");
    if (!isOrderName(kind)) throw new TypeError(`"${name}" is no kind of order`);
    return orderFromJson(kind, order);
  });

/** Puts an order into such a document, beside what stands there. */
export const withOrder = (file: OrdersFile, chainId: number, { kind, order }: SignedOrder): OrdersFile => ({
  ...file,
  [chainId]: { ...file[chainId], [`${kind}order`]: orderToJson(order) },
});
