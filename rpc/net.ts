import { toHex } from "../lib/bytes.ts";
import { keccak256 } from "../lib/keccak.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { data, hexNumber } from "./values.ts";

/** What the RPC needs of the network of nodes. */
export interface NetworkPort {
  peers(): readonly unknown[];
  multiaddrs(): readonly string[];
}

/** Name and version that web3_clientVersion and rolec_network give. */
export const CLIENT_VERSION = `rolec/v0.1.0/${process.platform}-${process.arch}/node${process.versions.node}`;

/** Calldata in one txpool_content at most. */
const MAX_POOL_BYTES = 1024 * 1024;
/** Transactions that are written in one turn. */
const PER_TURN = 64;

/** Methods about the node itself. */
export const netMethods = (view: ChainView, network: NetworkPort | undefined): Methods => ({
  net_version: method([], () => String(view.engine.chain.genesis.chainId)),
  net_listening: method([], () => network !== undefined),
  net_peerCount: method([], () => hexNumber(network?.peers().length ?? 0)),
  web3_clientVersion: method([], () => CLIENT_VERSION),
  web3_sha3: method([data], ([bytes]) => keccak256(bytes)),
  rpc_modules: method([], () => ({ eth: "1.0", net: "1.0", web3: "1.0", txpool: "1.0", rolec: "1.0" })),
  txpool_status: method([], () => ({ pending: hexNumber(view.engine.pool.size), queued: "0x0" })),
  txpool_content: method([], async (_, { turn }) => {
    const pending: Record<string, Record<string, unknown>> = {};
    let left = 4_096;
    let bytes = MAX_POOL_BYTES;
    for (const tx of view.engine.pool.all()) {
      bytes -= tx.data.length;
      if (left-- === 0 || bytes < 0) break;
      if (left % PER_TURN === 0) await turn();
      const sender = tx.sender ?? "unknown";
      pending[sender] ??= {};
      pending[sender][String(tx.nonce)] = { hash: tx.hash, to: tx.to ?? null, input: toHex(tx.data) };
    }
    return { pending, queued: {} };
  }),
});
