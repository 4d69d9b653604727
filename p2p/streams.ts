import type { Connection, PeerId, Stream } from "@libp2p/interface";
import { type Clock, monotonic } from "./bucket.ts";
import { PATIENCE_MS, readFrames, writeFrames } from "./frames.ts";
import type { Host } from "./host.ts";
import { processorMs } from "./peer-budget.ts";

const MAX_REQUEST_BYTES = 16 * 1024;
/** Requests that a peer may make in ten seconds, of one kind. */
const REQUESTS_PER_WINDOW = 100;
const WINDOW_MS = 10_000;

const isSequence = (value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> =>
  typeof value === "object" && value !== null && ("next" in value || Symbol.asyncIterator in value);

/**
 * Asks a peer for many frames: one request, then what it answers, frame by frame, each of at most `maxBytes`. The peer waits
 * while a frame is looked at. Throws on time-out, refusal and anything malformed.
 */
export async function* askFrames(
  host: Host,
  peer: PeerId,
  protocol: string,
  request: unknown,
  maxBytes: number,
): AsyncGenerator<unknown> {
  const stream = await host.dialProtocol(peer, protocol, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const reader = readFrames(stream);
  try {
    await writeFrames(stream).write(request);
    await stream.close({ signal: AbortSignal.timeout(PATIENCE_MS) });
    for (;;) {
      const frame = await reader.next(maxBytes);
      if (frame === undefined) return;
      yield frame;
    }
  } finally {
    // Whoever has what it wanted does not wait for the end.
    if (stream.status === "open") stream.abort(new Error("no more is wanted"));
  }
}

/** Asks a peer: one request, one answer of at most `maxBytes`. Throws on time-out, refusal and anything malformed. */
export const ask = async (
  host: Host,
  peer: PeerId,
  protocol: string,
  request: unknown,
  maxBytes: number,
): Promise<unknown> => {
  for await (const answer of askFrames(host, peer, protocol, request, maxBytes)) return answer;
  throw new Error("no answer");
};

/** Counts a peer's requests. */
export const createLimiter = (now: Clock = monotonic) => {
  const counts = new Map<string, number>();
  let windowStart = now();
  return (peer: PeerId): boolean => {
    if (now() - windowStart > WINDOW_MS) {
      counts.clear();
      windowStart = now();
    }
    const count = (counts.get(peer.toString()) ?? 0) + 1;
    counts.set(peer.toString(), count);
    return count <= REQUESTS_PER_WINDOW;
  };
};

/**
 * Answers a protocol's requests: with one frame, or, where the answer is a generator, with one for each value, made when the one
 * before it has been taken. A request that is malformed, too large, too late or one too many ends its stream; so does a peer that
 * does not take its answer. One answer a peer and protocol at a time, and no more than it has paid for (answers.ts).
 */
export const serve = async (
  host: Host,
  protocol: string,
  allow: (peer: PeerId) => boolean,
  answer: (request: unknown, peer: PeerId) => unknown,
): Promise<void> => {
  const { answers, turns } = host.services;
  const give = async (stream: Stream, peer: PeerId, request: unknown): Promise<void> => {
    const name = peer.toString();
    const writer = writeFrames(stream);
    const hold = answers.held.open(() => stream.abort(new Error("the room for answers is full")));
    /** Runs what makes an answer, and has the peer pay for it. */
    const make = <T>(work: () => T): T => {
      const began = processorMs();
      try {
        return work();
      } finally {
        answers.pay(name, 0, processorMs() - began);
      }
    };
    const write = async (value: unknown): Promise<void> => {
      answers.pay(name, await writer.write(value, hold.set), 0);
      hold.release();
    };
    try {
      await answers.paid(name);
      await turns.turn();
      const made = await make(() => answer(request, peer));
      if (!isSequence(made)) return await write(made);
      const frames = Symbol.asyncIterator in made ? made[Symbol.asyncIterator]() : made[Symbol.iterator]();
      for (;;) {
        await turns.turn();
        const { done, value } = await make(() => frames.next());
        if (done) return;
        await write(value);
        await answers.paid(name);
      }
    } finally {
      hold.release();
    }
  };
  await host.handle(
    protocol,
    async (stream: Stream, { remotePeer }: Connection) => {
      const leave = answers.enter(remotePeer.toString());
      try {
        if (!leave || !allow(remotePeer)) throw new Error("too many requests");
        const request = await readFrames(stream).next(MAX_REQUEST_BYTES);
        // What comes after it is thrown away.
        await stream.closeRead();
        await answers.inTurn(remotePeer.toString(), protocol, () => give(stream, remotePeer, request));
        await stream.close({ signal: AbortSignal.timeout(PATIENCE_MS) });
      } catch (error) {
        stream.abort(error as Error);
      } finally {
        leave?.();
      }
    },
    { maxInboundStreams: 16, maxOutboundStreams: 16 },
  );
};
