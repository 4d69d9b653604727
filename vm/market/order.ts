import { type Address, concat, fromHex, type Hash, utf8 } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { type AbiValue, encodeAbi } from "../abi.ts";
import { HUB } from "../addresses.ts";

/** What an app's owner offers. Prices in nRLC for each task; `sign` is not part of the hash. */
export interface AppOrder {
  readonly app: Address;
  readonly appprice: bigint;
  readonly volume: bigint;
  readonly tag: Hash;
  readonly datasetrestrict: Address;
  readonly workerpoolrestrict: Address;
  readonly requesterrestrict: Address;
  readonly salt: Hash;
  readonly sign: Uint8Array;
}
export interface DatasetOrder {
  readonly dataset: Address;
  readonly datasetprice: bigint;
  readonly volume: bigint;
  readonly tag: Hash;
  readonly apprestrict: Address;
  readonly workerpoolrestrict: Address;
  readonly requesterrestrict: Address;
  readonly salt: Hash;
  readonly sign: Uint8Array;
}
export interface WorkerpoolOrder {
  readonly workerpool: Address;
  readonly workerpoolprice: bigint;
  readonly volume: bigint;
  readonly tag: Hash;
  readonly category: bigint;
  readonly trust: bigint;
  readonly apprestrict: Address;
  readonly datasetrestrict: Address;
  readonly requesterrestrict: Address;
  readonly salt: Hash;
  readonly sign: Uint8Array;
}
export interface RequestOrder {
  readonly app: Address;
  readonly appmaxprice: bigint;
  readonly dataset: Address;
  readonly datasetmaxprice: bigint;
  /** A restriction of the pool. */
  readonly workerpool: Address;
  readonly workerpoolmaxprice: bigint;
  readonly requester: Address;
  readonly volume: bigint;
  readonly tag: Hash;
  readonly category: bigint;
  readonly trust: bigint;
  readonly beneficiary: Address;
  readonly callback: Address;
  readonly params: string;
  readonly salt: Hash;
  readonly sign: Uint8Array;
}

export type FieldType = "address" | "uint256" | "bytes32" | "string";

/** One kind of order: its ABI and its EIP-712 type, both from one list of fields. */
export interface OrderKind<T> {
  readonly name: string;
  /** The signed fields in order. */
  readonly fields: readonly (readonly [name: string, type: FieldType])[];
  /** ABI type of the signed fields alone, without names. */
  readonly signedTypes: string;
  /** ABI type of an order. */
  readonly tuple: string;
  /** ABI type of an order with what is to be done with it. */
  readonly operationTuple: string;
  readonly typeHash: Hash;
  readonly operationTypeHash: Hash;
  /** Reads the values of the ABI tuple. */
  read(values: AbiValue): T;
  /** Gives the values of the ABI tuple. */
  values(order: T): AbiValue[];
  /** EIP-712 hashStruct of an order. */
  structHash(order: T): Hash;
  /** EIP-712 hashStruct of an order with an operation. */
  operationHash(order: T, operation: bigint): Hash;
}

const orderKind = <T extends { readonly sign: Uint8Array }>(
  name: string,
  fields: Readonly<Record<Exclude<keyof T & string, "sign">, FieldType>>,
): OrderKind<T> => {
  const entries = Object.entries(fields) as [keyof T & string, FieldType][];
  const named = entries.map(([field, type]) => `${type} ${field}`);
  const typeString = `${name}(${named.join(",")})`;
  const typeHash = keccak256(utf8(typeString));
  const operationTypeHash = keccak256(utf8(`${name}Operation(${name} order,uint256 operation)${typeString}`));
  // EIP-712 hashes text to a word.
  const words = ["bytes32", ...entries.map(([, type]) => (type === "string" ? "bytes32" : type))].join(",");
  const tuple = `(${named.join(", ")}, bytes sign)`;
  const structHash = (order: T): Hash => {
    const values = entries.map(([field, type]) => {
      const value = order[field] as AbiValue;
      return type === "string" ? keccak256(utf8(value as string)) : value;
    });
    return keccak256(encodeAbi(words, [typeHash, ...values]));
  };
  return {
    name,
    fields: entries,
    signedTypes: entries.map(([, type]) => type).join(","),
    tuple,
    operationTuple: `(${tuple} order, uint8 operation, bytes sign)`,
    typeHash,
    operationTypeHash,
    read: (values) => {
      const list = values as readonly AbiValue[];
      const order: Record<string, AbiValue> = { sign: list[entries.length]! };
      for (const [i, [field]] of entries.entries()) order[field] = list[i]!;
      return order as unknown as T;
    },
    values: (order) => [...entries.map(([field]) => order[field] as AbiValue), order.sign],
    structHash,
    operationHash: (order, operation) =>
      keccak256(encodeAbi("bytes32,bytes32,uint256", [operationTypeHash, structHash(order), operation])),
  };
};

export const APP_ORDER = orderKind<AppOrder>("AppOrder", {
  app: "address",
  appprice: "uint256",
  volume: "uint256",
  tag: "bytes32",
  datasetrestrict: "address",
  workerpoolrestrict: "address",
  requesterrestrict: "address",
  salt: "bytes32",
});
export const DATASET_ORDER = orderKind<DatasetOrder>("DatasetOrder", {
  dataset: "address",
  datasetprice: "uint256",
  volume: "uint256",
  tag: "bytes32",
  apprestrict: "address",
  workerpoolrestrict: "address",
  requesterrestrict: "address",
  salt: "bytes32",
});
export const WORKERPOOL_ORDER = orderKind<WorkerpoolOrder>("WorkerpoolOrder", {
  workerpool: "address",
  workerpoolprice: "uint256",
  volume: "uint256",
  tag: "bytes32",
  category: "uint256",
  trust: "uint256",
  apprestrict: "address",
  datasetrestrict: "address",
  requesterrestrict: "address",
  salt: "bytes32",
});
export const REQUEST_ORDER = orderKind<RequestOrder>("RequestOrder", {
  app: "address",
  appmaxprice: "uint256",
  dataset: "address",
  datasetmaxprice: "uint256",
  workerpool: "address",
  workerpoolmaxprice: "uint256",
  requester: "address",
  volume: "uint256",
  tag: "bytes32",
  category: "uint256",
  trust: "uint256",
  beneficiary: "address",
  callback: "address",
  params: "string",
  salt: "bytes32",
});

/** The name and the version of the domain that orders are signed in. */
export const DOMAIN_NAME = "iExecODB";
export const DOMAIN_VERSION = "5.0.0";
const DOMAIN_TYPE_HASH = keccak256(
  utf8("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
);

/** Computes the EIP-712 domain separator of the hub. */
export const domainSeparator = (chainId: number): Hash =>
  keccak256(
    encodeAbi("bytes32,bytes32,bytes32,uint256,address", [
      DOMAIN_TYPE_HASH,
      keccak256(utf8(DOMAIN_NAME)),
      keccak256(utf8(DOMAIN_VERSION)),
      BigInt(chainId),
      HUB,
    ]),
  );

const TYPED_DATA = Uint8Array.of(0x19, 0x01);
/** Computes what is signed: the EIP-712 hash of a struct in the hub's domain. */
export const typedDataHash = (chainId: number, structHash: Hash): Hash =>
  keccak256(concat(TYPED_DATA, fromHex(domainSeparator(chainId)), fromHex(structHash)));

/** Computes the hash of an order, by which it is signed, consumed and closed. */
export const orderHash = <T>(chainId: number, kind: OrderKind<T>, order: T): Hash =>
  typedDataHash(chainId, kind.structHash(order));
