import { keccak256 } from "../lib/keccak.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { txpoolMethods } from "./txpool.ts";
import { data, hexNumber } from "./values.ts";

/** What the RPC needs of the network of nodes. */
export interface NetworkPort {
  peers(): readonly unknown[];
  multiaddrs(): readonly string[];
}

/** Name and version that web3_clientVersion and rolec_network give. */
export const CLIENT_VERSION = `rolec/v0.1.0/${process.platform}-${process.arch}/node${process.versions.node}`;

/** Methods about the node itself. */
export const netMethods = (view: ChainView, network: NetworkPort | undefined): Methods => ({
  net_version: method([], () => String(view.engine.chain.genesis.chainId)),
  net_listening: method([], () => network !== undefined),
  net_peerCount: method([], () => hexNumber(network?.peers().length ?? 0)),
  web3_clientVersion: method([], () => CLIENT_VERSION),
  web3_sha3: method([data], ([bytes]) => keccak256(bytes)),
  rpc_modules: method([], () => ({ eth: "1.0", net: "1.0", web3: "1.0", txpool: "1.0", rolec: "1.0" })),
  ...txpoolMethods(view),
});
