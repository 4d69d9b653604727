import type { State } from "../../chain/state.ts";
import type { Address, Hash } from "../../lib/bytes.ts";
import { type Rule, thrower } from "../../lib/rule-error.ts";
import { NRLC, rlc } from "../../lib/units.ts";
import { categoryAt } from "../../vm/market/category.ts";
import { hubAccount } from "../../vm/market/escrow.ts";
import { WORKERPOOL_STAKE_RATIO } from "../../vm/market/match.ts";
import { consumedOf } from "../../vm/market/order-state.ts";
import { poolOf } from "../../vm/market/pool.ts";
import { encodeOrder, hashOfOrder, isSignedBy, type SignedOrder, signerOfOrder } from "../../vm/market/signed-order.ts";

const RULES = {
  "order-malformed": { verdict: "reject", section: "10.8" },
  "order-bytes": { verdict: "reject", section: "10.8" },
  "order-known": { verdict: "ignore", section: "10.8" },
  "order-rate": { verdict: "ignore", section: "10.8" },
  // What follows depends on the state: another node may be ahead, or behind.
  "order-entry": { verdict: "ignore", section: "10.8" },
  "order-category": { verdict: "ignore", section: "10.8" },
  "order-signature": { verdict: "ignore", section: "10.8" },
  "order-consumed": { verdict: "ignore", section: "10.8" },
  "order-unfunded": { verdict: "ignore", section: "10.8" },
  "order-means": { verdict: "ignore", section: "10.8" },
  "order-book-full": { verdict: "ignore", section: "10.8" },
} satisfies Record<string, Rule>;
/** Throws RuleError: an order breaks a rule of the book (spec section 10.8). */
export const failOrder: (code: keyof typeof RULES, detail?: unknown) => never = thrower(RULES);

/** Bytes of an encoded order: programs take what is long from their inputs. */
export const MAX_ORDER_BYTES = 16 * 1024;
/** What a signer must have, free, bound or in the balance, so that names cost something. */
export const MIN_MEANS_NRLC = 10_000_000n;

/** What a state says of an order. */
export interface Standing {
  readonly hash: Hash;
  readonly signer: Address;
  /** Tasks that are left of its volume. */
  readonly remaining: bigint;
  /** nRLC that the signer has in all. */
  readonly means: bigint;
}

/** nRLC that an account has in all: free and bound in the hub, and in its balance. About 20 us. */
export const meansOf = (state: State, account: Address): bigint => {
  const { stake, locked } = hubAccount(state, account);
  return stake + locked + state.balance(account) / NRLC;
};

/** Writes nRLC in RLC. */
const inRlc = (nrlc: bigint): string => rlc(nrlc * NRLC, 9);

/** nRLC that the signer has to have in the hub for one task. */
const boundByATask = (state: State, { kind, order }: SignedOrder): bigint => {
  if (kind === "request") return order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice;
  // The owner of a pool that it schedules itself answers with a part of the price.
  if (kind === "workerpool" && !poolOf(state, order.workerpool))
    return (order.workerpoolprice * WORKERPOOL_STAKE_RATIO) / 100n;
  return 0n;
};

/**
 * Checks an order against a state; with `signer`, one who signed it and must still be the one to. Throws RuleError. About
 * 100 us, most of it the signature.
 */
export const checkOrder = (state: State, chainId: number, signed: SignedOrder, signer?: Address): Standing => {
  const size = encodeOrder(signed).length;
  if (size > MAX_ORDER_BYTES) failOrder("order-bytes", `an order of ${size} bytes, ${MAX_ORDER_BYTES} are the most`);
  const { order } = signed;
  const owner = signerOfOrder(state, signed) ?? failOrder("order-entry", "no such entry is registered");
  if (signer !== undefined && signer !== owner) failOrder("order-signature", `${owner} owns the entry now`);
  if (state.code(owner).length > 0)
    failOrder("order-signature", `${owner} is a contract: its orders stand without a book`);
  if ("category" in order && !categoryAt(state, order.category))
    failOrder("order-category", `there is no category ${order.category}`);
  const hash = hashOfOrder(chainId, signed);
  const remaining = order.volume - consumedOf(state, hash);
  if (remaining <= 0n) failOrder("order-consumed", "nothing is left of it, or it was cancelled");
  const { stake, locked } = hubAccount(state, owner);
  const bound = boundByATask(state, signed);
  // What deals bind comes free again: till then the order waits, which whoever matches sees.
  const inHub = stake + locked;
  if (inHub < bound)
    failOrder(
      "order-unfunded",
      `${owner} has ${inRlc(inHub)} RLC in the hub, and a task of this order binds ${inRlc(bound)} RLC: rolec account deposit ${inRlc(bound - inHub)} --key <its key>`,
    );
  const means = meansOf(state, owner);
  if (means < MIN_MEANS_NRLC)
    failOrder(
      "order-means",
      `${owner} has ${inRlc(means)} RLC in all, and who signs orders needs ${inRlc(MIN_MEANS_NRLC)}: send it RLC first`,
    );
  if (signer === undefined && !isSignedBy(state, owner, hash, order.sign))
    failOrder("order-signature", `${owner} has not signed it`);
  return { hash, signer: owner, remaining, means };
};
