import { TopicValidatorResult } from "@libp2p/gossipsub";
import type { PeerId } from "@libp2p/interface";
import { decodeBlock, decodeBlockHead } from "../chain/block.ts";
import { failChain } from "../chain/rules.ts";
import { decodeTransaction } from "../chain/transaction.ts";
import type { Engine } from "../consensus/engine.ts";
import { decodeEvidence } from "../consensus/evidence.ts";
import { failConsensus } from "../consensus/rules.ts";
import { decodeShare } from "../consensus/shares.ts";
import { decodeVote } from "../consensus/votes.ts";
import type { Log } from "../lib/log.ts";
import { RuleError } from "../lib/rule-error.ts";
import { createGossipGate } from "./gossip-gate.ts";
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

/** What these rules say rests on the head's state: a node that is behind does not know those that registered since. */
const OF_THE_HEAD: ReadonlySet<string> = new Set(["evidence-signature", "vote-member"]);
const BEHIND_MS = 60_000;
/** A block without its parent is not read beyond these: it is asked for with its parent. */
const MAX_ORPHAN_BYTES = 64 * 1024;

/** What a message of no use cost beyond its first look: a block is run in the engine's queue, a share's Ethash in a thread. */
const LATER_MS: Record<Kind, number> = { block: 50, tx: 0, vote: 0, share: 5, evidence: 0, order: 0 };

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

  const offers = new Set((["tx", "order"] as const).map((kind) => topicOf(engine.genesisHash, kind)));
  const gate = createGossipGate(host, (topic) => offers.has(topic));
  const isBehind = (): boolean => engine.now() - engine.head().header.timestamp * 1000 > BEHIND_MS;

  /** Judges what came. Throws RuleError; `later` is called before what is not done at once. */
  const take: Record<Kind, (bytes: Uint8Array, peer: PeerId, later: () => void) => Promise<void>> = {
    block: async (bytes, peer, later) => {
      // Who signed it is known before its body is read, which may be anything and takes a hundred times as long.
      const head = decodeBlockHead(bytes);
      engine.screenBlock(head, bytes.length);
      if (bytes.length > MAX_ORPHAN_BYTES && !engine.has(head.header.parentHash)) {
        options.onMissingParent(peer);
        failConsensus("block-waiting", "its parent has not come, and it is large: it comes again with it");
      }
      const block = decodeBlock(bytes);
      later();
      const status = await engine.importBlock(block, "gossip");
      if (status !== "waiting") return;
      options.onMissingParent(peer);
      // Who has its parent passes it on: what cannot be judged yet is not spread.
      failConsensus("block-waiting", "its slot or its parent has not come");
    },
    tx: async (bytes) => {
      const tx = decodeTransaction(bytes);
      // No block takes it now: it costs nobody anything, and is neither recovered nor passed on.
      const { baseFeePerGas } = engine.head().header;
      if (tx.maxFeePerGas < baseFeePerGas)
        failChain("pool-underpriced", `max fee ${tx.maxFeePerGas}, base fee ${baseFeePerGas}`);
      engine.addTransaction(tx);
    },
    vote: async (bytes, peer) => {
      const vote = decodeVote(bytes);
      // What gossip has forgotten is not passed on once more.
      if (engine.votes.signature(vote) === vote.signature) failConsensus("vote-known", vote.index);
      await engine.addVote(vote, peer.toString());
    },
    evidence: async (bytes) => engine.addEvidence(decodeEvidence(bytes)),
    share: async (bytes, _, later) => {
      const share = decodeShare(bytes);
      later();
      await engine.addShare(share);
    },
    order: async (bytes, peer) => {
      // What is one too many comes by the exchange of books.
      if (!mayOrder(peer)) failOrder("order-rate", "too many orders from one peer");
      await orders.addEncoded(bytes);
    },
  };

  for (const kind of KINDS) {
    const topic = topicOf(engine.genesisHash, kind);
    pubsub.topicValidators.set(topic, (peer, { data }) =>
      gate.judge(peer, { topic, data }, async () => {
        if (data.length > MAX_MESSAGE_BYTES[kind]) return { result: TopicValidatorResult.Reject, laterMs: 0 };
        let laterMs = 0;
        const later = (): void => {
          laterMs = LATER_MS[kind];
        };
        try {
          await take[kind](data, peer, later);
          return { result: TopicValidatorResult.Accept, laterMs };
        } catch (error) {
          if (error instanceof RuleError) {
            log.debug({ kind, peer: peer.toString(), error: error.message }, "gossip refused");
            // A vote for a block that is still on its way is no fault, and comes again with the block's certificates.
            const verdict = OF_THE_HEAD.has(error.code) && isBehind() ? "ignore" : error.verdict;
            return { result: RESULTS[verdict], laterMs };
          }
          log.error({ kind, error: (error as Error).stack }, "a message met a bug of ours");
          return { result: TopicValidatorResult.Ignore, laterMs };
        }
      }),
    );
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
