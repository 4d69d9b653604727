import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Stream } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import { concat } from "../../lib/bytes.ts";
import { dataProtocol } from "../../p2p/data/serve.ts";
import type { Host } from "../../p2p/host.ts";
import { kademliaProtocol, protocolOf } from "../../p2p/topics.ts";
import { emptyMessages, securedOf } from "../helpers/hosts.ts";
import { type Attack, type Attacks, freshHash, type World } from "./attack.ts";
import { askUnread, connectionsTo, frame, isDeaf, openStreams, sendOn, serveFalsely } from "./wire.ts";

const STREAMS = ["status", "blocks", "votes", "lot", "orders"] as const;
const allProtocols = ({ genesisHash }: World): string[] => [
  ...STREAMS.map((name) => protocolOf(genesisHash, name)),
  dataProtocol(genesisHash),
  kademliaProtocol(genesisHash),
  "/ipfs/ping/1.0.0",
  "/ipfs/id/1.0.0",
];

/** So many peers at a time ask one thing as often as they can, and read nothing. */
const unread = (
  about: string,
  name: (typeof STREAMS)[number] | "data",
  request: () => unknown,
  more: Partial<Attack> = {},
): Attack => ({
  about,
  perSecond: 40,
  out: false,
  ...more,
  async *steps(world) {
    const protocol = name === "data" ? dataProtocol(world.genesisHash) : protocolOf(world.genesisHash, name);
    const hosts: Host[] = [world.host];
    for (let i = 0; i < 3; i++) hosts.push(await world.join());
    for (let n = 0; ; n++) {
      const streams = await askUnread(hosts[n % hosts.length]!, world.peers, protocol, request());
      world.count(streams.length > 0 ? "opened" : "refused", Math.max(1, streams.length));
      yield;
    }
  },
});

/** Says that it is as far ahead as can be, on a chain that nobody has. */
const lyingStatus = (world: World) => async (_: unknown, stream: Stream) => {
  world.count("status asked");
  const headNumber = world.slot();
  sendOn(stream, frame({ genesisHash: world.genesisHash, headNumber, headHash: freshHash(), finalizedNumber: 1 }));
  await stream.close().catch(() => undefined);
};

/** Sends bytes one by one, a second apart, for as long as it is let. */
const drip = async (stream: Stream, bytes: Uint8Array, signal: AbortSignal): Promise<void> => {
  for (let i = 0; i < bytes.length && !signal.aborted && stream.status === "open"; i++) {
    sendOn(stream, bytes.subarray(i, i + 1));
    await sleep(1_000);
  }
};

const LIARS = 12;
/** Handshakes of one attacker under way at a time. */
const AT_ONCE = 16;

/** Peers that lie about their status; what they say to a request for blocks is up to `blocks`. */
const syncLiars = (
  about: string,
  out: boolean,
  blocks: (world: World, stream: Stream, request: unknown) => Promise<void>,
  more: Partial<Attack> = {},
): Attack => ({
  about,
  perSecond: 5,
  out,
  ...more,
  async *steps(world) {
    const serveOn = async (host: Host): Promise<void> => {
      await serveFalsely(host, protocolOf(world.genesisHash, "status"), lyingStatus(world));
      for (const name of ["blocks", "votes"] as const)
        await serveFalsely(host, protocolOf(world.genesisHash, name), async (request, stream) => {
          world.count(`${name} asked`);
          await blocks(world, stream, request);
        });
    };
    await serveOn(world.host);
    const hosts = [world.host];
    for (;;) {
      // Who was put out, or whose target was started again, is replaced by another.
      const lost = hosts.filter((host) => connectionsTo(host, world.peers).length === 0);
      for (const host of lost.filter((each) => each !== world.host)) hosts.splice(hosts.indexOf(host), 1);
      if (hosts.length < LIARS) {
        const host = await world.makeHost();
        await serveOn(host);
        const dialled = await Promise.all(
          world.targets.map(({ p2p }) =>
            host.dial(multiaddr(p2p), { signal: AbortSignal.timeout(3_000) }).catch(() => undefined),
          ),
        );
        world.count("identities");
        if (dialled.some((each) => each !== undefined)) hosts.push(host);
      }
      yield;
    }
  },
});

