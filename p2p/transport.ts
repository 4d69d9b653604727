import type { MessageStream, StreamMessageEvent, StreamMuxer, StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import { type Clock, createBucket, monotonic } from "./bucket.ts";
import { type Bytes, createFrameScan } from "./frame-scan.ts";
import type { Ledger } from "./ledger.ts";
import { processorMs } from "./peer-budget.ts";
import { createStreamWatch, type StreamNeeds } from "./stream-watch.ts";

/** Bytes under way on one stream before the other side says that it has read them. */
const WINDOW_BYTES = 1024 * 1024;
/** Streams that a peer may have open, of all protocols. */
const MAX_STREAMS = 128;
/** Bytes that wait below all streams for a peer to read them; a stream's own writers wait before that. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;
/**
 * Milliseconds of processor that a connection may cost before anything of it is understood: at once, and each second after. One
 * that costs more is read later: nothing is lost, its sender waits.
 */
const PACE = { capacity: 1_000, perSecond: 250 };
/** What is not measured: bytes are decrypted before, and a stream is served after. */
const MS_PER_BYTE = 4e-6;
const MS_PER_STREAM = 0.5;

/** The head of a frame: version, type, flags (2), stream (4), length (4). */
const HEAD_BYTES = 12;
const TYPE_DATA = 0;
const FLAG_SYN = 1;
const FLAGS_END = 4 | 8;

interface Guard {
  before(data: Bytes): void;
  after(): void;
}

/** Holds one connection to account. */
const guardOf = (
  connection: MessageStream,
  muxer: () => StreamMuxer,
  { incoming, needs, now = monotonic }: TransportOptions,
): Guard => {
  const pace = createBucket(PACE.capacity, PACE.perSecond, now);
  const onStuck = (): void => connection.abort(new Error("a frame that does not end"));
  const hold = incoming.open(onStuck);
  const watch = createStreamWatch(muxer, needs, incoming, onStuck);
  const release = (): void => {
    hold.release();
    watch.release();
  };
  connection.addEventListener("close", release, { once: true });
  let current = 0;
  const onHead = (head: Uint8Array): number | undefined => {
    if (head.length < HEAD_BYTES) return undefined;
    const view = new DataView(head.buffer, head.byteOffset);
    const [type, flags, length] = [head[1], view.getUint16(2), view.getUint32(8)];
    current = view.getUint32(4);
    if ((flags & FLAG_SYN) !== 0) pace.spend(MS_PER_STREAM);
    if ((flags & FLAGS_END) !== 0) watch.onEnd(current);
    if (type !== TYPE_DATA) return 0;
    return length <= WINDOW_BYTES ? length : fail(length);
  };
  const fail = (length: number): never => {
    throw new Error(`a frame of ${length} bytes`);
  };
  const scan = createFrameScan(HEAD_BYTES, onHead, (piece) => watch.onBytes(current, piece));
  let began = 0;
  let frames = 0;
  return {
    before: (data) => {
      began = processorMs();
      try {
        scan.push(data);
      } catch (error) {
        connection.abort(error as Error);
      }
      if (connection.status !== "open") return release();
      if (scan.frames !== frames) hold.set(0);
      frames = scan.frames;
      hold.set(scan.pendingBytes);
      pace.spend(data.byteLength * MS_PER_BYTE);
    },
    after: () => {
      pace.spend(processorMs() - began);
      if (pace.level > 0 || connection.status !== "open") return;
      connection.pause();
      setTimeout(() => {
        if (connection.status === "open") connection.resume();
      }, pace.waitMs).unref();
    },
  };
};

export interface TransportOptions {
  /** What has come of frames that have not ended. */
  readonly incoming: Ledger;
  readonly needs: StreamNeeds;
  readonly now?: Clock;
}

/**
 * Makes Yamux that holds a peer to account: no frame larger than the window that it was given, which the library alone would
 * wait for, up to 4 GiB; no more processor time than its pace; no more bytes in a stream than its protocol needs.
 */
export const boundedYamux = (options: TransportOptions) => (): StreamMuxerFactory => {
  const inner = yamux({
    maxInboundStreams: MAX_STREAMS,
    maxOutboundStreams: MAX_STREAMS,
    streamOptions: { maxStreamWindowSize: WINDOW_BYTES, maxReadBufferLength: 2 * WINDOW_BYTES },
  })();
  const createStreamMuxer = (connection: MessageStream): StreamMuxer => {
    let muxer: StreamMuxer | undefined;
    const { before, after } = guardOf(connection, () => muxer!, options);
    connection.maxWriteBufferLength = MAX_UNSENT_BYTES;
    // Listeners are called in their order: one before the muxer reads, one after.
    connection.addEventListener("message", ({ data }: StreamMessageEvent) => before(data));
    muxer = inner.createStreamMuxer(connection);
    connection.addEventListener("message", after);
    return muxer;
  };
  return Object.assign(Object.create(inner) as StreamMuxerFactory, { createStreamMuxer });
};
