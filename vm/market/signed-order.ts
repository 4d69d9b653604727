import type { State } from "../../chain/state.ts";
import { type Address, equalBytes, fromHex, type Hash, type Hex, isHex, toHex } from "../../lib/bytes.ts";
import { type AbiValue, decodeAbi, encodeAbi } from "../abi.ts";
import {
  APP_ORDER,
  type AppOrder,
  DATASET_ORDER,
  type DatasetOrder,
  type FieldType,
  type OrderKind,
  orderHash,
  REQUEST_ORDER,
  type RequestOrder,
  WORKERPOOL_ORDER,
  type WorkerpoolOrder,
} from "./order.ts";
import { presignedBy } from "./order-state.ts";
import { apps, datasets, workerpools } from "./registry.ts";
import { recoverSigner } from "./signature.ts";

interface Orders {
  readonly app: AppOrder;
  readonly dataset: DatasetOrder;
  readonly workerpool: WorkerpoolOrder;
  readonly request: RequestOrder;
}
export type OrderName = keyof Orders;
type AnyOrder = Orders[OrderName];

/** An order of any kind with its signature. */
export type SignedOrder = { [N in OrderName]: { readonly kind: N; readonly order: Orders[N] } }[OrderName];
export type SignedOrderOf<N extends OrderName> = SignedOrder & { readonly kind: N };

const KINDS = { app: APP_ORDER, dataset: DATASET_ORDER, workerpool: WORKERPOOL_ORDER, request: REQUEST_ORDER };
export const ORDER_NAMES = Object.keys(KINDS) as OrderName[];
export const isOrderName = (value: unknown): value is OrderName => (ORDER_NAMES as unknown[]).includes(value);
// What follows treats all kinds alike, by their lists of fields.
const kindOf = (name: OrderName): OrderKind<AnyOrder> => KINDS[name] as unknown as OrderKind<AnyOrder>;
const signedOrder = (kind: OrderName, order: AnyOrder): SignedOrder => ({ kind, order }) as SignedOrder;

/** Makes an order of the values of its ABI tuple. */
export const orderOf = (kind: OrderName, values: AbiValue): SignedOrder => signedOrder(kind, kindOf(kind).read(values));

/** Gives the values of an order's ABI tuple. */
export const orderValues = ({ kind, order }: SignedOrder): AbiValue[] => kindOf(kind).values(order);

/** Computes the hash of an order, by which it is signed, consumed and closed. */
export const hashOfOrder = (chainId: number, { kind, order }: SignedOrder): Hash =>
  orderHash(chainId, kindOf(kind), order);

/** Gives who may sign an order: the owner of its entry as of a state, or the requester; undefined where nobody is. */
export const signerOfOrder = (state: State, { kind, order }: SignedOrder): Address | undefined => {
  switch (kind) {
    case "app":
      return apps.ownerOf(state, order.app);
    case "dataset":
      return datasets.ownerOf(state, order.dataset);
    case "workerpool":
      return workerpools.ownerOf(state, order.workerpool);
    case "request":
      return order.requester;
  }
};

/** Tells whether an account without code has signed an order, on chain or off it. */
export const isSignedBy = (state: State, signer: Address, hash: Hash, sign: Uint8Array): boolean =>
  presignedBy(state, hash) === signer ||
  ((sign.length === 64 || sign.length === 65) && recoverSigner(hash, sign) === signer);

/** Encodes an order for the wire and the disk: a byte of its kind, then its ABI tuple. */
export const encodeOrder = ({ kind, order }: SignedOrder): Uint8Array => {
  const { tuple, values } = kindOf(kind);
  const abi = encodeAbi(tuple, [values(order)]);
  const bytes = new Uint8Array(1 + abi.length);
  bytes[0] = ORDER_NAMES.indexOf(kind);
  bytes.set(abi, 1);
  return bytes;
};
/** Reads what `encodeOrder` made, and nothing else. Throws a TypeError. */
export const decodeOrder = (bytes: Uint8Array): SignedOrder => {
  const name = ORDER_NAMES[bytes[0] ?? ORDER_NAMES.length];
  if (name === undefined) throw new TypeError(`${bytes[0]} is no kind of order`);
  const { tuple, read } = kindOf(name);
  const [values] = decodeAbi(tuple, bytes.subarray(1));
  const signed = signedOrder(name, read(values!));
  if (!equalBytes(encodeOrder(signed), bytes)) throw new TypeError("an order is written in one way only");
  return signed;
};

/** An order as iExec's tools write it: amounts as decimal text, everything else as hex. */
export type OrderJson = Readonly<Record<string, string>>;

/** Writes an order as iExec's tools do. */
export const orderToJson = (order: AnyOrder): OrderJson =>
  Object.fromEntries(
    Object.entries(order).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : String(value)]),
  );

const MAX_TEXT = 65_536;
const MAX_SIGN_BYTES = 1_024;
const HEX_BYTES = /^0x(?:[0-9a-f]{2})*$/;
const UINT256 = /^(?:\d{1,78}|0x[0-9a-fA-F]{1,64})$/;
const readField = (name: string, type: FieldType, value: unknown): AbiValue => {
  const fail = (expected: string): never => {
    throw new TypeError(`"${name}" of the order must be ${expected}`);
  };
  const hex = (size: number, expected: string): Hex => {
    const lower = typeof value === "string" ? value.toLowerCase() : undefined;
    return isHex(lower, size) ? lower : fail(expected);
  };
  switch (type) {
    case "address":
      return hex(20, "an address");
    case "bytes32":
      return hex(32, "32 bytes of hex");
    case "string":
      return typeof value === "string" && value.length <= MAX_TEXT ? value : fail(`text of at most ${MAX_TEXT}`);
    case "uint256": {
      const isNumber = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
      const number = isNumber || (typeof value === "string" && UINT256.test(value)) ? BigInt(value) : -1n;
      return number >= 0n && number >> 256n === 0n ? number : fail("an amount, as decimal text");
    }
  }
};

/**
 * Reads an order as iExec's tools write it; what is no field of its kind is refused, and a missing `sign` is an empty one. Throws a
 * TypeError that names the field.
 */
export const orderFromJson = (kind: OrderName, json: unknown): SignedOrder => {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw new TypeError("an order is an object");
  const given = json as Readonly<Record<string, unknown>>;
  const { fields, read } = kindOf(kind);
  const names = new Set(["sign", ...fields.map(([name]) => name)]);
  const unknown = Object.keys(given).find((name) => !names.has(name));
  if (unknown !== undefined) throw new TypeError(`"${unknown}" is no field of the ${kind} order`);
  const sign = typeof given.sign === "string" ? given.sign.toLowerCase() : (given.sign ?? "0x");
  if (typeof sign !== "string" || sign.length > 2 + 2 * MAX_SIGN_BYTES || !HEX_BYTES.test(sign))
    throw new TypeError('"sign" of the order must be hex bytes');
  return signedOrder(
    kind,
    read([...fields.map(([name, type]) => readField(name, type, given[name])), fromHex(sign as Hex)]),
  );
};

/** What to list of a book: orders of a kind whose fields are these, and whose restrictions let these pass. */
export interface OrderQuery {
  readonly kind: OrderName;
  readonly signer?: Address | undefined;
  readonly app?: Address | undefined;
  readonly dataset?: Address | undefined;
  readonly workerpool?: Address | undefined;
  readonly requester?: Address | undefined;
  readonly category?: bigint | undefined;
  readonly skip: number;
  readonly limit: number;
}
