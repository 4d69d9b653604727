import { TopicValidatorResult } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import { decodeBlock } from "../chain/block.ts";
import type { Engine } from "../consensus/engine.ts";
import { decodeEvidence } from "../consensus/evidence.ts";
import { failConsensus } from "../consensus/rules.ts";
import { decodeShare } from "../consensus/shares.ts";
import { decodeVote } from "../consensus/votes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import type { Host } from "./host.ts";
import type { OrderBook } from "./orders/book.ts";
import { failOrder } from "./orders/check.ts";
import { createLimiter } from "./streams.ts";
import { KINDS, type Kind, MAX_MESSAGE_BYTES, topicOf } from "./topics.ts";

const RESULTS = {
  reject: TopicValidatorResult.Reject,
  ignore: TopicValidatorResult.Ignore,
  retry: TopicValidatorResult.Ignore,
};

/** Tells gossip what the rules say of each message, and hands what they accept to the engine. */
export const startGossip = (options: {
  readonly host: Host;
  readonly engine: Engine;
  readonly orders: OrderBook;
  readonly log: Log;
  /** A block came whose parent is not known here. */
  readonly onMissingParent: (peer: PeerId) => void;
}): { publish(kind: Kind, bytes: Uint8Array): void } => {
  const { host, engine, orders, log } = options;
  const { pubsub } = host.services;
  const mayOrder = createLimiter();

  const take: Record<Kind, (bytes: Uint8Array, peer: PeerId) => Promise<void>> = {
    block: async (bytes, peer) => {
      const status = await engine.importBlock(decodeBlock(bytes), "gossip");
      if (status !== "waiting") return;
      options.onMissingParent(peer);
      // Who has its parent passes it on: what cannot be judged yet is not spread.
      failConsensus("block-waiting", "its slot or its parent has not come");
    },
    tx: async (bytes) => {
      engine.addTransaction(bytes);
    },
    vote: (bytes, peer) => engine.addVote(decodeVote(bytes), peer.toString()),
    evidence: async (bytes) => engine.addEvidence(decodeEvidence(bytes)),
    share: (bytes) => engine.addShare(decodeShare(bytes)),
    order: async (bytes, peer) => {
      // What is one too many comes by the exchange of books.
      if (!mayOrder(peer)) failOrder("order-rate", "too many orders from one peer");
      await orders.addEncoded(bytes);
    },
  };

  for (const kind of KINDS) {
    const topic = topicOf(engine.genesisHash, kind);
    pubsub.topicValidators.set(topic, async (peer, message) => {
      if (message.data.length > MAX_MESSAGE_BYTES[kind]) return TopicValidatorResult.Reject;
      try {
        await take[kind](message.data, peer);
        return TopicValidatorResult.Accept;
      } catch (error) {
        if (error instanceof RuleError) {
          log.debug({ kind, peer: peer.toString(), error: error.message }, "gossip refused");
          // A vote for a block that is still on its way is no fault, and comes again with the block's certificates.
          return RESULTS[error.verdict];
        }
        log.error({ kind, error: (error as Error).stack }, "a message met a bug of ours");
        return TopicValidatorResult.Ignore;
      }
    });
    pubsub.subscribe(topic);
  }
  return {
    publish: (kind, bytes) => {
      pubsub
        .publish(topicOf(engine.genesisHash, kind), bytes)
        .catch((error: Error) => log.debug({ kind, error: error.message }, "not published"));
    },
  };
};
