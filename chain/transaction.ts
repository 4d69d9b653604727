import { type Address, bigintToMinimal, type Hash, type Hex } from "../lib/bytes.ts";
import { address, big, bytes, type Coder, hash, list, optionalHexOf, record, uint } from "../lib/codec.ts";
import { keccak256 } from "../lib/keccak.ts";
import { decodeRlp, encodeRlp, type Item } from "../lib/rlp.ts";
import { RuleError } from "../lib/rule-error.ts";
import { recover, sign } from "../lib/secp256k1.ts";
import { failChain } from "./rules.ts";

/** Bytes of one transaction at most, as geth's pool has it. */
const MAX_TRANSACTION_BYTES = 128 * 1024;
const MAX_ACCESS_LIST = 1024;
const MAX_KEYS = 4096;

export interface AccessListEntry {
  readonly address: Address;
  readonly storageKeys: readonly Hash[];
}

/** What is signed. A legacy or EIP-2930 transaction has its gas price in both fee fields. */
export interface TransactionFields {
  readonly type: 0 | 1 | 2;
  readonly chainId: number;
  readonly nonce: number;
  readonly maxPriorityFeePerGas: bigint;
  readonly maxFeePerGas: bigint;
  readonly gasLimit: number;
  readonly to: Address | undefined;
  readonly value: bigint;
  readonly data: Uint8Array;
  readonly accessList: readonly AccessListEntry[];
}

/** A signed transaction: legacy with EIP-155, EIP-2930 or EIP-1559. */
export interface Transaction extends TransactionFields {
  readonly hash: Hash;
  readonly yParity: 0 | 1;
  readonly r: bigint;
  readonly s: bigint;
  /** The bytes that were hashed: RLP, behind the type byte for types 1 and 2. */
  readonly raw: Uint8Array;
  /** Filled in by senderOf. */
  sender?: Address;
}

const to = optionalHexOf(20) as Coder<Address | undefined>;
const accessList: Coder<readonly AccessListEntry[]> = list(
  record({ address, storageKeys: list(hash, MAX_KEYS) }),
  MAX_ACCESS_LIST,
);
const data = bytes(MAX_TRANSACTION_BYTES);

const legacyFields = { nonce: uint, gasPrice: big, gasLimit: uint, to, value: big, data };
const legacy = record({ ...legacyFields, v: big, r: big, s: big });
const legacyUnsigned = record({ ...legacyFields, chainId: uint, zero1: uint, zero2: uint });
const accessFields = { chainId: uint, nonce: uint, gasPrice: big, gasLimit: uint, to, value: big, data, accessList };
const feeFields = {
  chainId: uint,
  nonce: uint,
  maxPriorityFeePerGas: big,
  maxFeePerGas: big,
  gasLimit: uint,
  to,
  value: big,
  data,
  accessList,
};
const signature = { yParity: uint, r: big, s: big };
const access = record({ ...accessFields, ...signature });
const accessUnsigned = record(accessFields);
const fee = record({ ...feeFields, ...signature });
const feeUnsigned = record(feeFields);

const typed = (type: number, item: Item): Uint8Array => {
  const body = encodeRlp(item);
  const out = new Uint8Array(body.length + 1);
  out[0] = type;
  out.set(body, 1);
  return out;
};

const unsigned = (tx: TransactionFields): Uint8Array => {
  const gasPrice = tx.maxFeePerGas;
  if (tx.type === 0) return encodeRlp(legacyUnsigned.encode({ ...tx, gasPrice, zero1: 0, zero2: 0 }));
  return tx.type === 1 ? typed(1, accessUnsigned.encode({ ...tx, gasPrice })) : typed(2, feeUnsigned.encode(tx));
};

/** Computes the hash that a transaction's signature covers. */
const signingHash = (tx: TransactionFields): Hash => keccak256(unsigned(tx));

/** Signs a transaction. */
export const signTransaction = (fields: TransactionFields, privateKey: Hex): Transaction => {
  const signed = { ...fields, ...sign(signingHash(fields), privateKey) };
  const raw = encode(signed);
  return { ...signed, hash: keccak256(raw), raw };
};

const encode = (tx: TransactionFields & { yParity: 0 | 1; r: bigint; s: bigint }): Uint8Array => {
  const gasPrice = tx.maxFeePerGas;
  if (tx.type === 0) {
    const v = BigInt(tx.chainId) * 2n + 35n + BigInt(tx.yParity);
    return encodeRlp(legacy.encode({ ...tx, gasPrice, v }));
  }
  return tx.type === 1 ? typed(1, access.encode({ ...tx, gasPrice })) : typed(2, fee.encode(tx));
};

