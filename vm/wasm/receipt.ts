import { createHash } from "node:crypto";
import { concat, fromHex, type Hash, toHex, ZERO_HASH } from "../../lib/bytes.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { decodeAbi, encodeAbi } from "../abi.ts";
import { STATUS, STATUS_NAMES, TRAP } from "./status.ts";
import type { VmRules } from "./versions.ts";

/** What a task's computation is reduced to: the thing that workers agree on. */
export interface JobReceipt {
  readonly status: number;
  /** Exit code, or a code of TRAP. */
  readonly code: number;
  /** What is paid for. */
  readonly gasUsed: number;
  /** What of it the module's own operations took: neither the start, nor sleep, nor what a limit or a trap cut off. */
  readonly gasExecuted: number;
  readonly outputRoot: Hash;
  readonly stateRoot: Hash;
  readonly callbackData: Uint8Array;
}

/** Receipt of a lot of several tasks. */
export interface LotReceipt {
  /** Sums over the tasks. */
  readonly gasUsed: number;
  readonly gasExecuted: number;
  /** Tasks that are not INVALID: for them app and dataset are paid. */
  readonly valid: number;
  /** merkleRoot over keccak256 of the tasks' receipts. */
  readonly root: Hash;
}

const VERSION = 2n;
const RECEIPT = "uint8,uint8,uint32,uint64,uint64,bytes32,bytes32,bytes";
const LOT_RECEIPT = "uint8,uint64,uint64,uint32,bytes32";
const MAX_GAS = BigInt(Number.MAX_SAFE_INTEGER);

/** Encodes a receipt as the market and callers on other chains read it: abi.encode of its fields, the version first. */
export const encodeReceipt = (receipt: JobReceipt): Uint8Array =>
  encodeAbi(RECEIPT, [
    VERSION,
    BigInt(receipt.status),
    BigInt(receipt.code),
    BigInt(receipt.gasUsed),
    BigInt(receipt.gasExecuted),
    receipt.outputRoot,
    receipt.stateRoot,
    receipt.callbackData,
  ]);

/** Decodes a receipt; undefined for anything that encodeReceipt would not have written. */
export const decodeReceipt = (bytes: Uint8Array): JobReceipt | undefined => {
  try {
    const [version, status, code, gasUsed, gasExecuted, outputRoot, stateRoot, callbackData] = decodeAbi(
      RECEIPT,
      bytes,
    );
    if (version !== VERSION || (status as bigint) > BigInt(STATUS.invalid)) return undefined;
    if ((gasUsed as bigint) > MAX_GAS || (gasExecuted as bigint) > (gasUsed as bigint)) return undefined;
    const receipt: JobReceipt = {
      status: Number(status),
      code: Number(code),
      gasUsed: Number(gasUsed),
      gasExecuted: Number(gasExecuted),
      outputRoot: outputRoot as Hash,
      stateRoot: stateRoot as Hash,
      callbackData: callbackData as Uint8Array,
    };
    return Buffer.compare(encodeReceipt(receipt), bytes) === 0 ? receipt : undefined;
  } catch {
    return undefined;
  }
};

/** Encodes the receipt of a lot of more than one task. */
export const encodeLotReceipt = ({ gasUsed, gasExecuted, valid, root }: LotReceipt): Uint8Array =>
  encodeAbi(LOT_RECEIPT, [VERSION, BigInt(gasUsed), BigInt(gasExecuted), BigInt(valid), root]);

/** Decodes the receipt of a lot; undefined for anything that encodeLotReceipt would not have written. */
export const decodeLotReceipt = (bytes: Uint8Array): LotReceipt | undefined => {
  try {
    const [version, gasUsed, gasExecuted, valid, root] = decodeAbi(LOT_RECEIPT, bytes);
    if (version !== VERSION || (gasUsed as bigint) > MAX_GAS || (gasExecuted as bigint) > (gasUsed as bigint))
      return undefined;
    const sums = { gasUsed: Number(gasUsed), gasExecuted: Number(gasExecuted), valid: Number(valid) };
    const receipt: LotReceipt = { ...sums, root: root as Hash };
    return Buffer.compare(encodeLotReceipt(receipt), bytes) === 0 ? receipt : undefined;
  } catch {
    return undefined;
  }
};

/** Computes the digest that workers commit to: keccak256 of the receipt. */
export const digestOf = (receipt: Uint8Array): Hash => keccak256(receipt);

const parentOf = (left: Hash, right: Hash): Hash => keccak256(fromHex(left), fromHex(right));

/** Computes the level above: pairs are hashed in order, a last one without a partner moves up as it is. */
const levelAbove = (level: readonly Hash[]): Hash[] => {
  const above: Hash[] = [];
  for (let i = 0; i < level.length; i += 2)
    above.push(i + 1 < level.length ? parentOf(level[i]!, level[i + 1]!) : level[i]!);
  return above;
};

