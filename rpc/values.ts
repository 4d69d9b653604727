import { type Address, EMPTY, fromHex, type Hash, type Hex, word } from "../lib/bytes.ts";
import { invalidParams } from "./errors.ts";

/** Reads one parameter. Throws RpcError -32602. */
export type Parser<T> = (value: unknown, name: string) => T;

const MAX_DATA = 256 * 1024;
const MAX_LIST = 1_000;
const QUANTITY = /^0x(?:0|[1-9a-fA-F][0-9a-fA-F]*)$/;
const DATA = /^0x(?:[0-9a-fA-F]{2})*$/;

const fail = (name: string, expected: string): never => invalidParams(`invalid ${name}: expected ${expected}`);

/** A QUANTITY: hex without leading zeros, at most 256 bits. */
const quantity: Parser<bigint> = (value, name) =>
  typeof value === "string" && value.length <= 66 && QUANTITY.test(value)
    ? BigInt(value)
    : fail(name, "a hex number without leading zeros");

/** A QUANTITY that is a safe integer. */
export const smallQuantity: Parser<number> = (value, name) => {
  const big = quantity(value, name);
  return big <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(big) : fail(name, "a number below 2^53");
};

/** A count: a QUANTITY or a JSON number (as MetaMask sends to eth_feeHistory). */
export const count: Parser<number> = (value, name) =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : smallQuantity(value, name);

/** DATA of at most 256 KiB. */
export const data: Parser<Uint8Array> = (value, name) =>
  typeof value === "string" && value.length <= 2 + 2 * MAX_DATA && DATA.test(value)
    ? fromHex(value)
    : fail(name, "hex bytes with 0x");

const fixed =
  (size: number, what: string): Parser<Hex> =>
  (value, name) =>
    typeof value === "string" && value.length === 2 + 2 * size && DATA.test(value)
      ? (value.toLowerCase() as Hex)
      : fail(name, what);

export const address: Parser<Address> = fixed(20, "an address of 20 bytes");
export const hash: Parser<Hash> = fixed(32, "a hash of 32 bytes");
export const text: Parser<string> = (value, name) =>
  typeof value === "string" && value.length <= 1_024 ? value : fail(name, "text");
export const boolean: Parser<boolean> = (value, name) =>
  typeof value === "boolean" ? value : fail(name, "true or false");

/** A storage slot: 32 bytes, or a QUANTITY that older tools send. */
export const slot: Parser<Hash> = (value, name) =>
  typeof value === "string" && value.length === 66 ? hash(value, name) : word(quantity(value, name));

/** A parameter that may be left out or null. */
export const optional =
  <T, D>(parser: Parser<T>, fallback: D): Parser<T | D> =>
  (value, name) =>
    value === undefined || value === null ? fallback : parser(value, name);

/** A list of at most 1,000 values. */
export const listOf =
  <T>(parser: Parser<T>, max = MAX_LIST): Parser<T[]> =>
  (value, name) =>
    Array.isArray(value) && value.length <= max
      ? value.map((item) => parser(item, name))
      : fail(name, `a list of at most ${max}`);

/** A JSON object. */
export const object: Parser<Record<string, unknown>> = (value, name) =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : fail(name, "an object");

export type BlockTag = "latest" | "pending" | "safe" | "finalized" | "earliest";
const TAGS: readonly string[] = ["latest", "pending", "safe", "finalized", "earliest"];

/** A block: a tag, a number, or a hash that must be canonical where the caller says so (EIP-1898). */
export type BlockId =
  | { readonly tag: BlockTag }
  | { readonly number: number }
  | { readonly hash: Hash; readonly requireCanonical: boolean };

export const LATEST: BlockId = { tag: "latest" };

/** A tag or a number. */
export const blockNumber: Parser<BlockId> = (value, name) => {
  if (typeof value === "string" && TAGS.includes(value)) return { tag: value as BlockTag };
  return { number: smallQuantity(value, name) };
};

/** A tag, a number, a hash, or EIP-1898's object. */
export const blockId: Parser<BlockId> = (value, name) => {
  if (typeof value === "string" && value.length === 66) return { hash: hash(value, name), requireCanonical: false };
  if (typeof value !== "object") return blockNumber(value, name);
  const given = object(value, name);
  if (given.blockHash !== undefined && given.blockNumber !== undefined)
    return fail(name, "blockHash or blockNumber, not both");
  if (given.blockNumber !== undefined) return blockNumber(given.blockNumber, name);
  return {
    hash: hash(given.blockHash, name),
    requireCanonical: optional(boolean, false)(given.requireCanonical, "requireCanonical"),
  };
};

/** The transaction of eth_call and eth_estimateGas. */
export interface CallRequest {
  readonly from: Address | undefined;
  readonly to: Address | undefined;
  readonly gas: number | undefined;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly accessList: { address: Address; storageKeys: Hash[] }[];
}

const accessEntry: Parser<CallRequest["accessList"][number]> = (value, name) => {
  const entry = object(value, name);
  return { address: address(entry.address, name), storageKeys: listOf(hash)(entry.storageKeys, name) };
};

export const callRequest: Parser<CallRequest> = (value, name) => {
  const given = object(value, name);
  const input = optional(data, undefined)(given.input, "input");
  const older = optional(data, undefined)(given.data, "data");
  if (input && older && Buffer.compare(input, older) !== 0)
    invalidParams('both "data" and "input" are set and not equal');
  for (const key of ["gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "nonce", "chainId", "type"])
    optional(quantity, undefined)(given[key], key);
  return {
    from: optional(address, undefined)(given.from, "from"),
    to: optional(address, undefined)(given.to, "to"),
    gas: optional(smallQuantity, undefined)(given.gas, "gas"),
    value: optional(quantity, 0n)(given.value, "value"),
    data: input ?? older ?? EMPTY,
    accessList: optional(listOf(accessEntry), [])(given.accessList, "accessList"),
  };
};

/** Which logs are asked for. A topic position is a list of alternatives; an empty one takes anything. */
export interface LogFilter {
  readonly blockHash: Hash | undefined;
  readonly fromBlock: BlockId | undefined;
  readonly toBlock: BlockId | undefined;
  readonly addresses: readonly Address[];
  readonly topics: readonly (readonly Hash[])[];
}

const oneOrMany =
  (parser: Parser<Hex>): Parser<Hex[]> =>
  (value, name) =>
    Array.isArray(value) ? listOf(parser)(value, name) : [parser(value, name)];

export const logFilter: Parser<LogFilter> = (value, name) => {
  const given = object(value, name);
  const filter: LogFilter = {
    blockHash: optional(hash, undefined)(given.blockHash, "blockHash"),
    fromBlock: optional(blockNumber, undefined)(given.fromBlock, "fromBlock"),
    toBlock: optional(blockNumber, undefined)(given.toBlock, "toBlock"),
    addresses: optional(oneOrMany(address), [])(given.address, "address"),
    topics: optional(listOf(optional(oneOrMany(hash), []), 4), [])(given.topics, "topics"),
  };
  if (filter.blockHash && (filter.fromBlock || filter.toBlock))
    invalidParams("cannot specify both blockHash and fromBlock/toBlock");
  return filter;
};

/** Counts the addresses and topics that a filter names: each takes about 200 bytes for as long as the filter is kept. */
export const sizeOfFilter = ({ addresses, topics }: LogFilter): number =>
  1 + addresses.length + topics.reduce((sum, { length }) => sum + length, 0);

/** Writes a QUANTITY. */
export const hexNumber = (value: bigint | number): Hex => `0x${value.toString(16)}`;
