import type { Connection, Stream } from "@libp2p/interface";
import { Packr } from "msgpackr";
import { concat } from "../../lib/bytes.ts";
import type { Host } from "../../p2p/host.ts";

/** The envelope of rolec's streams, made here without any of the care that p2p/streams.ts takes. */
const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });

/** A frame around bytes, or around a packed value: four bytes of length before it. */
export const frame = (value: unknown): Uint8Array => {
  const body = value instanceof Uint8Array ? value : packr.pack(value);
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, body.length);
  return concat(head, body);
};

/** A host's connections to some peers: Kademlia connects it to others, who are not meant. */
export const connectionsTo = (host: Host, peers: ReadonlySet<string>): Connection[] =>
  host.getConnections().filter((each) => peers.has(each.remotePeer.toString()));

/** Opens a stream to each of some peers. Gives those that opened. */
export const openStreams = async (host: Host, peers: ReadonlySet<string>, protocol: string): Promise<Stream[]> => {
  const opened = await Promise.all(
    connectionsTo(host, peers).map((each) =>
      each
        .newStream(protocol, { maxOutboundStreams: 4_096, signal: AbortSignal.timeout(5_000) })
        .catch(() => undefined),
    ),
  );
  return opened.filter((each) => each !== undefined);
};

/** Sends bytes on a stream that may have ended meanwhile. Gives whether they went. */
export const sendOn = (stream: Stream, bytes: Uint8Array): boolean => {
  try {
    return stream.send(bytes);
  } catch {
    return false;
  }
};

/** Stops reading a stream; false where it has ended. */
export const isDeaf = (stream: Stream): boolean => {
  try {
    stream.pause();
    return true;
  } catch {
    return false;
  }
};

/** Asks each of some peers and never reads what they answer. Gives the streams that were asked on. */
export const askUnread = async (
  host: Host,
  peers: ReadonlySet<string>,
  protocol: string,
  request: unknown,
): Promise<Stream[]> => {
  const streams = await openStreams(host, peers, protocol);
  const frames = frame(request);
  return streams.filter((stream) => isDeaf(stream) && sendOn(stream, frames));
};

const readRequest = async (stream: Stream): Promise<unknown> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk instanceof Uint8Array ? chunk : chunk.subarray());
    const all = concat(...chunks);
    if (all.length < 4) continue;
    const size = new DataView(all.buffer, all.byteOffset).getUint32(0);
    if (all.length >= 4 + size) return packr.unpack(all.subarray(4, 4 + size));
  }
  return undefined;
};

/** Answers a protocol as `answer` likes: it gets the request and the stream. */
export const serveFalsely = (
  host: Host,
  protocol: string,
  answer: (request: unknown, stream: Stream) => Promise<unknown>,
): Promise<void> =>
  host.handle(
    protocol,
    async (stream: Stream, _connection: Connection) => {
      try {
        await answer(await readRequest(stream), stream);
      } catch (error) {
        stream.abort(error as Error);
      }
    },
    { maxInboundStreams: 256, maxOutboundStreams: 256, force: true },
  );
