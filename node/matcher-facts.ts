import { type Address, type Hash, word, ZERO_ADDRESS } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { AbiError, type AbiValue } from "../vm/abi.ts";
import { HUB, MARKET } from "../vm/addresses.ts";
import { functionsOf, GROUP_ABI } from "../vm/market/abi.ts";
import { GROUPMEMBER_PURPOSE } from "../vm/market/group.ts";
import { encodeOrder, type OrderName, type SignedOrderOf } from "../vm/market/signed-order.ts";
import { paramNow, publicPool } from "./iexec-files.ts";
import { hubFunction, hubStakeOf, marketFunction, secondsOfCategory, view } from "./market-client.ts";
import type { Offer, Restriction } from "./matching.ts";
import { listAllOrders } from "./orders.ts";

/** More than anybody has: the chain will judge. */
const UNKNOWN = 1n << 255n;

/** Every order of a kind, each once: pages of a book that changes may show one twice. */
const offersOf = async <N extends OrderName>(client: RpcClient, kind: N) => {
  const offers = new Map<Hash, Offer<SignedOrderOf<N>["order"]>>();
  for (const { signed, hash, signer, remaining } of await listAllOrders(client, { kind })) {
    const key = keccak256(encodeOrder(signed));
    offers.set(key, { order: signed.order as SignedOrderOf<N>["order"], key, hash, signer, remaining });
  }
  return [...offers.values()];
};

const compare = (a: bigint, b: bigint): number => (a < b ? -1 : Number(a > b));
/** The offers of each entry or category, the cheapest first. */
const sorted = <T, K>(offers: readonly Offer<T>[], key: (order: T) => K, price: (order: T) => bigint) => {
  const groups = Map.groupBy(
    offers.toSorted((a, b) => compare(price(a.order), price(b.order))),
    ({ order }) => key(order),
  );
  return (of: K): readonly Offer<T>[] => groups.get(of) ?? [];
};

/** Reads a node's book, whole: what a round costs does not grow with how many ask. */
export const readBook = async (client: RpcClient) => {
  const [app, dataset, workerpool, request] = [
    await offersOf(client, "app"),
    await offersOf(client, "dataset"),
    await offersOf(client, "workerpool"),
    await offersOf(client, "request"),
  ];
  return {
    /** Who pays most first. */
    requests: request.sort((a, b) => compare(b.order.workerpoolmaxprice, a.order.workerpoolmaxprice)),
    apps: sorted(
      app,
      (order) => order.app,
      (order) => order.appprice,
    ),
    datasets: sorted(
      dataset,
      (order) => order.dataset,
      (order) => order.datasetprice,
    ),
    pools: sorted(
      workerpool,
      (order) => order.category,
      (order) => order.workerpoolprice,
    ),
  };
};
export type Book = Awaited<ReturnType<typeof readBook>>;

/** What the chain says of a pool that it draws. */
export interface DrawnPool {
  /** Slots, and how many of them are free to be drawn. */
  readonly length: bigint;
  readonly drawable: bigint;
  /** Whom it lets ask. */
  readonly requesterRestrict: Address;
  readonly slotStakeNrlc: bigint;
}

/**
 * What one round of a matcher has read of the chain: each thing is asked once. What the chain does not say is left to its own
 * judgement.
 */
export const createFacts = (client: RpcClient) => {
  const known = new Map<string, Promise<unknown>>();
  const once = <T>(name: string, ask: () => Promise<T>): Promise<T | undefined> => {
    const answer =
      known.get(name) ??
      ask().catch((error: unknown) => {
        // An account that has no code answers nothing.
        if (error instanceof RpcCallError || error instanceof AbiError) return undefined;
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
    /** Undefined for a pool that its owner schedules. */
    drawnPool: (pool: Address): Promise<DrawnPool | undefined> =>
      once(`pool ${pool}`, async () => {
        const [found] = await view(client, MARKET, marketFunction("viewPool"), pool);
        const [isDrawn, , length, drawable, , requesterRestrict, slotStakeNrlc] = found as readonly AbiValue[];
        if (isDrawn !== true) return undefined;
        return {
          length: length as bigint,
          drawable: drawable as bigint,
          requesterRestrict: requesterRestrict as Address,
          slotStakeNrlc: slotStakeNrlc as bigint,
        };
      }),
    /** Percent of a pool's price that its workers bind: whatever its owner says. */
    workerStakeRatio: async (pool: Address): Promise<bigint> =>
      (await once(`ratio ${pool}`, async () => {
        const [found] = await view(client, HUB, hubFunction("viewWorkerpool"), pool);
        return (found as readonly AbiValue[])[2] as bigint;
      })) ?? 0n,
    /** nRLC that all have in the hub together. */
    hubSupply: async (): Promise<bigint> =>
      (await once("supply", async () => (await view(client, HUB, hubFunction("totalSupply")))[0] as bigint)) ?? UNKNOWN,
    secondsOf: (category: bigint) => once(`category ${category}`, () => secondsOfCategory(client, category)),
    maxTrust: async (): Promise<bigint> => (await once("trust", () => paramNow(client, "maxTrust"))) ?? UNKNOWN,
  };
};
export type Facts = ReturnType<typeof createFacts>;
