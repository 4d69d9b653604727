import type { Connection, MultiaddrConnection, PeerId } from "@libp2p/interface";
import { multiaddr } from "@multiformats/multiaddr";
import t from "tap";
import { createBans } from "../../p2p/bans.ts";
import { createConnectionLimits } from "../../p2p/connection-limits.ts";

const peerOf = (name: string): PeerId =>
  ({ toString: () => name, equals: (other: PeerId) => other.toString() === name }) as PeerId;

/** Limits over connections that a test opens and closes. */
const createScene = () => {
  let ms = 0;
  const open: Connection[] = [];
  /** When peers were last of use. */
  const useful = new Map<string, number>();
  const bans = createBans(() => ms);
  const limits = createConnectionLimits({
    bans,
    connections: () => open,
    idleMs: (peer) => ms - (useful.get(peer.toString()) ?? Number.NEGATIVE_INFINITY),
    now: () => ms,
  });
  let count = 0;
  const begin = (address: string) => {
    const listeners: (() => void)[] = [];
    const connection = {
      remoteAddr: multiaddr(address),
      addEventListener: (_: string, listener: () => void) => listeners.push(listener),
    } as unknown as MultiaddrConnection;
    const isDenied = limits.denyInboundConnection!(connection);
    return { connection, isDenied, close: () => listeners.forEach((each) => void each()) };
  };
  const connect = (address: string, name = `peer ${++count}`, agoMs = 0): boolean => {
    const { connection, isDenied } = begin(address);
    const peer = peerOf(name);
    if (isDenied || limits.denyInboundEncryptedConnection!(peer, connection)) return false;
    limits.denyInboundUpgradedConnection!(peer, connection);
    const entry = {
      remotePeer: peer,
      remoteAddr: connection.remoteAddr,
      direction: "inbound",
      timeline: { open: Date.now() - agoMs },
      abort: () => open.splice(open.indexOf(entry), 1),
    } as unknown as Connection;
    open.push(entry);
    return true;
  };
  return { limits, bans, open, useful, begin, connect, pass: (more: number) => (ms += more) };
};

t.test("an address has so many connections, one that is begun counts, and a /64 is one address", (t) => {
  for (const nameOf of [() => "/ip4/192.0.2.1/tcp/1", (i: number) => `/ip6/2001:db8::${i}/tcp/1`]) {
    const { begin, connect } = createScene();
    for (let i = 0; i < 7; i++) t.ok(connect(nameOf(i)));
    const eighth = begin(nameOf(7));
    t.notOk(eighth.isDenied);
    t.notOk(connect(nameOf(8)), "eight are there, or on their way");
    t.ok(connect("/ip4/192.0.2.2/tcp/1"), "another address");
    eighth.close();
    t.ok(connect(nameOf(9)), "one gave up");
  }
  t.end();
});

t.test("who begins connection after connection is not let in", (t) => {
  const { begin, pass } = createScene();
  let taken = 0;
  for (let i = 0; i < 50; i++) {
    const { isDenied, close } = begin("/ip4/192.0.2.1/tcp/1");
    if (!isDenied) taken += 1;
    close();
  }
  t.equal(taken, 20);
  pass(10_000);
  t.notOk(begin("/ip4/192.0.2.1/tcp/1").isDenied);
  t.end();
});

t.test("the nodes of one machine share an address, and a peer has three connections", (t) => {
  const { connect } = createScene();
  for (let i = 0; i < 30; i++) t.ok(connect("/ip4/127.0.0.1/tcp/1"));
  for (let i = 0; i < 3; i++) t.ok(connect("/ip4/127.0.0.1/tcp/1", "one"));
  t.notOk(connect("/ip4/127.0.0.1/tcp/1", "one"));
  t.end();
});

t.test("where all places are taken, who was of no use for longest makes room", (t) => {
  const { connect, open, useful, pass } = createScene();
  const address = (i: number) => `/ip4/198.51.100.${i}/tcp/1`;
  const has = (name: string) => open.some(({ remotePeer }) => remotePeer.toString() === name);
  pass(1_000);
  for (let i = 0; i < 64; i++) {
    useful.set(`good ${i}`, i);
    t.ok(connect(address(i), i === 40 ? "idle" : `good ${i}`, 60_000 - i));
  }
  t.ok(connect(address(100), "next"));
  t.notOk(has("idle"));
  t.ok(connect(address(101), "another"));
  t.ok(has("good 0"), "it is here for longest");
  t.ok(has("good 63"), "it was of use last");
  t.notOk(has("good 16"), "of the others it was of use before all");
  t.ok(has("next"), "the newest still has its time");
  t.equal(open.length, 64);
  t.end();
});

t.test(
  "who comes again and again does not drive out those that are of use; what was of use long ago counts no more",
  (t) => {
    const { connect, open, useful, pass } = createScene();
    const address = (i: number) => `/ip4/198.51.${100 + (i >> 8)}.${i & 255}/tcp/1`;
    for (let i = 0; i < 64; i++) {
      useful.set(`old ${i}`, 0);
      t.ok(connect(address(i), `old ${i}`, 7 * 86_400_000));
    }
    const left = () => open.filter(({ remotePeer }) => remotePeer.toString().startsWith("old")).length;
    pass(60_000);
    let taken = 0;
    const come = (from: number) => {
      for (let i = 0; i < 64; i++) {
        pass(100);
        if (connect(address(from + i))) taken += 1;
      }
    };
    come(100);
    t.ok(left() >= 16, `${left()} of use keep their places`);
    t.equal(taken, 64 - left(), "the others are there for who comes");
    pass(600_000);
    come(200);
    t.equal(left(), 0, "a week ago is no merit");
    t.equal(taken, 64);
    t.end();
  },
);

t.test("who is banned is neither let in nor called, by its name and by its address", (t) => {
  const { limits, bans, begin, connect } = createScene();
  bans.add(peerOf("bad"));
  bans.addAddress("192.0.2.1");
  t.notOk(connect("/ip4/192.0.2.9/tcp/1", "bad"));
  t.ok(begin("/ip4/192.0.2.1/tcp/1").isDenied);
  t.ok(limits.denyDialPeer!(peerOf("bad")));
  t.ok(limits.denyDialMultiaddr!(multiaddr("/ip4/192.0.2.1/tcp/7")));
  t.notOk(limits.denyDialMultiaddr!(multiaddr("/ip4/192.0.2.2/tcp/7")));
  t.end();
});
