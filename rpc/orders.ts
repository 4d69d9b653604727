import type { Address, Hash } from "../lib/bytes.ts";
import {
  isOrderName,
  ORDER_NAMES,
  type OrderName,
  type OrderQuery,
  orderFromJson,
  orderToJson,
  type SignedOrder,
} from "../vm/market/signed-order.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams } from "./errors.ts";
import { address, count, hash, object, optional, type Parser } from "./values.ts";

/** An order that stands, as the RPC shows it. */
export type StandingOrder = SignedOrder & {
  readonly hash: Hash;
  readonly signer: Address;
  readonly remaining: bigint;
  readonly since: number;
};

/** What the RPC needs of the book of orders. */
export interface OrdersPort {
  add(order: SignedOrder): Promise<StandingOrder>;
  get(hash: Hash): StandingOrder | undefined;
  list(query: OrderQuery): readonly StandingOrder[];
}

const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 20;

const orderName: Parser<OrderName> = (value, name) =>
  isOrderName(value) ? value : invalidParams(`invalid ${name}: expected one of ${ORDER_NAMES.join(", ")}`);
const maybeAddress = optional(address, undefined);

const FIELDS = ["kind", "signer", "app", "dataset", "workerpool", "requester", "category", "skip", "limit"];
const query: Parser<OrderQuery> = (value, name) => {
  const given = object(value, name);
  const unknown = Object.keys(given).find((field) => !FIELDS.includes(field));
  if (unknown !== undefined) invalidParams(`invalid ${name}: unknown field ${unknown}`);
  const category = optional(count, undefined)(given.category, "category");
  const limit = optional(count, DEFAULT_LIMIT)(given.limit, "limit");
  if (limit < 1 || limit > MAX_LIMIT) invalidParams(`invalid limit: expected 1 to ${MAX_LIMIT}`);
  return {
    kind: orderName(given.kind, "kind"),
    signer: maybeAddress(given.signer, "signer"),
    app: maybeAddress(given.app, "app"),
    dataset: maybeAddress(given.dataset, "dataset"),
    workerpool: maybeAddress(given.workerpool, "workerpool"),
    requester: maybeAddress(given.requester, "requester"),
    category: category === undefined ? undefined : BigInt(category),
    skip: optional(count, 0)(given.skip, "skip"),
    limit,
  };
};

const readOrder = (kind: OrderName, json: Record<string, unknown>): SignedOrder => {
  try {
    return orderFromJson(kind, json);
  } catch (error) {
    return invalidParams((error as Error).message);
  }
};
const entryJson = ({ kind, order, hash: id, signer, remaining, since }: StandingOrder) => ({
  kind,
  hash: id,
  signer,
  remaining: remaining.toString(),
  since: Math.floor(since / 1000),
  order: orderToJson(order),
});

/** The book of signed orders: best price first, each checked against the head when it is given. */
export const orderMethods = (orders: OrdersPort): Methods => ({
  rolec_placeOrder: method([orderName, object], async ([kind, json]) => (await orders.add(readOrder(kind, json))).hash),
  rolec_order: method([hash], ([id]) => {
    const found = orders.get(id);
    return found ? entryJson(found) : null;
  }),
  rolec_orders: method([query], ([asked]) => orders.list(asked).map(entryJson)),
});
