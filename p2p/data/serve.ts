import type { PeerId } from "@libp2p/interface";
import type { CID } from "multiformats/cid";
import type { Hash } from "../../lib/bytes.ts";
import { monotonic } from "../bucket.ts";
import type { Host } from "../host.ts";
import { serve } from "../streams.ts";
import type { BlockStore } from "./blocks.ts";
import { cidFromBytes } from "./cid.ts";
import { MAX_BLOCK_BYTES } from "./limits.ts";

/** CIDs in a request. */
export const MAX_CIDS = 128;
/** Bytes of blocks after which an answer ends: few, so that slow lines end in time, and memory stays small. */
const FULL_BYTES = 1024 * 1024;
export const MAX_ANSWER_BYTES = FULL_BYTES + MAX_BLOCK_BYTES + 64 * 1024;

/** What is given in a window of time, to one peer and to all; the rest is told to come again. */
const WINDOW_MS = 2_000;
const PEER_BYTES = 64 * 1024 * 1024;
const ALL_BYTES = 128 * 1024 * 1024;
const PEER_REQUESTS = 400;
/** A request costs as much as so many bytes, and each CID in it. */
const REQUEST_BYTES = 4_096;
const CID_COST_BYTES = 1_024;
/** Who asks so many times over what it may does not heed the answers. */
const ABUSE = 4;

/** The protocol of data of a chain. */
export const dataProtocol = (genesisHash: Hash): string => `/rolec/${genesisHash.slice(2, 10)}/data/1`;

/**
 * Answers `{ want: [cid…] }` with a list of blocks, null for one that is not here, that ends early when it is full;
 * `{ has: [cid…] }` with a list of booleans; and either with a number, milliseconds to come again in, when a window's
 * share is given out. A CID is its bytes. Anything else ends the stream.
 */
export const serveData = async (host: Host, protocol: string, blocks: BlockStore): Promise<void> => {
  let windowStart = monotonic();
  let allBytes = 0;
  const peers = new Map<string, { bytes: number; requests: number }>();

  const cidsOf = (list: unknown): CID[] => {
    if (!Array.isArray(list) || list.length === 0 || list.length > MAX_CIDS) throw new Error("no list of CIDs");
    return list.map(cidFromBytes);
  };
  const answer = (request: unknown, peer: PeerId): unknown => {
    const now = monotonic();
    if (now - windowStart >= WINDOW_MS) {
      windowStart = now;
      allBytes = 0;
      peers.clear();
    }
    const used = peers.get(peer.toString()) ?? { bytes: 0, requests: 0 };
    peers.set(peer.toString(), used);
    used.requests += 1;
    if (used.requests > PEER_REQUESTS * ABUSE) throw new Error("too many requests");
    if (used.requests > PEER_REQUESTS || used.bytes > PEER_BYTES || allBytes > ALL_BYTES)
      return windowStart + WINDOW_MS - now + 1;
    const spend = (bytes: number): void => {
      used.bytes += bytes;
      allBytes += bytes;
    };
    const { want, has } = (request ?? {}) as { want?: unknown; has?: unknown };
    const cids = cidsOf(has ?? want);
    spend(REQUEST_BYTES + CID_COST_BYTES * cids.length);
    if (has !== undefined) return cids.map(blocks.has);
    const found: (Uint8Array | null)[] = [];
    let bytes = 0;
    for (const cid of cids) {
      const block = blocks.get(cid) ?? null;
      found.push(block);
      bytes += block?.length ?? 0;
      if (bytes >= FULL_BYTES) break;
    }
    spend(bytes);
    return found;
  };
  await serve(host, protocol, () => true, answer);
};
