import { TopicValidatorResult } from "@libp2p/gossipsub";
import type { PeerId, Stream } from "@libp2p/interface";
import { putNewest } from "../lib/lru.ts";
import { type Clock, monotonic } from "./bucket.ts";
import type { Host } from "./host.ts";
import { processorMs } from "./peer-budget.ts";

/** Bytes of messages that are being judged: of one peer, and of all. */
const PEER_BYTES = 8 * 1024 * 1024;
const ALL_BYTES = 48 * 1024 * 1024;
/** Who has not read so much of what it was sent gets nothing more that it asks for. */
const MAX_UNREAD_BYTES = 512 * 1024;
/** What an envelope without messages costs, and each name of a message in it. */
const MS_PER_ENVELOPE = 0.05;
const MS_PER_NAME = 0.002;
/**
 * Repeats and envelopes without messages that a peer is not charged for: gossip brings what is accepted from several peers, and
 * each tells what it has.
 */
const USUAL = 1_024;
const USUAL_PER_MESSAGE = 2;
const MAX_PEERS = 4_096;
/** A promise that fails within so long after something of its peer was left unread may have been kept: it is given 3 s. */
const UNREAD_MS = 5_000;
/** How long a peer may have no stream for what it is sent: the library makes none in the place of one that it gave up. */
const MUTE_TICKS = 10;
/** What a message costs that is known, or of no topic: it was decrypted, copied and hashed. */
const MS_PER_REPEAT = 0.05;
const MS_PER_REPEATED_BYTE = 3e-6;
/** What a message of no use cost before it was looked at. */
const MS_PER_MESSAGE = 0.15;
/** What a message costs at least that no honest peer can have sent. */
const MS_PER_REJECT = 10;

/** A message of gossipsub. */
export interface Message {
  readonly topic: string;
  readonly data?: Uint8Array;
}
interface Names {
  readonly topicID?: string;
  readonly messageIDs?: readonly Uint8Array[];
}
interface Control {
  ihave?: readonly Names[];
  iwant?: readonly Names[];
  idontwant?: readonly Names[];
  graft?: readonly unknown[];
  prune?: readonly unknown[];
}
/** An envelope of gossipsub. */
interface Envelope {
  readonly subscriptions: readonly unknown[];
  readonly messages: readonly Message[];
  readonly control?: Control | undefined;
}
/** What gossipsub has and does not declare; a version without it is noticed at the start. */
interface Router {
  /** Tells whether a peer has not lost too much of its score by breaking rules. */
  acceptFrom(peer: string): boolean;
  handleReceivedRpc(from: PeerId, envelope: Envelope): Promise<void>;
  /** Holds peers to what they were asked for after they had said that they have it. */
  readonly gossipTracer: {
    /** How many of its promises each peer has just broken; each costs it of its score. */
    getBrokenPromises(): Map<string, number>;
  };
}

/** What was said of a message, and what it cost after the first look at it, in milliseconds of processor. */
export interface Judgement {
  readonly result: TopicValidatorResult;
  readonly laterMs: number;
}

/** Stands between gossipsub and the rules. */
export interface GossipGate {
  /** Has a message judged, to its peer's gain or loss. What `judge` does before it first waits is measured. */
  judge(peer: PeerId, message: Message, judge: () => Promise<Judgement>): Promise<TopicValidatorResult>;
}

/**
 * Puts a gate before gossipsub: envelopes are taken apart and their messages judged one by one, as long as their peer's budget
 * admits it. What is left unread is not remembered as seen, so that it can come from somebody else. `isOffer` tells the topics of
 * what one node takes and another may not (peer-budget.ts): its rate is bounded, and it neither earns nor is a fault.
 */
