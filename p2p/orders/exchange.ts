import { setTimeout as sleep } from "node:timers/promises";
import type { PeerId } from "@libp2p/interface";
import { concat, fromHex, type Hash, isHex, toHex } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { RuleError } from "../../lib/rule-error.ts";
import { encodeOrder } from "../../vm/market/signed-order.ts";
import { expel } from "../bans.ts";
import type { Host } from "../host.ts";
import { ask, createLimiter, serve } from "../streams.ts";
import { protocolOf } from "../topics.ts";
import { MAX_ORDERS, type OrderBook } from "./book.ts";
import { failOrder, MAX_ORDER_BYTES } from "./check.ts";

/** Orders of one answer. */
const PAGE = 32;
const HASH_BYTES = 32;
const MAX_HASHES_BYTES = MAX_ORDERS * HASH_BYTES + 16;
const MAX_PAGE_BYTES = PAGE * (MAX_ORDER_BYTES + 16);
/** A node that starts asks soon, then once a minute somebody else: what gossip lost comes this way. */
const FIRST_MS = 2_000;
const ROUND_MS = 60_000;
/** Orders that a peer has and that do not stand here are not asked for again at once. */
const MAX_REFUSED = 8_192;
const MAX_NEW = 1_024;

/** Brings books of peers together. Stops with what it gives. */
export const startOrderExchange = async (options: {
  readonly host: Host;
  readonly genesisHash: Hash;
  readonly book: OrderBook;
  readonly log: Log;
  readonly firstMs?: number;
}): Promise<() => void> => {
  const { host, book, log } = options;
  const protocol = protocolOf(options.genesisHash, "orders");
  const refused = new Set<Hash>();
  const stopped = new AbortController();

  await serve(host, protocol, createLimiter(), (request) => {
    const { hashes } = request as { hashes?: unknown };
    if (hashes === undefined) return concat(...book.hashes().map(fromHex));
    if (!Array.isArray(hashes) || hashes.length > PAGE || !hashes.every((hash) => isHex(hash, HASH_BYTES)))
      return failOrder("order-malformed", "hashes of orders are expected");
    return (hashes as Hash[]).flatMap((hash) => book.get(hash) ?? []).map(encodeOrder);
  });

  const hashesOf = async (peer: PeerId): Promise<Hash[]> => {
    const answer = await ask(host, peer, protocol, {}, MAX_HASHES_BYTES);
    if (!(answer instanceof Uint8Array) || answer.length % HASH_BYTES !== 0) return failOrder("order-malformed");
    return Array.from({ length: answer.length / HASH_BYTES }, (_, i) =>
      toHex(answer.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)),
    );
  };
  const takeFrom = async (peer: PeerId): Promise<void> => {
    const wanted = (await hashesOf(peer)).filter((hash) => !refused.has(hash) && !book.has(hash)).slice(0, MAX_NEW);
    for (let i = 0; i < wanted.length && !stopped.signal.aborted; i += PAGE) {
      const hashes = wanted.slice(i, i + PAGE);
      const answer = await ask(host, peer, protocol, { hashes }, MAX_PAGE_BYTES);
      if (!Array.isArray(answer) || answer.length > PAGE) return failOrder("order-malformed");
      for (const bytes of answer) {
        if (!(bytes instanceof Uint8Array)) return failOrder("order-malformed");
        await book.addEncoded(bytes).catch((error: unknown) => {
          if (!(error instanceof RuleError) || error.verdict === "reject") throw error;
        });
      }
      for (const hash of hashes) if (!book.has(hash)) refused.add(hash);
      if (refused.size > MAX_REFUSED) refused.clear();
    }
  };
  const run = async (): Promise<void> => {
    await sleep(options.firstMs ?? FIRST_MS, undefined, { signal: stopped.signal });
    for (;;) {
      const peers = host.getPeers();
      const peer = peers[Math.floor(Math.random() * peers.length)];
      if (peer)
        await takeFrom(peer).catch((error: Error) => {
          log.debug({ peer: peer.toString(), error: error.message }, "no orders");
          if (error instanceof RuleError && error.verdict === "reject") expel(host, peer);
        });
      await sleep(peer ? ROUND_MS : FIRST_MS, undefined, { signal: stopped.signal });
    }
  };
  run().catch((error: Error) => {
    if (error.name !== "AbortError") log.error({ error: error.stack }, "orders are not exchanged any more");
  });
  return () => stopped.abort();
};
