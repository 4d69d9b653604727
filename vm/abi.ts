import { concat, EMPTY, fromHex, type Hash, type Hex, toHex, utf8 } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import {
  type AbiType,
  type AbiValue,
  arrayOf,
  decodeTuple,
  elementary,
  encodeTuple,
  readerOf,
  tupleOf,
} from "./abi-type.ts";

export { AbiError, type AbiType, type AbiValue, wordOf } from "./abi-type.ts";

interface Parameter {
  readonly type: AbiType;
  readonly name: string;
  readonly indexed: boolean;
}

/** Parses human-readable ABI text: `name(type [indexed] [name], …)`. Throws a SyntaxError. */
const parser = (source: string) => {
  const tokens = source.match(/[A-Za-z0-9_$]+|\[\d*\]|[(),]/g) ?? [];
  let at = 0;
  const expect = (token: string): void => {
    if (tokens[at++] !== token) throw new SyntaxError(`expected ${token} in ${source}`);
  };
  const isWord = (): boolean => /^[A-Za-z0-9_$]+$/.test(tokens[at] ?? "");
  const type = (): AbiType => {
    let base: AbiType;
    if (tokens[at] === "tuple") at++;
    if (tokens[at] === "(") base = tupleOf(parameters().map((parameter) => parameter.type));
    else base = elementary(tokens[at++] ?? "");
    for (let suffix = /^\[(\d*)\]$/.exec(tokens[at] ?? ""); suffix; suffix = /^\[(\d*)\]$/.exec(tokens[at] ?? "")) {
      at++;
      base = arrayOf(base, suffix[1] === "" ? undefined : Number(suffix[1]));
    }
    return base;
  };
  const parameters = (): Parameter[] => {
    expect("(");
    const out: Parameter[] = [];
    while (tokens[at] !== ")") {
      if (out.length > 0) expect(",");
      const one = type();
      let indexed = false;
      let name = "";
      while (isWord()) {
        const token = tokens[at++] as string;
        if (token === "indexed") indexed = true;
        else if (token !== "memory" && token !== "calldata" && token !== "payable") name = token;
      }
      out.push({ type: one, name, indexed });
    }
    expect(")");
    return out;
  };
  return {
    parameters,
    word: (): string => (isWord() ? (tokens[at++] as string) : ""),
    peek: (): string | undefined => tokens[at],
  };
};

/** Computes the four-byte selector of a canonical signature, e.g. `transfer(address,uint256)`. */
export const selector = (signature: string): Hex => keccak256(utf8(signature)).slice(0, 10) as Hex;
/** Computes the topic of an event's canonical signature. */
export const eventTopic = (signature: string): Hash => keccak256(utf8(signature));

/** Parses types, e.g. `uint256, (address,bytes)[]`. */
export const abiTypes = (source: string): AbiType[] =>
  parser(`(${source})`)
    .parameters()
    .map(({ type }) => type);

/** Decodes values laid out as Solidity's abi.encode does. Throws AbiError on anything malformed. */
export const decodeArgs = <T extends readonly AbiValue[] = AbiValue[]>(
  types: readonly AbiType[],
  data: Uint8Array,
): T => decodeTuple(types, readerOf(data), 0) as readonly AbiValue[] as T;

/** Encodes values as Solidity's abi.encode does. */
export const encodeArgs = (types: readonly AbiType[], values: readonly AbiValue[]): Uint8Array =>
  encodeTuple(types, values);

const parsed = new Map<string, AbiType[]>();
const typesOf = (types: string): AbiType[] => {
  let found = parsed.get(types);
  if (!found) {
    found = abiTypes(types);
    parsed.set(types, found);
  }
  return found;
};
const argumentsOf = (signature: string): AbiType[] =>
  typesOf(signature.slice(signature.indexOf("(") + 1, signature.lastIndexOf(")")));

/** Encodes values for types like "uint256,address". Throws a RangeError where they do not fit. */
export const encodeAbi = (types: string, values: readonly AbiValue[]): Uint8Array =>
  encodeTuple(typesOf(types), values);
/** Decodes values of types like "uint256,address". Throws AbiError. */
export const decodeAbi = (types: string, data: Uint8Array): AbiValue[] => decodeArgs(typesOf(types), data);
/** Makes calldata by a canonical signature: `encodeCall("exit(address)", [validator])`. */
export const encodeCall = (signature: string, values: readonly AbiValue[]): Uint8Array =>
  concat(fromHex(selector(signature)), encodeTuple(argumentsOf(signature), values));
