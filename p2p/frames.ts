import type { Stream, StreamCloseEvent, StreamMessageEvent } from "@libp2p/interface";
import { Packr } from "msgpackr";
import { concat } from "../lib/bytes.ts";
import { monotonic } from "./bucket.ts";
import { piecesOf } from "./frame-scan.ts";
import { failPeer } from "./rules.ts";

/** Envelopes travel as msgpackr, without its records, extensions and shared structures, which a peer could abuse. */
const packr = new Packr({ useRecords: false, moreTypes: false, variableMapSize: true });

/** A frame is four bytes of length, then so many bytes. */
const HEAD_BYTES = 4;
/** What is handed to a stream at a time; the rest waits until it has gone out. */
const PIECE_BYTES = 64 * 1024;
/** How long a peer may keep a node waiting, and the bytes that it has to send or take for each second more. */
export const PATIENCE_MS = 10_000;
const LEAST_BYTES_PER_SECOND = 32 * 1024;

/** Waits for the other side of a stream, as long as that is worth it. */
const createPatience = (stream: Stream) => {
  let leftMs = PATIENCE_MS;
  return {
    /** Waits for one of a stream's events. Throws when patience is at an end. */
    wait: async (...events: ("message" | "drain" | "idle" | "end" | "close")[]): Promise<void> => {
      const began = monotonic();
      const woken = Promise.withResolvers<boolean>();
      const wake = (): void => woken.resolve(true);
      const timer = setTimeout(() => woken.resolve(false), Math.max(0, leftMs));
      for (const event of events) stream.addEventListener(event, wake);
      const isWoken = await woken.promise;
      for (const event of events) stream.removeEventListener(event, wake);
      clearTimeout(timer);
      leftMs -= monotonic() - began;
      if (!isWoken || leftMs <= 0) throw new Error("the other side is too slow");
    },
    moved: (bytes: number): void => {
      leftMs = Math.min(PATIENCE_MS, leftMs + (bytes / LEAST_BYTES_PER_SECOND) * 1000);
    },
  };
};

/** Reads frames from a stream, no faster than they are asked for. */
export interface FrameReader {
  /** Reads the next frame, of `most` bytes at most; undefined where the stream has ended. Throws RuleError "peer-frame", and an Error where the other side leaves off. */
  next(most: number): Promise<unknown>;
}

/** Begins to read frames. What comes is kept until it is asked for; the other side waits where that is more than a frame. */
export const readFrames = (stream: Stream): FrameReader => {
  const patience = createPatience(stream);
  let pieces: Uint8Array[] = [];
  let have = 0;
  let want = HEAD_BYTES;
  let failure: Error | undefined;
  stream.addEventListener("message", ({ data }: StreamMessageEvent) => {
    pieces.push(...piecesOf(data));
    have += data.byteLength;
    patience.moved(data.byteLength);
    if (have >= want && stream.readStatus === "readable") stream.pause();
  });
  stream.addEventListener("close", ({ error }: StreamCloseEvent) => {
    failure = error;
  });
  /** Waits until so many bytes are here; false where the stream ends before the first of them. */
  const fill = async (bytes: number): Promise<boolean> => {
    want = bytes;
    while (have < want) {
      if (failure) throw failure;
      if (stream.readStatus === "paused") stream.resume();
      if (have >= want) break;
      if (stream.readableEnded) {
        if (have > 0) throw new Error("the stream ended within a frame");
        return false;
      }
      await patience.wait("message", "end", "close");
    }
    return true;
  };
  const take = (bytes: number): Uint8Array => {
    const joined = concat(...pieces);
    pieces = [joined.subarray(bytes)];
    have -= bytes;
    return joined.subarray(0, bytes);
  };
  return {
    next: async (most) => {
      if (!(await fill(HEAD_BYTES))) return undefined;
      const head = concat(...pieces);
      pieces = [head];
      const size = new DataView(head.buffer, head.byteOffset).getUint32(0);
      if (size > most) failPeer("peer-frame", `${size} bytes, at most ${most}`);
      await fill(HEAD_BYTES + size);
      const body = take(HEAD_BYTES + size).subarray(HEAD_BYTES);
      try {
        return packr.unpack(body);
      } catch (error) {
        return failPeer("peer-frame", (error as Error).message);
      }
    },
  };
};

/** Writes frames to a stream, no faster than the other side takes them. */
export interface FrameWriter {
  /** Writes one frame, and gives the bytes that it took, once all of it has gone out. Throws where nobody takes it. */
  write(value: unknown, onBytes?: (left: number) => void): Promise<number>;
}

/** Begins to write frames. */
export const writeFrames = (stream: Stream): FrameWriter => {
  const patience = createPatience(stream);
  return {
    write: async (value, onBytes) => {
      const body = packr.pack(value);
      const frame = new Uint8Array(HEAD_BYTES + body.length);
      new DataView(frame.buffer).setUint32(0, body.length);
      frame.set(body, HEAD_BYTES);
      for (let at = 0; at < frame.length; at += PIECE_BYTES) {
        onBytes?.(frame.length - at);
        const piece = frame.subarray(at, at + PIECE_BYTES);
        stream.send(piece);
        // The library's own wait for a drain ends at once after the first time.
        while (stream.writeBufferLength > 0 || stream.writableNeedsDrain) {
          if (stream.status !== "open") throw new Error("the stream has closed");
          await patience.wait("drain", "idle", "close");
        }
        patience.moved(piece.length);
      }
      return frame.length;
    },
  };
};