/**
 * Decodes a transaction's bytes strictly. Throws RuleError "tx-type" (before the size: wallets know it), "tx-size",
 * "tx-format", "tx-chain-id" (legacy without EIP-155), "tx-fee-order" (tip over the fee cap) or "tx-signature" (parity not 0
 * or 1).
 */
export const decodeTransaction = (raw: Uint8Array): Transaction => {
  if (raw[0] !== undefined && raw[0] < 0xc0 && raw[0] !== 1 && raw[0] !== 2)
    failChain("tx-type", "transaction type not supported");
  if (raw.length > MAX_TRANSACTION_BYTES) failChain("tx-size", { got: raw.length, max: MAX_TRANSACTION_BYTES });
  try {
    return parse(raw);
  } catch (error) {
    if (error instanceof RuleError && (error.code === "rlp" || error.code === "codec"))
      return failChain("tx-format", `rlp: ${error.detail}`);
    throw error;
  }
};

const parse = (raw: Uint8Array): Transaction => {
  const first = raw[0] ?? failChain("tx-format", "typed transaction too short");
  const limits = { maxBytes: MAX_TRANSACTION_BYTES, maxDepth: 4, maxItems: 16_384 };
  const done = (fields: TransactionFields, parity: number, r: bigint, s: bigint): Transaction => {
    if (parity !== 0 && parity !== 1) failChain("tx-signature", `parity ${parity}`);
    if (fields.maxPriorityFeePerGas > fields.maxFeePerGas) failChain("tx-fee-order");
    return { ...fields, yParity: parity as 0 | 1, r, s, hash: keccak256(raw), raw };
  };
  if (first >= 0xc0) {
    const { v, r, s, gasPrice, ...rest } = legacy.decode(decodeRlp(raw, limits));
    if (v < 37n) failChain("tx-chain-id", "only replay-protected (EIP-155) transactions allowed over RPC");
    const chainId = (v - 35n) >> 1n;
    if (chainId > BigInt(Number.MAX_SAFE_INTEGER)) failChain("tx-chain-id", { got: chainId });
    const prices = { maxPriorityFeePerGas: gasPrice, maxFeePerGas: gasPrice };
    return done(
      { type: 0, chainId: Number(chainId), ...rest, ...prices, accessList: [] },
      Number((v - 35n) & 1n),
      r,
      s,
    );
  }
  const item = decodeRlp(raw.subarray(1), limits);
  if (first === 1) {
    const { yParity, r, s, gasPrice, ...rest } = access.decode(item);
    return done({ type: 1, ...rest, maxPriorityFeePerGas: gasPrice, maxFeePerGas: gasPrice }, yParity, r, s);
  }
  const { yParity, r, s, ...rest } = fee.decode(item);
  return done({ type: 2, ...rest }, yParity, r, s);
};

/** Recovers a transaction's sender and keeps it in the object. Throws RuleError "tx-signature". About 50 us. */
export const senderOf = (tx: Transaction): Address => {
  tx.sender ??= recover(signingHash(tx), tx) ?? failChain("tx-signature");
  return tx.sender;
};

const TX_GAS = 21_000;
const ZERO_BYTE_GAS = 4;
const BYTE_GAS = 16;
const ACCESS_ADDRESS_GAS = 2_400;
const ACCESS_KEY_GAS = 1_900;

/** Computes the gas that a transaction costs before it does anything (EIP-2028, EIP-2930). */
export const intrinsicGas = (tx: TransactionFields): number => {
  let gas = TX_GAS;
  for (const byte of tx.data) gas += byte === 0 ? ZERO_BYTE_GAS : BYTE_GAS;
  for (const entry of tx.accessList) gas += ACCESS_ADDRESS_GAS + ACCESS_KEY_GAS * entry.storageKeys.length;
  return gas;
};

/** The price per gas that a transaction pays at a base fee, in wei (EIP-1559). */
export const effectiveGasPrice = (tx: TransactionFields, baseFee: bigint): bigint => {
  const withTip = baseFee + tx.maxPriorityFeePerGas;
  return withTip < tx.maxFeePerGas ? withTip : tx.maxFeePerGas;
};

/** The RLP key of the i-th item in an ordered trie. */
export const indexKey = (i: number): Uint8Array => encodeRlp(bigintToMinimal(BigInt(i)));
