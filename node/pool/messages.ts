import { type Address, concat, fromHex, type Hash, type Hex, isHex, utf8 } from "../../lib/bytes.ts";
import { parseJson } from "../../lib/json.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { recoverCompact, signCompact } from "../../lib/secp256k1.ts";
import { signedMessageHash } from "../../vm/market/signature.ts";

/** What a worker tells the scheduler of a pool, every second or so (docs/pools.md). */
export interface Ask {
  readonly pool: Address;
  readonly worker: Address;
  /** Milliseconds since 1970; later in each message of a worker, and at most half a minute off. */
  readonly time: number;
  /** Tasks that the worker would begin now. */
  readonly free: number;
  /** Tasks that it will not compute. */
  readonly declined: readonly Hash[];
  /** Receipts of tasks that it has revealed. */
  readonly results: readonly { readonly taskid: Hash; readonly receipt: Hex }[];
}

/** A task that a worker may contribute to: the last two arguments of `contribute` but for the enclave's signature. */
export interface Assignment {
  readonly taskid: Hash;
  readonly enclaveChallenge: Address;
  readonly authorization: Hex;
  /** Milliseconds that the scheduler still waits for the contribution before it asks others. */
  readonly waitMs: number;
}

/** What a scheduler answers. */
export interface Assignments {
  readonly tasks: readonly Assignment[];
  /** Why the worker gets no more, for its owner to read. */
  readonly note: string | null;
}

/** The header that carries the signature of the body. */
export const SIGNATURE_HEADER = "x-rolec-signature";
export const MAX_ASK_BYTES = 64 * 1024;
/** Entries of a list in an ask. */
export const MAX_LISTED = 16;
const MAX_RECEIPT_CHARS = 2 + 2 * 2_048;
const MAX_NOTE_CHARS = 300;

const askHash = (body: Uint8Array): Hash => keccak256(concat(utf8("rolec pool ask\n"), body));
/** Signs the body of an ask. */
export const signAsk = (body: Uint8Array, key: Hex): Hex => signCompact(askHash(body), key);

/** Reads an ask that its worker has signed. Throws an Error with the reason where it is none. */
export const readAsk = (body: Uint8Array, signature: string): Ask => {
  const fail = (what: string): never => {
    throw new Error(`the ask's ${what} is wrong`);
  };
  let json: Partial<Record<keyof Ask, unknown>>;
  try {
    json = parseJson(body) as typeof json;
  } catch {
    return fail("JSON");
  }
  if (typeof json !== "object" || json === null) return fail("JSON");
  const { pool, worker, time, free, declined, results } = json;
  if (!isHex(pool, 20)) return fail("pool");
  if (!isHex(worker, 20)) return fail("worker");
  if (!Number.isSafeInteger(time)) return fail("time");
  if (!Number.isSafeInteger(free) || (free as number) < 0 || (free as number) > 1_024) return fail("free");
  const isList = (list: unknown): list is readonly unknown[] => Array.isArray(list) && list.length <= MAX_LISTED;
  if (!isList(declined) || !declined.every((id) => isHex(id, 32))) return fail("declined");
  const isResult = (each: unknown): boolean => {
    if (typeof each !== "object" || each === null) return false;
    const { taskid, receipt } = each as Record<string, unknown>;
    const isText = typeof receipt === "string" && receipt.length <= MAX_RECEIPT_CHARS;
    return isHex(taskid, 32) && isText && isHex(receipt, receipt.length / 2 - 1);
  };
  if (!isList(results) || !results.every(isResult)) return fail("results");
  if (!isHex(signature, 65) || recoverCompact(askHash(body), signature) !== worker) return fail("signature");
  return json as Ask;
};

/** Reads what a scheduler answers. Throws an Error where it is none: a worker chooses its scheduler, and does not trust it. */
export const readAssignments = (answer: unknown): Assignments => {
  const { tasks, note } = (answer ?? {}) as Partial<Record<keyof Assignments, unknown>>;
  const isTask = (each: unknown): boolean => {
    const { taskid, enclaveChallenge, authorization, waitMs } = (each ?? {}) as Partial<
      Record<keyof Assignment, unknown>
    >;
    const isTime = Number.isFinite(waitMs) && (waitMs as number) >= 0;
    return isHex(taskid, 32) && isHex(enclaveChallenge, 20) && isHex(authorization, 65) && isTime;
  };
  const isNote = note === null || (typeof note === "string" && note.length <= MAX_NOTE_CHARS);
  if (!Array.isArray(tasks) || tasks.length > MAX_LISTED || !tasks.every(isTask) || !isNote)
    throw new Error("what the scheduler says is no answer");
  return answer as Assignments;
};

/** Signs as PoCo's contracts check it (EIP-191 over keccak256 of the parts): 65 bytes with v 27 or 28. */
export const signMessage = (key: Hex, ...parts: readonly Hex[]): Hex => {
  const bytes = fromHex(signCompact(signedMessageHash(...parts), key));
  const v = (bytes[64]! + 27).toString(16);
  return `0x${Buffer.from(bytes.subarray(0, 64)).toString("hex")}${v}`;
};
