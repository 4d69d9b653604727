import { existsSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import { type GossipSub, gossipsub } from "@libp2p/gossipsub";
import { type Identify, identify } from "@libp2p/identify";
import { type KadDHT, kadDHT, type PeerInfoMapper, removePrivateAddressesMapper } from "@libp2p/kad-dht";
import { peerIdFromString } from "@libp2p/peer-id";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Hash } from "../lib/bytes.ts";
import type { Log } from "../lib/log.ts";
import { mustBePrivate } from "../lib/private-file.ts";
import { createTurns, type Turns } from "../lib/turns.ts";
import { DamagedFileError, emptiness, readRegular, writeWhole } from "../lib/whole-file.ts";
import { subscriberOf } from "./address.ts";
import { type Answers, createAnswers } from "./answers.ts";
import { type Bans, createBans } from "./bans.ts";
import { boundedDatastore } from "./bounded-datastore.ts";
import { createConnectionLimits, MAX_INBOUND } from "./connection-limits.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { createPeerBudget, type PeerBudget } from "./peer-budget.ts";
import type { StreamNeeds } from "./stream-watch.ts";
import { KINDS, kademliaProtocol, MAX_MESSAGE_BYTES, topicOf } from "./topics.ts";
import { createTransport } from "./transport.ts";

// A type, not an interface: libp2p wants an index signature that interfaces lack.
export type Services = {
  identify: Identify;
  ping: Ping;
  pubsub: GossipSub;
  dht: KadDHT;
  bans: Bans;
  /** What peers may cost. */
  budget: PeerBudget;
  /** What peers are given. */
  answers: Answers;
  /** Bytes of frames that have begun to come and not ended. */
  incoming: Ledger;
  /** The thread's time for what peers send and ask. */
  turns: Turns;
};
export type Host = Libp2p<Services>;

const LOST_KEY =
  "Put a copy of it in its place, or remove it: the node makes another at its start, and is another peer then. What is lost is the end of its address (/p2p/…): who has that as --bootstrap needs the new one, from node.json";

/** Reads the key that makes a node the same peer after a restart; makes it at first. Throws where it is damaged, or open to others. */
export const peerKey = async (datadir: string) => {
  const path = join(datadir, "peer.key");
  if (existsSync(path)) {
    mustBePrivate(path);
    const bytes = readRegular(path);
    try {
      return privateKeyFromProtobuf(bytes);
    } catch {
      throw new DamagedFileError(path, emptiness(bytes) ?? "holds no key of a peer", LOST_KEY);
    }
  }
  const key = await generateKeyPair("Ed25519");
  writeWhole(path, privateKeyToProtobuf(key), { flush: true });
  return key;
};

/** Connections that this node makes itself come on top of those that others may make. */
export const MAX_OUTBOUND = 48;
/** Bytes of frames, of all peers together, that have begun to come. */
const MAX_INCOMING_BYTES = 32 * 1024 * 1024;
/** 32 bytes a ping; who a peer is; a question to Kademlia, or an announcement. */
const needsOf = (genesisHash: Hash): StreamNeeds => ({
  caps: new Map([
    ["/ipfs/ping/1.0.0", 4 * 1024],
    ["/ipfs/id/1.0.0", 16 * 1024],
    ["/ipfs/id/push/1.0.0", 16 * 1024],
    [kademliaProtocol(genesisHash), 64 * 1024],
  ]),
  isPrefixed: (protocol) => protocol.startsWith("/meshsub/") || protocol === kademliaProtocol(genesisHash),
});
/** An envelope of gossip: the largest message, its topic, and what control messages ride along. */
const MAX_GOSSIP_BYTES = Math.max(...Object.values(MAX_MESSAGE_BYTES)) + 256 * 1024;

/**
 * What a topic does to a peer's score (gossipsub v1.1): messages that break a rule cost the square of their number, some of it
 * forgiven each second, so that a handful in a minute ends the conversation. Delivery is not scored: a quiet peer is no bad one.
 */
const TOPIC_SCORE = {
  topicWeight: 1,
  timeInMeshWeight: 0,
  timeInMeshQuantum: 1_000,
  timeInMeshCap: 1,
  firstMessageDeliveriesWeight: 0.1,
  firstMessageDeliveriesDecay: 0.99,
  firstMessageDeliveriesCap: 100,
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 1_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  invalidMessageDeliveriesWeight: -10,
  invalidMessageDeliveriesDecay: 0.99,
};
/** Below -10 a peer gets no gossip, below -50 nothing is published to it, below -200 (five bad messages) it is not heard. */
const THRESHOLDS = {
  gossipThreshold: -10,
  publishThreshold: -50,
  graylistThreshold: -200,
  acceptPXThreshold: 10,
  opportunisticGraftThreshold: 0,
};
/** Several nodes on one machine share an address, and a restarted network dials all at once; see connection-limits.ts. */
const INBOUND_PER_SECOND = 20;
const MAX_PENDING = 32;
const UPGRADE_MS = 5_000;

