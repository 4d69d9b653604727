import type { Attacks } from "./attack.ts";
import { BLOCK_ATTACKS } from "./block-attacks.ts";
import { GOSSIP_ATTACKS } from "./gossip-attacks.ts";
import { STREAM_ATTACKS } from "./stream-attacks.ts";

/** What a peer can do that speaks libp2p and this chain's protocols. */
export const PEER_ATTACKS: Attacks = { ...GOSSIP_ATTACKS, ...BLOCK_ATTACKS, ...STREAM_ATTACKS };
