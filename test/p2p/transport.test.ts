import type { Stream } from "@libp2p/interface";
import t from "tap";
import { concat } from "../../lib/bytes.ts";
import type { Host } from "../../p2p/host.ts";
import { emptyMessages, type Secured, securedOf, startHost, type Teardown, until } from "../helpers/hosts.ts";

t.setTimeout(120_000);
const HASH = `0x${"11".repeat(32)}` as const;
const PROTOCOL = "/test/1";
const MESSAGE_BYTES = 65_519;

/** Two hosts that are connected, once what they tell each other at first is told. */
const startPair = async (t: Teardown) => {
  const [from, to] = [await startHost(t, HASH), await startHost(t, HASH)];
  await from.dial(to.getMultiaddrs());
  await until(() => to.getConnections(from.peerId).length > 0, "both sides are connected");
  const [sending, reading] = [from.getConnections(to.peerId), to.getConnections(from.peerId)].map((all) =>
    securedOf(all[0]!),
  ) as [Secured, Secured];
  let heardAt = Date.now();
  for (const secured of [sending, reading])
    secured.addEventListener("message", () => {
      heardAt = Date.now();
    });
  await until(() => Date.now() - heardAt > 1_000, "both are silent");
  return { from, to, sending, reading };
};
/** Has a host take a protocol. Gives what comes on each of its streams. */
const takeAll = async (host: Host): Promise<Uint8Array[][]> => {
  const taken: Uint8Array[][] = [];
  await host.handle(
    PROTOCOL,
    (stream: Stream) => {
      const pieces: Uint8Array[] = [];
      taken.push(pieces);
      stream.addEventListener("message", ({ data }) => void pieces.push(data.subarray()));
    },
    { maxInboundStreams: 64 },
  );
  return taken;
};
const lengthOf = (pieces: readonly Uint8Array[]): number => pieces.reduce((sum, { length }) => sum + length, 0);

t.test("of messages that hold nothing a turn decrypts 128, and none is lost", async (t) => {
  const { from, to, sending, reading } = await startPair(t);
  const taken = await takeAll(to);
  const stream = await from.dialProtocol(to.peerId, PROTOCOL);
  const parts: number[] = [];
  reading.stream.addEventListener("message", ({ data }) => void parts.push(data.byteLength));
  const empty = emptyMessages(sending, 10_000);
  const each = empty[0]!.length;
  sending.stream.send(concat(...empty));
  stream.send(Uint8Array.of(7));
  await until(() => lengthOf(taken.flat()) > 0, "what follows has come");
  t.ok(Math.max(...parts) <= 128 * each, `${Math.max(...parts) / each} messages in one part`);
  t.equal(to.getConnections(from.peerId).length, 1);
});

t.test("what is sent in one turn goes out in one piece, in its order", async (t) => {
  const { from, to, sending } = await startPair(t);
  const taken = await takeAll(to);
  const stream = await from.dialProtocol(to.peerId, PROTOCOL);
  await until(() => taken.length === 1, "the stream is open");
  let writes = 0;
  const { socket } = sending.stream;
  const write = socket.write.bind(socket) as (data: Uint8Array) => boolean;
  socket.write = (data: Uint8Array | string) => {
    writes += 1;
    return write(data as Uint8Array);
  };
  const sent = Array.from({ length: 200 }, (_, i) => new Uint8Array(40).fill(i));
  for (const each of sent) stream.send(each);
  await until(() => lengthOf(taken[0]!) === 8_000, "all has come");
  t.strictSame(concat(...taken[0]!), concat(...sent));
  t.ok(writes <= 4, `${writes} writes`);
});

t.test("what waited for a peer that did not read is encrypted piece by piece, and comes", async (t) => {
  const { from, to, sending, reading } = await startPair(t);
  const taken = await takeAll(to);
  const STREAMS = 20;
  const BYTES = 250_000;
  const streams = [];
  for (let i = 0; i < STREAMS; i++)
    streams.push(await from.dialProtocol(to.peerId, PROTOCOL, { maxOutboundStreams: 64 }));
  await until(() => taken.length === STREAMS, "all streams are open");
  const encrypted: number[] = [];
  const encrypt = sending.encrypt.bind(sending);
  sending.encrypt = (data) => {
    encrypted.push(data.byteLength);
    return encrypt(data);
  };
  reading.stream.socket.pause();
  for (const stream of streams) stream.send(new Uint8Array(BYTES).fill(1));
  await until(() => sending.writableNeedsDrain, "it waits");
  reading.stream.socket.resume();
  await until(() => lengthOf(taken.flat()) === STREAMS * BYTES, "all has come");
  t.ok(Math.max(...encrypted) <= MESSAGE_BYTES, `${Math.max(...encrypted)} bytes at once`);
});

t.test("who closes right after it sent something has sent it", async (t) => {
  const { from, to } = await startPair(t);
  const taken = await takeAll(to);
  const stream = await from.dialProtocol(to.peerId, PROTOCOL);
  await until(() => taken.length === 1, "the stream is open");
  stream.send(new Uint8Array(1_000));
  await from.getConnections(to.peerId)[0]!.close();
  await until(() => lengthOf(taken[0]!) === 1_000, "it has come");
});
