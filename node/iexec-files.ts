import { type Address, type Hash, type Hex, ZERO_ADDRESS, ZERO_HASH } from "../lib/bytes.ts";
import type { RpcClient } from "../rpc/client.ts";
import { encodeAbi } from "../vm/abi.ts";
import { HUB, MARKET } from "../vm/addresses.ts";
import { boughtGas, GGAS } from "../vm/market/clock.ts";
import { firstCommittee } from "../vm/market/committee.ts";
import { orderHash, WORKERPOOL_ORDER, type WorkerpoolOrder } from "../vm/market/order.ts";
import { hubFunction, marketFunction, view, viewCategory } from "./market-client.ts";

/** The name of the chain in the files of iExec's tools. */
const CHAIN_NAME = "rolec";
/** Nothing listens at the port of the discard service: a secret that is pushed by mistake does not leave the machine. */
const NO_SERVICE = "http://127.0.0.1:9";

/** How iExec's tools see RLC: as the chain's coin, or as the token at 0x…1005. Both are the same balance. */
export type RlcMode = "native" | "token";

/** The document chain.json of iExec's CLI. Its schemas refuse a key that they do not know. */
export interface ChainFile {
  readonly default: string;
  readonly chains: Readonly<Record<string, Readonly<Record<string, string | boolean>>>>;
}

/**
 * Makes chain.json for the chain behind a node's RPC. Versions from 9 on have no native mode and refuse its key. Throws
 * where the node does not answer, or its chain has no hub.
 */
export const chainFile = async (client: RpcClient, host: string, mode: RlcMode): Promise<ChainFile> => {
  const [id, code] = await Promise.all([client.call("eth_chainId", []), client.call("eth_getCode", [HUB, "latest"])]);
  if (code === "0x") throw new Error(`the chain of ${host} has no hub at ${HUB}: it is none of rolec`);
  const chain = {
    id: Number(id).toString(),
    host,
    hub: HUB,
    sms: NO_SERVICE,
    ipfsGateway: host.replace(/\/+$/, ""),
    ...(mode === "native" ? { native: true, useGas: true } : {}),
  };
  return { default: CHAIN_NAME, chains: { [CHAIN_NAME]: chain } };
};

interface GenesisJson {
  readonly genesisTime: number;
  readonly params: Readonly<Record<string, unknown>>;
  readonly upgrades: readonly Readonly<Record<string, unknown>>[];
}

/** Reads a parameter in force at a time, as genesis and its upgrades have it. */
const paramAt = ({ genesisTime, params, upgrades }: GenesisJson, name: string, time: number): bigint => {
  const [slot, epoch, era] = [params.slotSeconds, params.slotsPerEpoch, params.epochsPerEra].map(Number);
  const now = Math.floor((time - genesisTime) / (slot! * epoch! * era!));
  const changes = upgrades.filter((upgrade) => Number(upgrade.era) <= now && upgrade[name] !== undefined);
  return BigInt(String((changes.at(-1) ?? params)[name]));
};

/** Reads a parameter in force at the head. */
export const paramNow = async (client: RpcClient, name: string): Promise<bigint> => {
  const [genesis, head] = await Promise.all([
    client.call("rolec_genesis", []) as Promise<GenesisJson>,
    client.call("eth_getBlockByNumber", ["latest", false]) as Promise<{ timestamp: Hex }>,
  ]);
  return paramAt(genesis, name, Number(head.timestamp));
};

export interface PoolOrderOptions {
  readonly category: bigint;
  readonly trust: bigint;
  /** Tasks. */
  readonly volume: bigint;
  /** Makes an order another than one of the same terms that was used up. */
  readonly salt: Hash;
}

/** Gives the public pool. */
export const publicPool = async (client: RpcClient): Promise<Address> =>
  (await view(client, MARKET, marketFunction("genesisPool")))[0] as Address;

/**
 * Makes an order of the public pool at its standing price, whose signature is the order itself (spec section 10), and asks
 * the chain whether it stands. Throws where there is no such category, or the pool does not go so far in trust.
 */
export const publicPoolOrder = async (client: RpcClient, options: PoolOrderOptions): Promise<WorkerpoolOrder> => {
  const [id, genesis, head] = await Promise.all([
    client.call("eth_chainId", []),
    client.call("rolec_genesis", []) as Promise<GenesisJson>,
    client.call("eth_getBlockByNumber", ["latest", false]) as Promise<{ timestamp: Hex }>,
  ]);
  const pool = await publicPool(client);
  const { seconds } = await viewCategory(client, options.category);
  const time = Number(head.timestamp);
  const maxTrust = paramAt(genesis, "maxTrust", time);
  if (options.trust > maxTrust) throw new Error(`the public pool's trust ends at ${maxTrust}`);
  const seats = BigInt(firstCommittee(options.trust < 1n ? 1n : options.trust));
  const gas = BigInt(boughtGas(seconds));
  const terms: Omit<WorkerpoolOrder, "sign"> = {
    workerpool: pool,
    workerpoolprice: (paramAt(genesis, "pricePerGgasNrlc", time) * gas * seats + GGAS - 1n) / GGAS,
    volume: options.volume,
    tag: ZERO_HASH,
    category: options.category,
    trust: options.trust,
    apprestrict: ZERO_ADDRESS,
    datasetrestrict: ZERO_ADDRESS,
    requesterrestrict: ZERO_ADDRESS,
    salt: options.salt,
  };
  const sign = encodeAbi(WORKERPOOL_ORDER.signedTypes, Object.values(terms));
  const order = { ...terms, sign };
  const hash = orderHash(Number(id), WORKERPOOL_ORDER, order);
  const [stands] = await view(client, HUB, hubFunction("verifySignature"), MARKET, hash, sign);
  if (stands !== true) throw new Error("the public pool does not stand by this order");
  return order;
};
