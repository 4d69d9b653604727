import { type Address, fromHex, type Hash, type Hex, toHex, utf8, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { hubFunction } from "../../node/market-client.ts";
import type { RpcClient } from "../../rpc/client.ts";

/** What a chain says of one deal, its app and its dataset. */
export interface DealWords {
  readonly params?: string;
  readonly app: string | Uint8Array;
  readonly appChecksum?: Hash;
  readonly dataset?: string | Uint8Array;
  readonly datasetChecksum?: Hash;
  readonly requester?: Address;
}

const entry = (byte: string): `0x${string}` => `0x${byte.repeat(20)}`;
const place = (location: string | Uint8Array): Uint8Array => (typeof location === "string" ? utf8(location) : location);

/** Makes a client of a node whose chain has one deal, asked by any id. */
export const dealClient = (words: DealWords): RpcClient => {
  const none = ZERO_ADDRESS;
  const dataset = words.dataset === undefined ? none : entry("da");
  const deal = [
    [entry("aa"), none, 0n],
    [dataset, none, 0n],
    [none, none, 0n],
    1n,
    0n,
    ZERO_HASH,
    words.requester ?? none,
    none,
    none,
    words.params ?? "",
    1_700_000_000n,
    0n,
    1n,
    0n,
    0n,
    none,
  ];
  const answers = {
    viewDeal: () => [deal],
    viewApp: () => [[none, "app", "WASM", place(words.app), words.appChecksum ?? ZERO_HASH, new Uint8Array(0)]],
    viewDataset: () => [[none, "data", place(words.dataset ?? ""), words.datasetChecksum ?? ZERO_HASH]],
  } as const;
  const call = async (_: string, params: readonly unknown[] = []): Promise<Hex> => {
    const { data } = (params as [{ data: Hex }])[0];
    for (const [name, answer] of Object.entries(answers)) {
      const fn = hubFunction(name);
      if (toHex(fn.encode(...(name === "viewDeal" ? [ZERO_HASH] : [none]))).slice(0, 10) === data.slice(0, 10))
        return toHex(fn.encodeResult(...(answer() as never[])));
    }
    throw new Error(`unexpected call ${toHex(fromHex(data).subarray(0, 4))}`);
  };
  return {
    call,
    batch: () => Promise.reject(new Error("no batch")),
    subscribe: () => Promise.reject(new Error("none")),
  };
};