/** Computes the root of the binary Merkle tree over leaves in order; 0 for none. Leaves are hashes of longer data. */
export const merkleRoot = (leaves: readonly Hash[]): Hash => {
  let level: readonly Hash[] = leaves;
  while (level.length > 1) level = levelAbove(level);
  return level[0] ?? ZERO_HASH;
};

/** Makes the proof of a leaf: its siblings from the bottom up, none where it has no partner. */
export const merkleProof = (leaves: readonly Hash[], index: number): Hash[] => {
  const proof: Hash[] = [];
  let level: readonly Hash[] = leaves;
  for (let at = index; level.length > 1; at >>= 1) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) proof.push(sibling);
    level = levelAbove(level);
  }
  return proof;
};

/** Tells whether `leaf` is the leaf `index` of the `count` under `root`. */
export const merkleVerify = (root: Hash, leaf: Hash, index: number, count: number, proof: readonly Hash[]): boolean => {
  if (!Number.isSafeInteger(index) || index < 0 || index >= count) return false;
  let hash = leaf;
  let used = 0;
  let at = index;
  for (let size = count; size > 1; size = Math.ceil(size / 2)) {
    if ((at ^ 1) < size) {
      const sibling = proof[used++];
      if (sibling === undefined) return false;
      hash = at & 1 ? parentOf(sibling, hash) : parentOf(hash, sibling);
    }
    at >>= 1;
  }
  return used === proof.length && hash === root;
};

/** Makes a lot's receipt from its tasks' receipts: the task's own where there is one, else their sums and root. */
export const lotReceiptOf = (receipts: readonly Uint8Array[]): Uint8Array => {
  if (receipts.length === 1) return receipts[0]!;
  let [gasUsed, gasExecuted, valid] = [0, 0, 0];
  for (const receipt of receipts) {
    const one = decodeReceipt(receipt);
    if (!one) continue;
    gasUsed += one.gasUsed;
    gasExecuted += one.gasExecuted;
    if (one.status !== STATUS.invalid) valid += 1;
  }
  return encodeLotReceipt({ gasUsed, gasExecuted, valid, root: merkleRoot(receipts.map(digestOf)) });
};

/** Computes the root over keccak256(taskid_i || digest_i), by which single tasks of a lot could be disputed. */
export const itemsRootOf = (taskids: readonly Hash[], receipts: readonly Uint8Array[]): Hash =>
  merkleRoot(taskids.map((taskid, i) => keccak256(concat(fromHex(taskid), fromHex(digestOf(receipts[i]!))))));

/**
 * Gives what stands in the place of a task's memory where the task was never started, or wrote nothing: SHA-256(module || taskid). Who
 * has not fetched the module cannot tell it. Reads the module once, at most as much of it as a module may have.
 */
export const unstartedRoots = (module: Uint8Array, { limits }: VmRules): ((taskid: Hash) => Hash) => {
  const read = createHash("sha256").update(module.subarray(0, limits.moduleBytes));
  return (taskid) => toHex(read.copy().update(fromHex(taskid)).digest());
};

/**
 * Makes the receipt of a task whose module, parameters or inputs are refused: status INVALID, no output. It pays for the
 * start and the module, both of which every worker knows alike; inputs may be what is wrong, so they are not counted.
 */
export const invalidReceipt = (
  moduleBytes: number,
  gasLimit: number,
  stateRoot: Hash,
  { gas, limits }: VmRules,
): JobReceipt => ({
  status: STATUS.invalid,
  code: 0,
  gasUsed: Math.min(gasLimit, gas.job + gas.moduleByte * Math.min(moduleBytes, limits.moduleBytes)),
  gasExecuted: 0,
  outputRoot: ZERO_HASH,
  stateRoot,
  callbackData: new Uint8Array(0),
});

const TRAPS: Readonly<Record<number, string>> = {
  [TRAP.other]: "memory or table out of bounds, a division by zero, a wrong type",
  [TRAP.unreachable]: "it reached `unreachable`: most often a failed assertion or a panic",
  [TRAP.stack]: "its stack is full: recursion without end, or too deep",
};

/** Says how a task ended, for a person. */
export const describeEnd = ({ status, code, gasUsed }: Pick<JobReceipt, "status" | "code" | "gasUsed">): string => {
  const name = STATUS_NAMES[status] ?? String(status);
  switch (status) {
    case STATUS.exit:
      return `${name} ${code}`;
    case STATUS.trap:
      return `${name} (${TRAPS[code] ?? code})`;
    case STATUS.outOfGas:
      return `${name} (it needs more than ${gasUsed} gas)`;
    case STATUS.outputLimit:
      return `${name} (it writes more than a task may: 16 MiB, 4,096 entries, depth 16)`;
    default:
      return name;
  }
};

/** Describes a receipt in one line for a person. */
export const describeReceipt = (receipt: JobReceipt): string => {
  const { gasUsed, gasExecuted, outputRoot } = receipt;
  return `${describeEnd(receipt)}, ${gasUsed} gas (${gasExecuted} executed), output ${outputRoot}`;
};
