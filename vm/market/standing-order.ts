import { type Hash, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { type AbiValue, decodeAbi } from "../abi.ts";
import { categoryAt } from "./category.ts";
import { firstCommittee } from "./committee.ts";
import type { Env } from "./env.ts";
import { orderHash, WORKERPOOL_ORDER, type WorkerpoolOrder } from "./order.ts";
import { poolOf } from "./pool.ts";

/** Gas of a lot, for each second of its category: ordinary code takes at most a fifth of the time. */
export const CAP_GAS_PER_SECOND = 200_000_000;
const GGAS = 10n ** 9n;
const SIGNED_FIELDS = 10;

/** Computes what `seats` seats that compute so much gas cost at the standing price, in nRLC, rounded up. */
export const standingPrice = ({ block }: Env, gas: bigint, seats: number): bigint =>
  (block.params.pricePerGgasNrlc * gas * BigInt(seats) + GGAS - 1n) / GGAS;

/** Tells whether an order is one that a genesis pool stands by: for anyone, untagged, at the standing price or above. */
const isOffered = (env: Env, order: WorkerpoolOrder): boolean => {
  const category = categoryAt(env.state, order.category);
  if (!category || order.trust > env.block.params.maxTrust || !poolOf(env.state, order.workerpool)?.isGenesis)
    return false;
  const restrictions = [order.apprestrict, order.datasetrestrict, order.requesterrestrict];
  if (order.tag !== ZERO_HASH || restrictions.some((restriction) => restriction !== ZERO_ADDRESS)) return false;
  const cap = BigInt(category.workClockTimeRef) * BigInt(CAP_GAS_PER_SECOND);
  const seats = firstCommittee(order.trust < 1n ? 1n : order.trust);
  return order.workerpoolprice >= standingPrice(env, cap, seats);
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
