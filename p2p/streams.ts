import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { Packr } from "msgpackr";
import { concat } from "../lib/bytes.ts";
import type { Host } from "./host.ts";

/** Envelopes travel as msgpackr, without its records, extensions and shared structures, which a peer could abuse. */
const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });

const HEAD_BYTES = 4;
const TIMEOUT_MS = 10_000;
const MAX_REQUEST_BYTES = 16 * 1024;
/** Requests that a peer may make in ten seconds, of all kinds. */
const REQUESTS_PER_WINDOW = 100;
const WINDOW_MS = 10_000;

/** Reads one frame: four bytes of length, then so many bytes. Throws where it is over `max`, or the stream ends early. */
const readFrame = async (stream: Stream, max: number): Promise<unknown> => {
  const chunks: Uint8Array[] = [];
  let have = 0;
  let want = HEAD_BYTES;
  for await (const chunk of stream) {
    const bytes = chunk instanceof Uint8Array ? chunk : chunk.subarray();
    chunks.push(bytes);
    have += bytes.length;
    if (have < want) continue;
    // Joined twice a frame at most: once its length is there, and once all of it is.
    let joined = concat(...chunks.splice(0));
    chunks.push(joined);
    if (want === HEAD_BYTES) {
      const size = new DataView(joined.buffer, joined.byteOffset).getUint32(0);
      if (size > max) throw new Error(`a frame of ${size} bytes, at most ${max}`);
      want = HEAD_BYTES + size;
    }
    if (have < want) continue;
    joined = joined.subarray(HEAD_BYTES, want);
    return packr.unpack(joined);
  }
  throw new Error("the stream ended within a frame");
};

const writeFrame = async (stream: Stream, value: unknown): Promise<void> => {
  const body = packr.pack(value);
  const frame = new Uint8Array(HEAD_BYTES + body.length);
  new DataView(frame.buffer).setUint32(0, body.length);
  frame.set(body, HEAD_BYTES);
  if (!stream.send(frame)) await stream.onDrain({ signal: AbortSignal.timeout(TIMEOUT_MS) });
  await stream.close({ signal: AbortSignal.timeout(TIMEOUT_MS) });
};

const within = <T>(work: Promise<T>, stream: Stream): Promise<T> => {
  const timer = setTimeout(() => stream.abort(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
  return work.finally(() => clearTimeout(timer));
};

/** Asks a peer: one request, one answer of at most `maxBytes`. Throws on time-out, refusal and anything malformed. */
export const ask = async (
  host: Host,
  peer: PeerId,
  protocol: string,
  request: unknown,
  maxBytes: number,
): Promise<unknown> => {
  const stream = await host.dialProtocol(peer, protocol, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  try {
    const answer = within(readFrame(stream, maxBytes), stream);
    answer.catch(() => undefined);
    await writeFrame(stream, request);
    return await answer;
  } catch (error) {
    stream.abort(error as Error);
    throw error;
  }
};

/** Counts a peer's requests, all protocols together. */
export const createLimiter = () => {
  const counts = new Map<string, number>();
  let windowStart = 0;
  return (peer: PeerId): boolean => {
    if (Date.now() - windowStart > WINDOW_MS) {
      counts.clear();
      windowStart = Date.now();
    }
    const count = (counts.get(peer.toString()) ?? 0) + 1;
    counts.set(peer.toString(), count);
    return count <= REQUESTS_PER_WINDOW;
  };
};

/** Answers a protocol's requests. A request that is malformed, too large, too late or one too many ends its stream. */
export const serve = async (
  host: Host,
  protocol: string,
  allow: (peer: PeerId) => boolean,
  answer: (request: unknown, peer: PeerId) => unknown,
): Promise<void> => {
  await host.handle(
    protocol,
    async (stream: Stream, connection: Connection) => {
      try {
        if (!allow(connection.remotePeer)) throw new Error("too many requests");
        const request = await within(readFrame(stream, MAX_REQUEST_BYTES), stream);
        await writeFrame(stream, await answer(request, connection.remotePeer));
      } catch (error) {
        stream.abort(error as Error);
      }
    },
    { maxInboundStreams: 16, maxOutboundStreams: 16 },
  );
};