/** Tells whether the internet can reach a node at one of its addresses. */
export const isPublic = (host: Pick<Host, "peerId" | "getMultiaddrs">): boolean =>
  removePrivateAddressesMapper({ id: host.peerId, multiaddrs: host.getMultiaddrs() }).multiaddrs.length > 0;

/**
 * Makes the libp2p host of a node: TCP, Noise, Yamux, gossip on this chain's topics alone, Kademlia among this chain's nodes
 * alone. Not started. `announce` are addresses beside those it listens on, e.g. that of a port that a router passes on.
 */
export const createHost = async (options: {
  datadir: string;
  listen: readonly string[];
  announce?: readonly string[];
  genesisHash: Hash;
  log?: Log;
}): Promise<Host> => {
  const { genesisHash } = options;
  // Addresses of private networks are told within such a network alone: elsewhere they are another machine's.
  const mapper: PeerInfoMapper = (peer) => (isPublic(host) ? removePrivateAddressesMapper(peer) : peer);
  const bans = createBans();
  const incoming = createLedger(MAX_INCOMING_BYTES);
  const turns = createTurns();
  const transport = createTransport({ incoming, turns, needs: needsOf(genesisHash) });
  const budget = createPeerBudget(({ peer, subscriber }) => {
    options.log?.warn({ peer, address: subscriber }, "a peer costs too much for too long, and is sent away");
    bans.add(peerIdFromString(peer));
    if (subscriber !== undefined) bans.addAddress(subscriber);
    for (const connection of host.getConnections())
      if (bans.has(connection.remotePeer) || bans.hasAddress(subscriberOf(connection.remoteAddr)))
        connection.abort(new Error("it costs too much"));
  });
  const host: Host = await createLibp2p<Services>({
    privateKey: await peerKey(options.datadir),
    start: false,
    addresses: { listen: [...options.listen], appendAnnounce: [...(options.announce ?? [])] },
    datastore: boundedDatastore(),
    // Kademlia calls its acquaintances again by itself; hanging up is not enough.
    connectionGater: createConnectionLimits({
      bans,
      connections: () => host.getConnections(),
      idleMs: (peer) => budget.idleMs(peer.toString()),
    }),
    transports: [tcp()],
    connectionEncrypters: [transport.encrypter],
    streamMuxers: [transport.muxer],
    connectionManager: {
      maxConnections: MAX_INBOUND + MAX_OUTBOUND,
      maxIncomingPendingConnections: MAX_PENDING,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
      inboundUpgradeTimeout: UPGRADE_MS,
    },
    services: {
      bans: () => bans,
      budget: () => budget,
      answers: () => createAnswers(),
      incoming: () => incoming,
      turns: () => turns,
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        allowedTopics: KINDS.map((kind) => topicOf(genesisHash, kind)),
        allowPublishToZeroTopicPeers: true,
        ignoreDuplicatePublishError: true,
        globalSignaturePolicy: "StrictNoSign",
        decodeRpcLimits: {
          maxSubscriptions: 32,
          maxMessages: 512,
          maxIhaveMessageIDs: 5_000,
          maxIwantMessageIDs: 5_000,
          maxIdontwantMessageIDs: 512,
          maxControlMessages: 64,
          maxPeerInfos: 16,
        },
        maxInboundDataLength: MAX_GOSSIP_BYTES,
        maxOutboundBufferSize: 2 * MAX_GOSSIP_BYTES,
        maxInboundStreams: 2,
        // What a peer sends is judged piece by piece, in order (gossip-gate.ts).
        awaitRpcHandler: true,
        // Encoded once for all, however many do not read it.
        batchPublish: true,
        scoreThresholds: THRESHOLDS,
        scoreParams: {
          topics: Object.fromEntries(KINDS.map((kind) => [topicOf(genesisHash, kind), TOPIC_SCORE])),
          // Limits of addresses are those of connections; who is over its budget leaves the mesh.
          IPColocationFactorWeight: 0,
          appSpecificWeight: 1,
          appSpecificScore: (peer) => (budget.admits(peer) ? 0 : 2 * THRESHOLDS.gossipThreshold),
          behaviourPenaltyWeight: -1,
          behaviourPenaltyThreshold: 6,
          behaviourPenaltyDecay: 0.9,
        },
        doPX: false,
      }),
      dht: kadDHT({
        protocol: kademliaProtocol(genesisHash),
        // Who cannot be reached asks, and does not answer; see discovery.ts.
        clientMode: options.listen.length === 0,
        peerInfoMapper: mapper,
        // A node without peers learns at once that nobody is known.
        allowQueryWithZeroPeers: true,
        maxInboundStreams: 8,
      }),
    },
  });
  host.addEventListener("connection:open", ({ detail: { remotePeer, remoteAddr } }) => {
    const isOutbound = host.getConnections(remotePeer).some(({ direction }) => direction === "outbound");
    budget.meet(remotePeer.toString(), { subscriber: subscriberOf(remoteAddr), isOutbound });
  });
  return host;
};
