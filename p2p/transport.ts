import type { ConnectionEncrypter, MessageStream, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { type NoiseComponents, noise } from "@libp2p/noise";
import { yamux } from "@libp2p/yamux";
import type { Turns } from "../lib/turns.ts";
import type { Clock } from "./bucket.ts";
import { createFrameScan } from "./frame-scan.ts";
import type { Ledger } from "./ledger.ts";
import { createReading, type Reading } from "./reading.ts";
import { createStreamWatch, type StreamNeeds } from "./stream-watch.ts";
import { gatherSends, joinSends } from "./writing.ts";

/** Bytes under way on one stream before the other side says that it has read them. */
const WINDOW_BYTES = 1024 * 1024;
/** Streams that a peer may have open, of all protocols. */
const MAX_STREAMS = 128;
/** Bytes that wait below all streams for a peer to read them; a stream's own writers wait before that. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/** What a stream costs that is opened, after its frame was read. */
const MS_PER_STREAM = 0.5;
/** Frames of one connection that are read in a turn: each of Yamux may be a stream to be opened, each of Noise is decrypted. */
const FRAMES_IN_TURN = 32;
const MESSAGES_IN_TURN = 128;

/** The head of a message of Noise: its length. */
const MESSAGE_HEAD_BYTES = 2;
const bytesOfMessage = (head: Uint8Array, length: number): number | undefined =>
  length < MESSAGE_HEAD_BYTES ? undefined : head[0]! * 256 + head[1]!;

/** The head of a frame: version, type, flags (2), stream (4), length (4). */
const HEAD_BYTES = 12;
const TYPE_DATA = 0;
const FLAG_SYN = 1;
const FLAGS_END = 4 | 8;

/** Holds one connection to account: cuts what its muxer reads, and follows it. */
const guardOf = (
  connection: MessageStream,
  muxer: () => StreamMuxer,
  reading: Reading,
  { incoming, needs }: TransportOptions,
): void => {
  const onStuck = (): void => connection.abort(new Error("a frame that does not end"));
  const hold = incoming.open(onStuck);
  const watch = createStreamWatch(muxer, needs, incoming, onStuck);
  const release = (): void => {
    hold.release();
    watch.release();
  };
  connection.addEventListener("close", release, { once: true });
  let current = 0;
  const onHead = (head: Uint8Array, headBytes: number): number | undefined => {
    if (headBytes < HEAD_BYTES) return undefined;
    const view = new DataView(head.buffer, head.byteOffset);
    const [type, flags, length] = [head[1], view.getUint16(2), view.getUint32(8)];
    current = view.getUint32(4);
    if ((flags & FLAG_SYN) !== 0) reading.spend(MS_PER_STREAM);
    if ((flags & FLAGS_END) !== 0) watch.onEnd(current);
    if (type !== TYPE_DATA) return 0;
    return length <= WINDOW_BYTES ? length : fail(length);
  };
  const fail = (length: number): never => {
    throw new Error(`a frame of ${length} bytes`);
  };
  const scan = createFrameScan(HEAD_BYTES, onHead, (piece) => watch.onBytes(current, piece));
  let frames = 0;
  reading.cut(connection, (data) => {
    const end = scan.push(data, FRAMES_IN_TURN);
    if (scan.frames !== frames) hold.set(0);
    frames = scan.frames;
    hold.set(scan.pendingBytes);
    return end;
  });
};

export interface TransportOptions {
  /** What has come of frames that have not ended. */
  readonly incoming: Ledger;
  readonly needs: StreamNeeds;
  /** The thread's time, which connections share. */
  readonly turns: Turns;
  readonly now?: Clock;
}

/**
 * Makes Noise and Yamux that hold a peer to account: no frame larger than the window that it was given, which the library alone
 * would wait for, up to 4 GiB; no more processor time than its pace, whatever it sends; no more bytes in a stream than its
 * protocol needs. What is sent goes out in as few pieces as may be.
 */
export const createTransport = (options: TransportOptions) => {
  /** What carries a stream that is secured, and who reads it. */
  const carriers = new WeakMap<MessageStream, { readonly connection: MessageStream; readonly reading: Reading }>();
  type Secure = ConnectionEncrypter["secureInbound"];
  const bounded =
    (secure: Secure): Secure =>
    async (connection, limits) => {
      joinSends(connection);
      const reading = createReading(connection, options.turns, options.now);
      const scan = createFrameScan(MESSAGE_HEAD_BYTES, bytesOfMessage);
      // The words of the handshake have their own limit, and are followed by the first message.
      let isSecured = false;
      reading.cut(connection, (data) => (isSecured ? scan.push(data, MESSAGES_IN_TURN) : data.byteLength));
      const secured = await secure(connection, limits);
      isSecured = true;
      carriers.set(secured.connection, { connection, reading });
      return secured;
    };
  const encrypter = (components: NoiseComponents): ConnectionEncrypter => {
    const inner = noise()(components);
    return Object.assign(Object.create(inner) as ConnectionEncrypter, {
      secureInbound: bounded(inner.secureInbound.bind(inner)),
      secureOutbound: bounded(inner.secureOutbound.bind(inner)),
    });
  };
  const muxer = (): StreamMuxerFactory => {
    const inner = yamux({
      maxInboundStreams: MAX_STREAMS,
      maxOutboundStreams: MAX_STREAMS,
      streamOptions: { maxStreamWindowSize: WINDOW_BYTES, maxReadBufferLength: 2 * WINDOW_BYTES },
    })();
    const createStreamMuxer = (connection: MessageStream): StreamMuxer => {
      let made: StreamMuxer | undefined;
      connection.maxWriteBufferLength = MAX_UNSENT_BYTES;
      const carrier = carriers.get(connection)!;
      gatherSends(connection, carrier.connection);
      guardOf(connection, () => made!, carrier.reading, options);
      made = inner.createStreamMuxer(connection);
      return made;
    };
    return Object.assign(Object.create(inner) as StreamMuxerFactory, { createStreamMuxer });
  };
  return { encrypter, muxer };
};
