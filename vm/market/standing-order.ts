import { type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { type AbiValue, decodeAbi } from "../abi.ts";
import { categoryAt } from "./category.ts";
import { boughtGas, GGAS } from "./clock.ts";
import { firstCommittee } from "./committee.ts";
import type { Env } from "./env.ts";
import { orderHash, WORKERPOOL_ORDER, type WorkerpoolOrder } from "./order.ts";
import { poolOf } from "./pool.ts";

const SIGNED_FIELDS = 10;

/** Computes what each of so many tasks costs, whose seats compute so much gas in all, at the standing price, in nRLC, rounded up. */
export const standingPrice = ({ block }: Env, gas: bigint, seats: number, tasks = 1n): bigint => {
  const unit = GGAS * tasks;
  return (block.params.pricePerGgasNrlc * gas * BigInt(seats) + unit - 1n) / unit;
};

/**
 * Computes what a matched task costs in a genesis pool, in nRLC, when its clock is so many seconds: no more and no less, since
 * whoever matches, who may work there, would else choose what a requester pays.
 */
export const matchedPrice = (env: Env, clock: number, trust: bigint): bigint =>
  standingPrice(env, BigInt(boughtGas(clock)), firstCommittee(trust));

/** Tells whether an order is one that a genesis pool stands by: for anyone, untagged, at the standing price. */
const isOffered = (env: Env, order: WorkerpoolOrder): boolean => {
  const category = categoryAt(env.state, order.category);
  if (!category || order.trust > env.block.params.maxTrust || !poolOf(env.state, order.workerpool)?.isGenesis)
    return false;
  const restrictions = [order.apprestrict, order.datasetrestrict, order.requesterrestrict];
  if (order.tag !== ZERO_HASH || restrictions.some((restriction) => restriction !== ZERO_ADDRESS)) return false;
  return order.workerpoolprice === matchedPrice(env, category.workClockTimeRef, order.trust);
};

/**
 * Tells whether a hash is that of an order that a genesis pool stands by. Nobody signs for the chain: the signature is the
 * order itself, `abi.encode` of its ten signed fields (spec section 10).
 */
export const isStandingOrder = (env: Env, hash: Hash, signature: Uint8Array): boolean => {
  if (signature.length !== 32 * SIGNED_FIELDS) return false;
  let values: AbiValue[];
  try {
    values = decodeAbi(WORKERPOOL_ORDER.signedTypes, signature);
  } catch {
    return false; // words that are no such fields
  }
  const order = WORKERPOOL_ORDER.read([...values, signature]);
  return orderHash(env.block.chainId, WORKERPOOL_ORDER, order) === hash && isOffered(env, order);
};
