import { hashTypedData } from "viem";
import { type Address, concat, fromHex, type Hash, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { sign } from "../../lib/secp256k1.ts";
import { HUB } from "../../vm/addresses.ts";
import { GENESIS } from "./setting.ts";

export interface AppOrder {
  app: Address;
  appprice: bigint;
  volume: bigint;
  tag: Hash;
  datasetrestrict: Address;
  workerpoolrestrict: Address;
  requesterrestrict: Address;
  salt: Hash;
  sign: Hex;
}
export interface DatasetOrder {
  dataset: Address;
  datasetprice: bigint;
  volume: bigint;
  tag: Hash;
  apprestrict: Address;
  workerpoolrestrict: Address;
  requesterrestrict: Address;
  salt: Hash;
  sign: Hex;
}
export interface WorkerpoolOrder {
  workerpool: Address;
  workerpoolprice: bigint;
  volume: bigint;
  tag: Hash;
  category: bigint;
  trust: bigint;
  apprestrict: Address;
  datasetrestrict: Address;
  requesterrestrict: Address;
  salt: Hash;
  sign: Hex;
}
export interface RequestOrder {
  app: Address;
  appmaxprice: bigint;
  dataset: Address;
  datasetmaxprice: bigint;
  workerpool: Address;
  workerpoolmaxprice: bigint;
  requester: Address;
  volume: bigint;
  tag: Hash;
  category: bigint;
  trust: bigint;
  beneficiary: Address;
  callback: Address;
  params: string;
  salt: Hash;
  sign: Hex;
}
/** The four orders of a match. */
export interface Quadruple {
  app: AppOrder;
  dataset: DatasetOrder;
  workerpool: WorkerpoolOrder;
  request: RequestOrder;
}
export type Kind = keyof Quadruple;
export type Order = Quadruple[Kind];
export const KINDS: readonly Kind[] = ["app", "dataset", "workerpool", "request"];

const field = (type: string) => (name: string) => ({ name, type });
const [address, uint, bytes32] = [field("address"), field("uint256"), field("bytes32")];
const restricts = (...names: string[]) => names.map((name) => address(`${name}restrict`));
/** EIP-712 types of PoCo's orders. */
const TYPES = {
  AppOrder: [
    ...[address("app"), uint("appprice"), uint("volume"), bytes32("tag")],
    ...[...restricts("dataset", "workerpool", "requester"), bytes32("salt")],
  ],
  DatasetOrder: [
    ...[address("dataset"), uint("datasetprice"), uint("volume"), bytes32("tag")],
    ...[...restricts("app", "workerpool", "requester"), bytes32("salt")],
  ],
  WorkerpoolOrder: [
    ...[
      address("workerpool"),
      uint("workerpoolprice"),
      uint("volume"),
      bytes32("tag"),
      uint("category"),
      uint("trust"),
    ],
    ...[...restricts("app", "dataset", "requester"), bytes32("salt")],
  ],
  RequestOrder: [
    ...[address("app"), uint("appmaxprice"), address("dataset"), uint("datasetmaxprice")],
    ...[address("workerpool"), uint("workerpoolmaxprice"), address("requester"), uint("volume"), bytes32("tag")],
    ...[uint("category"), uint("trust"), address("beneficiary"), address("callback"), field("string")("params")],
    bytes32("salt"),
  ],
};
const TYPE_OF = {
  app: "AppOrder",
  dataset: "DatasetOrder",
  workerpool: "WorkerpoolOrder",
  request: "RequestOrder",
} as const;

const domain = { name: "iExecODB", version: "5.0.0", chainId: GENESIS.chainId, verifyingContract: HUB } as const;

/** Computes the EIP-712 hash of an order, which is what is signed, consumed and presigned. */
export const orderHash = (kind: Kind, order: Order, chainId: number = GENESIS.chainId): Hash =>
  hashTypedData({ domain: { ...domain, chainId }, types: TYPES, primaryType: TYPE_OF[kind], message: order } as never);

/** Computes the EIP-712 hash of an operation on an order: 0 signs it, 1 closes it. */
export const operationHash = (kind: Kind, order: Order, operation: number): Hash => {
  const primaryType = `${TYPE_OF[kind]}Operation`;
  const types = { ...TYPES, [primaryType]: [field(TYPE_OF[kind])("order"), uint("operation")] };
  return hashTypedData({ domain, types, primaryType, message: { order, operation: BigInt(operation) } } as never);
};

const ORDER_OF_CURVE = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const bytes = (value: bigint): Uint8Array => fromHex(`0x${value.toString(16).padStart(64, "0")}`);
/** Ways to sign, the valid first: 65 bytes, 64 bytes (EIP-2098), then what must be refused. */
export const SIGNATURE_FORMS = ["plain", "compact", "high-s", "v01", "zeros", "short", "empty", "wrong-key"] as const;
export type SignatureForm = (typeof SIGNATURE_FORMS)[number];

/** Signs a hash in one of the forms. */
export const signAs = (hash: Hash, key: Hash, wrongKey: Hash, form: SignatureForm): Hex => {
  if (form === "empty") return "0x";
  if (form === "zeros") return toHex(new Uint8Array(65));
  const { r, s, yParity } = sign(hash, form === "wrong-key" ? wrongKey : key);
  if (form === "compact") return toHex(concat(bytes(r), bytes(s | (BigInt(yParity) << 255n))));
  if (form === "high-s") return toHex(concat(bytes(r), bytes(ORDER_OF_CURVE - s), Uint8Array.of(28 - yParity)));
  if (form === "v01") return toHex(concat(bytes(r), bytes(s), Uint8Array.of(yParity)));
  if (form === "short") return toHex(concat(bytes(r), bytes(s)).subarray(1));
  return toHex(concat(bytes(r), bytes(s), Uint8Array.of(27 + yParity)));
};

/** Orders that fit each other, with nothing restricted; `unset` prices are 0. */
export const fittingOrders = (
  base: { app: Address; dataset: Address; workerpool: Address; requester: Address },
  salt: Hash,
): Quadruple => ({
  app: {
    app: base.app,
    appprice: 0n,
    volume: 1n,
    tag: ZERO_HASH,
    datasetrestrict: ZERO_ADDRESS,
    workerpoolrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt,
    sign: "0x",
  },
  dataset: {
    dataset: base.dataset,
    datasetprice: 0n,
    volume: 1n,
    tag: ZERO_HASH,
    apprestrict: ZERO_ADDRESS,
    workerpoolrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt,
    sign: "0x",
  },
  workerpool: {
    workerpool: base.workerpool,
    workerpoolprice: 0n,
    volume: 1n,
    tag: ZERO_HASH,
    category: 0n,
    trust: 1n,
    apprestrict: ZERO_ADDRESS,
    datasetrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt,
    sign: "0x",
  },
  request: {
    app: base.app,
    appmaxprice: 0n,
    dataset: base.dataset,
    datasetmaxprice: 0n,
    workerpool: ZERO_ADDRESS,
    workerpoolmaxprice: 0n,
    requester: base.requester,
    volume: 1n,
    tag: ZERO_HASH,
    category: 0n,
    trust: 1n,
    beneficiary: base.requester,
    callback: ZERO_ADDRESS,
    params: "{}",
    salt,
    sign: "0x",
  },
});
