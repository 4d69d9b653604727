import { MAX_BLOCK_BYTES } from "../chain/block.ts";
import type { Hash } from "../lib/bytes.ts";
import { MAX_ORDER_BYTES } from "./orders/check.ts";

/** The first eight hex digits of the genesis hash: networks do not hear each other. */
const networkId = (genesisHash: Hash): string => genesisHash.slice(2, 10);

export const KINDS = ["block", "tx", "vote", "share", "evidence", "order"] as const;
export type Kind = (typeof KINDS)[number];

/** What every protocol and topic of a network begins with. */
export const networkPrefix = (genesisHash: Hash): string => `/rolec/${networkId(genesisHash)}/`;

/** The gossip topic of a kind of message. */
export const topicOf = (genesisHash: Hash, kind: Kind): string => `${networkPrefix(genesisHash)}${kind}/1`;

/** The protocol of a stream. */
export const protocolOf = (genesisHash: Hash, name: "status" | "blocks" | "votes" | "lot" | "orders"): string =>
  `${networkPrefix(genesisHash)}stream/${name}/1`;

/** The protocol of Kademlia among the nodes of a chain. */
export const kademliaProtocol = (genesisHash: Hash): string => `${networkPrefix(genesisHash)}kad/1.0.0`;

/** Bytes of one gossip message at most. */
export const MAX_MESSAGE_BYTES: Record<Kind, number> = {
  block: MAX_BLOCK_BYTES,
  tx: 128 * 1024,
  vote: 512,
  share: 256,
  evidence: 32 * 1024,
  order: MAX_ORDER_BYTES,
};
