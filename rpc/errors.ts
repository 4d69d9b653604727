import { toHex } from "../lib/bytes.ts";
import { RuleError } from "../lib/rule-error.ts";
import { decodeError } from "../vm/abi.ts";

/** An error that the caller sees: a code of JSON-RPC 2.0 or EIP-1474, or 3 for a revert. */
export class RpcError extends Error {
  override readonly name = "RpcError";
  readonly code: number;
  readonly data: unknown;

  constructor(code: number, message: string, data?: unknown) {
    // An answer, not a fault of this program: where it was made says nothing, and to find out takes longer than most calls.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(message);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.data = data;
  }
}

export const PARSE = -32700;
export const INVALID_REQUEST = -32600;
export const NO_METHOD = -32601;
const INVALID_PARAMS = -32602;
export const INTERNAL = -32603;
/** What a caller asked is refused by a rule; also geth's code for text errors. */
export const REFUSED = -32000;
export const NOT_FOUND = -32001;
export const TOO_LARGE = -32003;
/** The caller has spent what it may (EIP-1474). */
export const LIMIT_EXCEEDED = -32005;
export const REVERTED = 3;

/** Refuses a parameter. */
export const invalidParams = (message: string): never => {
  throw new RpcError(INVALID_PARAMS, message);
};

/** Makes the error of a revert: its reason in the message, its bytes as data, as viem and ethers decode them. */
export const revertError = (returnData: Uint8Array): RpcError => {
  const reason = decodeError(returnData);
  return new RpcError(
    REVERTED,
    reason === undefined ? "execution reverted" : `execution reverted: ${reason}`,
    toHex(returnData),
  );
};

/** Words for rules whose detail is no text yet; wallets know them from geth. */
const PHRASES: Readonly<Record<string, string>> = {
  "tx-nonce-low": "nonce too low",
  "tx-nonce-high": "nonce too high",
  "tx-funds": "insufficient funds for transfer",
  "tx-fee-cap": "max fee per gas less than block base fee",
  "tx-fee-order": "max priority fee per gas higher than max fee per gas",
  "tx-block-gas": "exceeds block gas limit",
  "tx-intrinsic-gas": "intrinsic gas too low",
  "tx-create": "contract creation is not possible: contracts are native",
  "tx-wrong-chain": "invalid chain id for signer",
  "tx-signature": "invalid sender: invalid transaction signature",
  "tx-size": "oversized data",
};

/** Writes a rule's detail as geth does: "address 0x… have 5 want 7". */
const words = (detail: unknown): string | undefined =>
  typeof detail === "object" && detail !== null
    ? Object.entries(detail)
        .map(([name, value]) => `${name} ${value}`)
        .join(" ")
    : undefined;

/** Gives the error that a caller sees; undefined for one that is our own bug. */
export const toRpcError = (error: unknown): RpcError | undefined => {
  if (error instanceof RpcError) return error;
  if (!(error instanceof RuleError)) return undefined;
  const phrase = PHRASES[error.code];
  const text = typeof error.detail === "string" ? error.detail : phrase && words(error.detail);
  const message = text ?? phrase ?? error.message;
  return new RpcError(REFUSED, phrase && message !== phrase ? `${phrase}: ${message}` : message);
};
