import { type Address, type Hash, word, ZERO_ADDRESS } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import type { AbiValue } from "../vm/abi.ts";
import { functionsOf, GROUP_ABI } from "../vm/market/abi.ts";
import { GROUPMEMBER_PURPOSE } from "../vm/market/group.ts";
import { encodeOrder, type OrderName, type SignedOrderOf } from "../vm/market/signed-order.ts";
import { MARKET } from "../vm/tables.ts";
import { publicPool } from "./iexec-files.ts";
import { hubStakeOf, marketFunction, view } from "./market-client.ts";
import type { Offer, Restriction } from "./matching.ts";
import { listAllOrders, type OrderQuery } from "./orders.ts";

/** More than anybody has: the chain will judge. */
const UNKNOWN = 1n << 255n;

/** Every order of a query, each once: pages of a book that changes may show one twice. */
export const offersOf = async <N extends OrderName>(client: RpcClient, query: OrderQuery & { readonly kind: N }) => {
  const offers = new Map<Hash, Offer<SignedOrderOf<N>["order"]>>();
  for (const { signed, hash, signer, remaining } of await listAllOrders(client, query)) {
    const key = keccak256(encodeOrder(signed));
    offers.set(key, { order: signed.order as SignedOrderOf<N>["order"], key, hash, signer, remaining });
  }
  return [...offers.values()];
};

/**
 * What one round of a matcher has read of the chain and the book: each thing is asked once. What the chain does not say is left to
 * its own judgement.
 */
export const createFacts = (client: RpcClient) => {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(name: string, ask: () => Promise<T>): Promise<T | undefined> => {
    const answer =
      known.get(name) ??
      ask().catch((error: unknown) => {
        if (error instanceof RpcCallError) return undefined;
        throw error;
      });
    known.set(name, answer);
    return answer as Promise<T | undefined>;
  };
  const isMember = functionsOf(GROUP_ABI)("keyHasPurpose");
  const accepts = async ([restriction, account]: Restriction): Promise<boolean> =>
    restriction === ZERO_ADDRESS ||
    restriction === account ||
    (await once(`member ${restriction} ${account}`, async () => {
      const [isIn] = await view(client, restriction, isMember, word(BigInt(account)), GROUPMEMBER_PURPOSE);
      return isIn === true;
    })) === true;
  return {
    publicPool: () => once("public pool", () => publicPool(client)),
    stakeOf: async (account: Address) => (await once(`stake ${account}`, () => hubStakeOf(client, account))) ?? UNKNOWN,
    /** Notes that a deal has taken of an account's stake. */
    spent: (account: Address) => known.delete(`stake ${account}`),
    /** Tells whether all restrictions let pass whom they have to. */
    pass: async (restrictions: readonly Restriction[]): Promise<boolean> => {
      for (const each of restrictions) if (!(await accepts(each))) return false;
      return true;
    },
    /** Whom a pool that the chain draws lets ask; undefined for one whose owner schedules it. */
    drawnFor: (pool: Address) =>
      once(`pool ${pool}`, async () => {
        const [found] = await view(client, MARKET, marketFunction("viewPool"), pool);
        const [isDrawn, , , , , requesterRestrict] = found as readonly AbiValue[];
        return isDrawn === true ? (requesterRestrict as Address) : undefined;
      }),
    orders: async <N extends OrderName>(query: OrderQuery & { readonly kind: N }) =>
      (await once(`orders ${JSON.stringify(query)}`, () => offersOf(client, query))) ?? [],
  };
};
export type Facts = ReturnType<typeof createFacts>;
