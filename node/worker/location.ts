import { multiaddr } from "@multiformats/multiaddr";
import { CID } from "multiformats/cid";
import { type InputReference, parseReference } from "../../vm/wasm/params.ts";

const DAG_PB = 0x70;
const RAW = 0x55;
/** How a binary multiaddr of the protocol p2p (421) begins; iExec's SDK writes `/ipfs/<cid>` so. */
const P2P = [0xa5, 0x03] as const;
const MAX_P2P_BYTES = 128;

/**
 * Reads where a registry's entry says that its data lies: UTF-8 text, or the binary multiaddr that iExec's SDK makes of
 * `/ipfs/<cid>`. That keeps a CID's hash and not its kind, so both kinds are given: no bytes but those of one have the hash.
 * Throws WasmRefused for anything that names no data.
 */
export const referencesOf = (location: Uint8Array): InputReference[] => {
  if (location[0] !== P2P[0] || location[1] !== P2P[1]) return [parseReference(new TextDecoder().decode(location))];
  let hash: CID["multihash"];
  try {
    // Writing it takes the square of its length.
    if (location.length > MAX_P2P_BYTES) throw new RangeError("no hash is so long");
    hash = CID.parse(multiaddr(location).toString().replace("/p2p/", "")).multihash;
  } catch {
    return [parseReference(`multiaddr of ${location.length} bytes`)];
  }
  return [DAG_PB, RAW].map((codec) => parseReference(`/ipfs/${CID.createV1(codec, hash)}`));
};