export const createGossipGate = (
  host: Host,
  isOffer: (topic: string) => boolean,
  now: Clock = monotonic,
): GossipGate => {
  const { pubsub, budget, turns } = host.services;
  const router = pubsub as unknown as Router;
  const { gossipTracer: tracer } = router;
  if (typeof router.handleReceivedRpc !== "function" || typeof tracer?.getBrokenPromises !== "function")
    throw new Error("this gossipsub has no way to hold peers to account");
  const handle = router.handleReceivedRpc.bind(pubsub);
  /** Offers wait for what the chain needs. */
  const turnFor = (topic: string): Promise<void> => turns.turn(isOffer(topic) ? 1 : 0);
  /** Calls when the first look at a message is over. */
  const looking = new WeakMap<Uint8Array, () => void>();
  const bytesOf = new Map<string, number>();
  let allBytes = 0;
  const hold = (peer: string, bytes: number): void => {
    allBytes += bytes;
    const left = (bytesOf.get(peer) ?? 0) + bytes;
    if (left > 0) bytesOf.set(peer, left);
    else bytesOf.delete(peer);
  };
  let accepted = 0;
  const usual = new Map<string, { at: number; left: number }>();
  /** Tells whether a peer repeats no more than others do, too. */
  const isUsual = (peer: string): boolean => {
    const entry = usual.get(peer) ?? { at: accepted, left: USUAL };
    putNewest(usual, peer, entry, MAX_PEERS);
    entry.left = Math.min(USUAL, entry.left + USUAL_PER_MESSAGE * (accepted - entry.at));
    entry.at = accepted;
    if (entry.left < 1) return false;
    entry.left -= 1;
    return true;
  };
  /** The streams on which a peer is sent gossip. */
  const streamsTo = (peer: PeerId): readonly Stream[] =>
    host
      .getConnections(peer)
      .flatMap(({ streams }) => streams)
      .filter(({ protocol, direction }) => direction === "outbound" && protocol.startsWith("/meshsub/"));
  const isUnread = (peer: PeerId): boolean =>
    streamsTo(peer).some(({ writeBufferLength }) => writeBufferLength > MAX_UNREAD_BYTES);
  const mute = new Map<string, number>();
  const onHeartbeat = (): void => {
    for (const peer of pubsub.getPeers()) {
      const ticks = streamsTo(peer).length > 0 ? 0 : (mute.get(peer.toString()) ?? 0) + 1;
      if (ticks === 0 || ticks >= MUTE_TICKS) mute.delete(peer.toString());
      else mute.set(peer.toString(), ticks);
      // It comes again, or is called again, and is heard and told then.
      if (ticks >= MUTE_TICKS) host.hangUp(peer).catch(() => undefined);
    }
    if (mute.size > MAX_PEERS) mute.clear();
  };
  const rest = (peer: PeerId, { control, ...envelope }: Envelope): Envelope => {
    const ihave = control?.ihave?.filter(({ topicID }) => topicID === undefined || !isOffer(topicID));
    // What is not going to be read is not asked for.
    const asked = control && ihave && !budget.admitsOffer(peer.toString()) ? { ...control, ihave } : control;
    const heard = asked && isUnread(peer) ? { ...asked, iwant: [] } : asked;
    return { ...envelope, messages: [], control: heard };
  };
  /** When something of a peer was last left unread: it may have been what it had promised. */
  const unreadAt = new Map<string, number>();
  const leaveUnread = (peer: string): void => {
    putNewest(unreadAt, peer, now(), MAX_PEERS);
  };
  const brokenPromises = tracer.getBrokenPromises.bind(tracer);
  tracer.getBrokenPromises = () => {
    const broken = brokenPromises();
    for (const peer of broken.keys()) {
      const wasUnread = now() - (unreadAt.get(peer) ?? Number.NEGATIVE_INFINITY) < UNREAD_MS;
      // Nor has what waits here to be judged been delivered, for the library.
      if (wasUnread || bytesOf.has(peer)) broken.delete(peer);
    }
    return broken;
  };
  const namesIn = (control: Control | undefined): number =>
    [control?.ihave, control?.iwant, control?.idontwant]
      .flatMap((lists) => lists ?? [])
      .reduce((sum, { messageIDs }) => sum + (messageIDs?.length ?? 0), 0);

  router.handleReceivedRpc = async (from, envelope) => {
    const peer = from.toString();
    const count = Math.max(1, envelope.messages.length);
    if (!router.acceptFrom(peer) || !budget.admits(peer)) {
      leaveUnread(peer);
      return budget.leave(peer, count);
    }
    budget.spend(peer, MS_PER_NAME * namesIn(envelope.control));
    if (envelope.messages.length === 0 && !isUsual(peer)) budget.spend(peer, MS_PER_ENVELOPE);
    await handle(from, rest(from, envelope));
    for (const message of envelope.messages) {
      await turnFor(message.topic);
      const bytes = message.data?.length ?? 0;
      const isAdmitted = budget.admits(peer);
      if (!isAdmitted) budget.leave(peer);
      // Too many, which others may have made: no fault of the peer's.
      const isTooMany = isOffer(message.topic) && !budget.admitsOffer(peer);
      // Room is short where much is being judged: no fault of the peer's.
      const isTooMuch = allBytes + bytes > ALL_BYTES || (bytesOf.get(peer) ?? 0) + bytes > PEER_BYTES;
      if (!isAdmitted || isTooMany || isTooMuch) {
        leaveUnread(peer);
        continue;
      }
      hold(peer, bytes);
      let isLookedAt = false;
      const looked = new Promise<void>((resolve) => {
        if (!message.data) return;
        looking.set(message.data, () => {
          isLookedAt = true;
          resolve();
        });
      });
      const handled = handle(from, { subscriptions: [], messages: [message] }).finally(() => hold(peer, -bytes));
      await Promise.race([handled, looked]);
      if (!isLookedAt && !isUsual(peer)) budget.spend(peer, MS_PER_REPEAT + bytes * MS_PER_REPEATED_BYTE);
    }
  };

  pubsub.addEventListener("gossipsub:heartbeat", onHeartbeat);

  return {
    judge: async (from, { topic, data }, judge) => {
      const peer = from.toString();
      await turnFor(topic);
      const began = processorMs();
      const judging = judge();
      const ms = processorMs() - began;
      if (isOffer(topic)) budget.spendOffer(peer, ms);
      if (data) looking.get(data)?.();
      const { result, laterMs } = await judging;
      if (result === TopicValidatorResult.Accept) accepted += 1;
      if (result === TopicValidatorResult.Reject) {
        budget.fault(peer);
        budget.spend(peer, ms + laterMs + MS_PER_REJECT);
      } else if (isOffer(topic)) return result;
      else if (result === TopicValidatorResult.Accept) budget.reward(peer, ms + laterMs);
      else budget.spend(peer, ms + laterMs + MS_PER_MESSAGE);
      return result;
    },
  };
};