/** Reads the arguments of calldata by a canonical signature. Throws AbiError. */
export const decodeCall = (signature: string, data: Uint8Array): AbiValue[] =>
  decodeArgs(argumentsOf(signature), data.subarray(4));

/** A function of a contract: `balanceOf(address owner) returns (uint256)`. */
export interface AbiFunction {
  readonly name: string;
  readonly signature: string;
  readonly selector: Hex;
  readonly inputs: readonly AbiType[];
  readonly outputs: readonly AbiType[];
  /** Makes calldata. */
  encode(...args: readonly AbiValue[]): Uint8Array;
  /** Reads the arguments of calldata, selector included. Throws AbiError. */
  decode<T extends readonly AbiValue[] = AbiValue[]>(data: Uint8Array): T;
  encodeResult(...values: readonly AbiValue[]): Uint8Array;
  decodeResult<T extends readonly AbiValue[] = AbiValue[]>(data: Uint8Array): T;
}

/** Makes a function from human-readable text; names of parameters are welcome and ignored. */
export const abiFunction = (source: string): AbiFunction => {
  const parse = parser(source);
  let name = parse.word();
  if (name === "function") name = parse.word();
  const inputs = parse.parameters().map(({ type }) => type);
  let outputs: AbiType[] = [];
  for (let token = parse.word(); token !== ""; token = parse.word())
    if (token === "returns") outputs = parse.parameters().map(({ type }) => type);
  const signature = `${name}${tupleOf(inputs).name}`;
  const id = selector(signature);
  const idBytes = fromHex(id);
  return {
    name,
    signature,
    selector: id,
    inputs,
    outputs,
    encode: (...args) => concat(idBytes, encodeTuple(inputs, args)),
    decode: (data) => decodeArgs(inputs, data.subarray(4)),
    encodeResult: (...values) => (values.length === 0 ? EMPTY : encodeTuple(outputs, values)),
    decodeResult: (data) => decodeArgs(outputs, data),
  };
};

/** An event: `Transfer(address indexed from, address indexed to, uint256 value)`. */
export interface AbiEvent {
  readonly name: string;
  readonly signature: string;
  readonly topic: Hash;
  /** Makes the topics and data of a log from all arguments in order. */
  encode(...args: readonly AbiValue[]): { topics: Hash[]; data: Uint8Array };
  /** Reads all arguments in order; an indexed value of dynamic type comes as its hash. Throws AbiError. */
  decode(log: { readonly topics: readonly Hash[]; readonly data: Uint8Array }): AbiValue[];
}

/** Makes an event from human-readable text. */
export const abiEvent = (source: string): AbiEvent => {
  const parse = parser(source);
  let name = parse.word();
  if (name === "event") name = parse.word();
  const parameters = parse.parameters();
  const signature = `${name}${tupleOf(parameters.map(({ type }) => type)).name}`;
  const topic = eventTopic(signature);
  const plain = parameters.filter(({ indexed }) => !indexed).map(({ type }) => type);
  return {
    name,
    signature,
    topic,
    encode: (...args) => {
      const topics = [topic];
      const values: AbiValue[] = [];
      for (const [i, { type, indexed }] of parameters.entries()) {
        const value = args[i] as AbiValue;
        if (!indexed) values.push(value);
        else if (type.name === "bytes" || type.name === "string")
          topics.push(keccak256(typeof value === "string" ? utf8(value) : (value as Uint8Array)));
        else if (type.dynamic || type.words !== 1) topics.push(keccak256(type.encode(value)));
        else topics.push(toHex(type.encode(value)));
      }
      return { topics, data: encodeTuple(plain, values) };
    },
    decode: (log) => {
      const values = decodeArgs(plain, log.data);
      let topicAt = 1;
      let valueAt = 0;
      return parameters.map(({ type, indexed }) => {
        if (!indexed) return values[valueAt++] as AbiValue;
        const hash = log.topics[topicAt++] as Hash;
        return type.dynamic || type.words !== 1 ? hash : (decodeArgs([type], fromHex(hash))[0] as AbiValue);
      });
    },
  };
};

const ERROR = abiFunction("Error(string)");

/** Encodes a revert's reason as Solidity does: `Error(string)`. */
export const encodeError = (reason: string): Uint8Array => ERROR.encode(reason);
/** Reads the reason out of revert data; undefined where it is no `Error(string)`. */
export const decodeError = (data: Uint8Array): string | undefined => {
  if (data.length < 4 || toHex(data.subarray(0, 4)) !== ERROR.selector) return undefined;
  try {
    return ERROR.decode<[string]>(data)[0];
  } catch {
    return undefined;
  }
};
