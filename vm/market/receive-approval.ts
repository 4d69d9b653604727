import { type Address, toHex } from "../../lib/bytes.ts";
import { TOKEN } from "../addresses.ts";
import { ensure, Revert, refuse } from "../revert.ts";
import { functionsOf, HUB_ABI, HUB_ERRORS } from "./abi.ts";
import type { Env } from "./env.ts";
import { matchOrders, readOrders } from "./match.ts";
import { depositAllowed } from "./rlc.ts";

const MATCH = functionsOf(HUB_ABI)("matchOrders");

/** Matches the orders in the calldata of `matchOrders`, where the request is the sender's own. */
const execute = (env: Env, sender: Address, data: Uint8Array): void => {
  if (data.length < 4) refuse();
  const selector = toHex(data.subarray(0, 4));
  if (selector !== MATCH.selector) HUB_ERRORS.UnsupportedOperation!(selector);
  const orders = readOrders(MATCH.decode(data));
  if (orders.request.requester !== sender) HUB_ERRORS.CallerIsNotTheRequester!();
  try {
    matchOrders(env, orders, sender);
  } catch (error) {
    if (error instanceof Revert && error.data.length === 0) HUB_ERRORS.OperationFailed!();
    throw error;
  }
};

/** Deposits what a sender lets the hub take of its RLC, and makes the deal that it asks for in the same call. */
export const receiveApproval = (env: Env, sender: Address, amount: bigint, token: Address, data: Uint8Array): void => {
  ensure(token === TOKEN, "wrong-token");
  depositAllowed(env, sender, sender, amount);
  if (data.length > 0) execute(env, sender, data);
};