export const STREAM_ATTACKS: Attacks = {
  "blocks-unread": unread(
    "asks for blocks of 2 MiB from the first on, and reads nothing",
    "blocks",
    () => ({ from: 1 }),
    { needs: "large blocks" },
  ),
  "votes-unread": unread("asks for all votes and reads nothing", "votes", () => ({})),
  "orders-unread": unread("asks for the book and reads nothing", "orders", () => ({})),
  "lots-unread": unread("asks for receipts of lots that are none", "lot", () => ({ lot: freshHash() })),
  "data-unread": {
    about: "wants all blocks of a tree of 48 MiB, again and again, and reads nothing",
    perSecond: 40,
    out: false,
    async *steps(world) {
      // The importer's chunks are raw blocks of 1 MiB: their CIDs are known without asking.
      const { CID } = await import("multiformats/cid");
      const { create } = await import("multiformats/hashes/digest");
      const { createHash } = await import("node:crypto");
      const bytes = randomBytes(48 * 1024 * 1024);
      const want = Array.from({ length: 48 }, (_, i) => {
        const chunk = bytes.subarray(i * 1024 * 1024, (i + 1) * 1024 * 1024);
        return CID.createV1(0x55, create(0x12, createHash("sha256").update(chunk).digest())).bytes;
      });
      for (const { rpcUrl } of world.targets) {
        const type = { "content-type": "application/octet-stream" };
        const answer = await fetch(`${rpcUrl}/data`, { method: "POST", headers: type, body: bytes });
        world.count(`upload ${answer.status}`);
      }
      const hosts = [world.host, await world.join(), await world.join(), await world.join()];
      for (let n = 0; ; n++) {
        const from = n % want.length;
        const list = [...want.slice(from), ...want.slice(0, from)];
        const streams = await askUnread(hosts[n % hosts.length]!, world.peers, dataProtocol(world.genesisHash), {
          want: list,
        });
        world.count(streams.length > 0 ? "opened" : "refused", Math.max(1, streams.length));
        yield;
      }
    },
  },
  "data-wants": {
    about: "wants 128 blocks that nobody has, as often as it can",
    perSecond: 400,
    out: false,
    async *steps(world) {
      const head = new Uint8Array([1, 0x55, 0x12, 32]);
      for (;;) {
        const want = Array.from({ length: 128 }, () => Buffer.concat([head, randomBytes(32)]));
        for (const stream of await openStreams(world.host, world.peers, dataProtocol(world.genesisHash))) {
          sendOn(stream, frame({ want }));
          stream.close().catch(() => undefined);
          setTimeout(() => stream.abort(new Error("enough")), 1_000).unref();
          world.count("asked");
        }
        yield;
      }
    },
  },
  "requests-malformed": {
    about: "requests that are none: random bytes, empty frames, frames that say 4 GiB",
    perSecond: 60,
    out: false,
    async *steps(world) {
      const protocols = STREAMS.map((name) => protocolOf(world.genesisHash, name));
      const bodies = [
        () => randomBytes(300),
        () => frame(new Uint8Array(0)),
        () => new Uint8Array([255, 255, 255, 255, 1]),
      ];
      for (let n = 0; ; n++) {
        for (const stream of await openStreams(world.host, world.peers, protocols[n % protocols.length]!)) {
          sendOn(stream, bodies[n % 3]!());
          world.count("opened");
          setTimeout(() => stream.abort(new Error("enough")), 2_000).unref();
        }
        yield;
      }
    },
  },
  "requests-dripped": {
    about: "opens all streams that it may and sends a byte of a request each second",
    perSecond: 30,
    out: false,
    async *steps(world) {
      const protocols = allProtocols(world);
      const request = frame(randomBytes(10_000));
      for (let n = 0; ; n++) {
        const streams = await openStreams(world.host, world.peers, protocols[n % protocols.length]!);
        world.count(streams.length > 0 ? "opened" : "refused");
        for (const stream of streams) drip(stream, request, world.signal).catch(() => undefined);
        yield;
      }
    },
  },
  "streams-flood": {
    about: "opens and closes streams of all protocols as fast as it can",
    perSecond: 1_000,
    out: false,
    async *steps(world) {
      const protocols = allProtocols(world);
      for (let n = 0; ; n++) {
        openStreams(world.host, world.peers, protocols[n % protocols.length]!)
          .then((streams) => {
            world.count(streams.length > 0 ? "opened" : "refused");
            for (const stream of streams) stream.abort(new Error("enough"));
          })
          .catch(() => undefined);
        if (n % 50 === 0) await sleep(1);
        yield;
      }
    },
  },
  "messages-empty": {
    about: "messages of Noise that hold nothing, some thousand in each piece of the stream",
    perSecond: 20,
    out: false,
    async *steps(world) {
      for (;;) {
        for (const connection of connectionsTo(world.host, world.peers)) {
          const secured = securedOf(connection);
          const isHeldBack = secured.stream.writableNeedsDrain;
          world.count(isHeldBack ? "held back" : "sent");
          if (!isHeldBack) secured.stream.send(concat(...emptyMessages(secured, 3_600)));
        }
        yield;
      }
    },
  },
  "sync-dripped": syncLiars(
    "peers that are ahead and give a byte of an answer each second, while the target catches up",
    false,
    async (world, stream) => drip(stream, frame([randomBytes(50_000)]), world.signal),
    { restart: true },
  ),
  "sync-silent": syncLiars(
    "peers that are ahead and never answer, while the target catches up",
    false,
    async (world) => void (await sleep(60_000, undefined, { signal: world.signal })),
    { restart: true },
  ),
  "status-lies": syncLiars("peers that say they are ahead and have no blocks", false, async (_, stream) => {
    sendOn(stream, frame([]));
    await stream.close();
  }),
  "sync-junk": syncLiars("peers that say they are ahead and give 16 MB of junk for blocks", true, async (_, stream) => {
    sendOn(stream, frame(Array.from({ length: 100 }, () => randomBytes(160_000))));
    await stream.close();
  }),
  "connections-flood": {
    about: "new identities without end, each with its handshake, that stay",
    perSecond: 30,
    max: 300,
    out: false,
    async *steps(world) {
      const connecting = new Set<Promise<unknown>>();
      for (;;) {
        const host = await world.makeHost();
        const work = Promise.all(
          world.targets.map(({ p2p }) =>
            host.dial(multiaddr(p2p), { signal: AbortSignal.timeout(3_000) }).then(
              () => world.count("connected"),
              () => world.count("refused"),
            ),
          ),
        ).finally(() => connecting.delete(work));
        connecting.add(work);
        if (connecting.size >= AT_ONCE) await Promise.race(connecting);
        yield;
      }
    },
  },
  "connections-raw": {
    about: "TCP connections without a word, and with rubbish, to the peers' port",
    perSecond: 200,
    out: false,
    async *steps(world) {
      const ports = world.targets.map(({ p2p }) => Number(p2p.split("/")[4]));
      for (let n = 0; ; n++) {
        const socket = connect(ports[n % ports.length]!, "127.0.0.1");
        socket.on("error", () => world.count("reset"));
        socket.on("connect", () => world.count("connected"));
        if (n % 2 === 0) socket.write(randomBytes(2_000));
        world.onEnd(() => socket.destroy());
        if (n % 4 !== 0) setTimeout(() => socket.destroy(), 3_000).unref();
        yield;
      }
    },
  },
  "kademlia-flood": {
    about: "queries of Kademlia for random keys, unread",
    perSecond: 200,
    out: false,
    async *steps(world) {
      // Message { type = 4 (FIND_NODE); key = 2 }, with its length before it.
      for (let n = 0; ; n++) {
        const body = Buffer.concat([Buffer.from([0x08, 4, 0x12, 32]), randomBytes(32), Buffer.from([0x50, 0])]);
        for (const stream of await openStreams(world.host, world.peers, kademliaProtocol(world.genesisHash))) {
          if (!isDeaf(stream)) continue;
          for (let i = 0; i < 20; i++) sendOn(stream, Buffer.concat([Buffer.from([body.length]), body]));
          world.count("opened");
          if (n % 2 === 0) setTimeout(() => stream.abort(new Error("enough")), 500).unref();
        }
        yield;
      }
    },
  },
};
