import type { StreamMuxer } from "@libp2p/interface";
import { createPrefixScan, type FrameScan } from "./frame-scan.ts";
import type { Hold, Ledger } from "./ledger.ts";

/** Streams that are remembered before those that have closed are forgotten. */
const MAX_REMEMBERED = 512;

/** What libp2p's own protocols need, whose handlers keep what comes, however much it is. */
export interface StreamNeeds {
  /** Bytes that a stream of a protocol needs to be told at most, in all. */
  readonly caps: ReadonlyMap<string, number>;
  /** Protocols whose frames have their length before them, and are kept until they have ended. */
  isPrefixed(protocol: string): boolean;
}

/** Follows what the streams of a connection are told. */
export interface StreamWatch {
  onBytes(stream: number, piece: Uint8Array): void;
  onEnd(stream: number): void;
  /** The connection has ended. */
  release(): void;
}

interface Watched {
  bytes: number;
  frames: number;
  scan: FrameScan | undefined;
  readonly hold: Hold;
}

/** Makes the watch of a connection. `onStuck` is called where a frame that has begun keeps room that others need. */
export const createStreamWatch = (
  muxer: () => StreamMuxer,
  needs: StreamNeeds,
  incoming: Ledger,
  onStuck: () => void,
): StreamWatch => {
  const watched = new Map<number, Watched>();
  const onEnd = (stream: number): void => {
    watched.get(stream)?.hold.release();
    watched.delete(stream);
  };
  const forgetClosed = (): void => {
    const open = new Set(muxer().streams.map(({ id }) => Number(id)));
    for (const stream of watched.keys()) if (!open.has(stream)) onEnd(stream);
  };
  const watch = (stream: number): Watched => {
    const known = watched.get(stream);
    if (known) return known;
    if (watched.size >= MAX_REMEMBERED) forgetClosed();
    // The choice of a protocol, which comes first, has its lengths before it too.
    const made = { bytes: 0, frames: 0, scan: createPrefixScan(), hold: incoming.open(onStuck) };
    watched.set(stream, made);
    return made;
  };
  /** Counts what has come of a frame that has not ended. */
  const follow = (entry: Watched, protocol: string, piece: Uint8Array): void => {
    if (!entry.scan) return;
    try {
      entry.scan.push(piece);
    } catch {
      entry.scan = undefined;
    }
    if (entry.scan && (protocol === "" || needs.isPrefixed(protocol))) {
      if (entry.scan.frames !== entry.frames) entry.hold.set(0);
      entry.frames = entry.scan.frames;
      entry.hold.set(entry.scan.pendingBytes);
    } else {
      entry.scan = undefined;
      entry.hold.release();
    }
  };
  return {
    onBytes: (stream, piece) => {
      const open = muxer().streams.find(({ id }) => id === String(stream));
      const entry = watch(stream);
      entry.bytes += piece.length;
      follow(entry, open?.protocol ?? "", piece);
      if (open && entry.bytes > (needs.caps.get(open.protocol) ?? Number.POSITIVE_INFINITY))
        open.abort(new Error("more than its protocol needs"));
    },
    onEnd,
    release: () => {
      for (const stream of [...watched.keys()]) onEnd(stream);
    },
  };
};
