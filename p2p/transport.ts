import { setTimeout as sleep } from "node:timers/promises";
import { type MessageStream, StreamMessageEvent, type StreamMuxer, type StreamMuxerFactory } from "@libp2p/interface";
import { yamux } from "@libp2p/yamux";
import type { Turns } from "../lib/turns.ts";
import { type Clock, createBucket, monotonic } from "./bucket.ts";
import { createFrameScan, piecesOf } from "./frame-scan.ts";
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
/** Frames of one connection that are read in a turn: each may be a stream to be opened. Looked at every so many bytes. */
const FRAMES_IN_TURN = 32;
const STEP_BYTES = 512;

/** The head of a frame: version, type, flags (2), stream (4), length (4). */
const HEAD_BYTES = 12;
const TYPE_DATA = 0;
const FLAG_SYN = 1;
const FLAGS_END = 4 | 8;

/** A part of what has come, without a copy of it. */
const part = (data: StreamMessageEvent["data"], from: number, to?: number): StreamMessageEvent["data"] =>
  data instanceof Uint8Array ? data.subarray(from, to) : data.sublist(from, to);

/** Holds one connection to account: gives the listener for what comes, to be added before its muxer's. */
const guardOf = (
  connection: MessageStream,
  muxer: () => StreamMuxer,
  { incoming, needs, turns, now = monotonic }: TransportOptions,
): ((event: StreamMessageEvent) => void) => {
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
  let frames = 0;
  /** Follows what has come, as far as one turn goes. Gives the bytes that it followed. */
  const follow = (data: StreamMessageEvent["data"]): number => {
    const most = scan.frames + FRAMES_IN_TURN;
    let at = 0;
    for (const piece of piecesOf(data))
      for (let from = 0; from < piece.length && scan.frames < most; from += STEP_BYTES) {
        const step = piece.subarray(from, from + STEP_BYTES);
        scan.push(step);
        at += step.length;
      }
    if (scan.frames !== frames) hold.set(0);
    frames = scan.frames;
    hold.set(scan.pendingBytes);
    return at;
  };
  const readOn = async (): Promise<void> => {
    if (pace.level <= 0) await sleep(pace.waitMs, undefined, { ref: false });
    await turns.turn();
    if (connection.status === "open") connection.resume();
  };
  let isPart = false;
  return (event) => {
    if (isPart) return;
    event.stopImmediatePropagation();
    const { data } = event;
    const began = processorMs();
    let end = 0;
    try {
      end = follow(data);
    } catch (error) {
      connection.abort(error as Error);
    }
    if (connection.status !== "open") return release();
    isPart = true;
    connection.dispatchEvent(new StreamMessageEvent(end < data.byteLength ? part(data, 0, end) : data));
    isPart = false;
    pace.spend(end * MS_PER_BYTE + processorMs() - began);
    if (connection.status !== "open" || (end === data.byteLength && pace.level > 0)) return;
    // What is left, and what comes meanwhile, waits.
    connection.pause();
    if (end < data.byteLength) connection.unshift(part(data, end));
    void readOn();
  };
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
    connection.maxWriteBufferLength = MAX_UNSENT_BYTES;
    connection.addEventListener(
      "message",
      guardOf(connection, () => muxer!, options),
    );
    muxer = inner.createStreamMuxer(connection);
    return muxer;
  };
  return Object.assign(Object.create(inner) as StreamMuxerFactory, { createStreamMuxer });
};
