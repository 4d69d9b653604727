import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from "@libp2p/crypto/keys";
import { type GossipSub, gossipsub } from "@libp2p/gossipsub";
import { type Identify, identify } from "@libp2p/identify";
import { type KadDHT, kadDHT, type PeerInfoMapper, removePrivateAddressesMapper } from "@libp2p/kad-dht";
import { noise } from "@libp2p/noise";
import { type Ping, ping } from "@libp2p/ping";
import { tcp } from "@libp2p/tcp";
import { yamux } from "@libp2p/yamux";
import { createLibp2p, type Libp2p } from "libp2p";
import type { Hash } from "../lib/bytes.ts";
import { mustBePrivate } from "../lib/private-file.ts";
import { type Bans, createBans } from "./bans.ts";
import { boundedDatastore } from "./bounded-datastore.ts";
import { KINDS, kademliaProtocol, MAX_MESSAGE_BYTES, topicOf } from "./topics.ts";

// A type, not an interface: libp2p wants an index signature that interfaces lack.
export type Services = { identify: Identify; ping: Ping; pubsub: GossipSub; dht: KadDHT; bans: Bans };
export type Host = Libp2p<Services>;

/** Reads the key that makes a node the same peer after a restart; makes it at first. */
const peerKey = async (datadir: string) => {
  const path = join(datadir, "peer.key");
  if (existsSync(path)) {
    mustBePrivate(path);
    return privateKeyFromProtobuf(readFileSync(path));
  }
  const key = await generateKeyPair("Ed25519");
  writeFileSync(path, privateKeyToProtobuf(key), { mode: 0o600, flush: true });
  return key;
};

const MAX_CONNECTIONS = 100;
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
/** Several nodes on one machine share an address, and a restarted network dials all at once. */
const INBOUND_PER_SECOND = 20;

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
}): Promise<Host> => {
  // Addresses of private networks are told within such a network alone: elsewhere they are another machine's.
  const mapper: PeerInfoMapper = (peer) => (isPublic(host) ? removePrivateAddressesMapper(peer) : peer);
  const bans = createBans();
  const host: Host = await createLibp2p<Services>({
    privateKey: await peerKey(options.datadir),
    start: false,
    addresses: { listen: [...options.listen], appendAnnounce: [...(options.announce ?? [])] },
    datastore: boundedDatastore(),
    // Kademlia calls its acquaintances again by itself; hanging up is not enough.
    connectionGater: { denyDialPeer: bans.has, denyInboundEncryptedConnection: bans.has },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      maxIncomingPendingConnections: 10,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
    },
    services: {
      bans: () => bans,
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        allowedTopics: KINDS.map((kind) => topicOf(options.genesisHash, kind)),
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
        maxOutboundBufferSize: 4 * MAX_GOSSIP_BYTES,
        scoreThresholds: THRESHOLDS,
        scoreParams: {
          topics: Object.fromEntries(KINDS.map((kind) => [topicOf(options.genesisHash, kind), TOPIC_SCORE])),
          IPColocationFactorWeight: 0,
          behaviourPenaltyWeight: -1,
          behaviourPenaltyThreshold: 6,
          behaviourPenaltyDecay: 0.9,
        },
        doPX: false,
      }),
      dht: kadDHT({
        protocol: kademliaProtocol(options.genesisHash),
        // Who cannot be reached asks, and does not answer; see discovery.ts.
        clientMode: options.listen.length === 0,
        peerInfoMapper: mapper,
        // A node without peers learns at once that nobody is known.
        allowQueryWithZeroPeers: true,
      }),
    },
  });
  return host;
};
