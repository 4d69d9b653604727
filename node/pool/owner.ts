import { type Address, EMPTY, type Hex, word, wordAddress, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { WORKERPOOL_REGISTRY } from "../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_ABI, WORKERPOOL_REGISTRY_ABI } from "../../vm/market/abi.ts";
import type { WorkerpoolOrder } from "../../vm/market/order.ts";
import { freshSalt, signOrder } from "../orders.ts";
import { transact } from "../wallet.ts";

const registry = functionsOf(WORKERPOOL_REGISTRY_ABI);
const entry = functionsOf(WORKERPOOL_ABI);

/** Deploys an owner-scheduled pool, and says what workers bind of a task's price and what the owner keeps, in percent. */
export const createPool = async (
  client: RpcClient,
  key: Hex,
  description: string,
  { stakePercent, ownerPercent }: { readonly stakePercent: bigint; readonly ownerPercent: bigint },
): Promise<Address> => {
  const receipt = await transact(client, key, {
    to: WORKERPOOL_REGISTRY,
    data: registry("createWorkerpool").encode(addressOf(key), description),
  });
  const minted = receipt.logs.find((log) => log.address === WORKERPOOL_REGISTRY && log.topics.length === 4);
  if (!minted) throw new Error("the registry made no entry");
  const pool: Address = wordAddress(minted.topics[3]!);
  await transact(client, key, { to: pool, data: entry("changePolicy").encode(stakePercent, ownerPercent) });
  return pool;
};

export interface PoolTerms {
  readonly pool: Address;
  /** nRLC for a task. */
  readonly priceNrlc: bigint;
  readonly volume: bigint;
  readonly category: bigint;
  /** Bit 0: tasks that ask for an enclave. */
  readonly tag: bigint;
  /** The most trust that a deal may ask for. */
  readonly trust: bigint;
}

/** Makes an order of a pool, signed by its owner (EIP-712). */
export const signPoolOrder = (chainId: number, key: Hex, terms: PoolTerms): WorkerpoolOrder => {
  const order: WorkerpoolOrder = {
    workerpool: terms.pool,
    workerpoolprice: terms.priceNrlc,
    volume: terms.volume,
    tag: word(terms.tag),
    category: terms.category,
    trust: terms.trust,
    apprestrict: ZERO_ADDRESS,
    datasetrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt: freshSalt(),
    sign: EMPTY,
  };
  return signOrder(chainId, key, { kind: "workerpool", order }).order;
};
