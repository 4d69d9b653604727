/** Bytes as a stream hands them out: one piece, or a list of pieces. */
export type Bytes = Uint8Array | (Iterable<Uint8Array> & { readonly byteLength: number });
/** The pieces of bytes. */
export const piecesOf = (data: Bytes): Iterable<Uint8Array> => (data instanceof Uint8Array ? [data] : data);

/** Follows frames that pass by in pieces, without keeping their bytes. */
export interface FrameScan {
  /** Follows bytes up to the end of the `most`-th frame that ends in them. Gives how many these were. */
  push(data: Bytes, most?: number): number;
  /** Bytes of the frame that has begun and not ended: what a reader of frames keeps. */
  readonly pendingBytes: number;
  /** Frames that ended so far. */
  readonly frames: number;
}

/**
 * Makes a scan of frames that begin with a head. `bodyBytes` reads the first `length` bytes of a head, and gives the bytes that
 * follow it; undefined while the head is not complete. `onBody` sees the pieces of bodies. What they throw ends the push.
 */
export const createFrameScan = (
  maxHeadBytes: number,
  bodyBytes: (head: Uint8Array, length: number) => number | undefined,
  onBody?: (piece: Uint8Array) => void,
): FrameScan => {
  const head = new Uint8Array(maxHeadBytes);
  let headBytes = 0;
  /** Of the body; undefined within the head. */
  let left: number | undefined;
  let pending = 0;
  let frames = 0;
  const push = (piece: Uint8Array, until: number): number => {
    let at = 0;
    while (at < piece.length && frames < until) {
      if (left === undefined) {
        head[headBytes++] = piece[at++]!;
        pending += 1;
        left = bodyBytes(head, headBytes);
        if (left === undefined && headBytes === maxHeadBytes) throw new Error("the head of a frame does not end");
      } else {
        const taken = Math.min(left, piece.length - at);
        onBody?.(piece.subarray(at, at + taken));
        at += taken;
        left -= taken;
        pending += taken;
      }
      if (left !== 0) continue;
      left = undefined;
      headBytes = 0;
      pending = 0;
      frames += 1;
    }
    return at;
  };
  return {
    push: (data, most = Number.POSITIVE_INFINITY) => {
      const until = frames + most;
      let bytes = 0;
      for (const piece of piecesOf(data)) bytes += push(piece, until);
      return bytes;
    },
    get pendingBytes() {
      return pending;
    },
    get frames() {
      return frames;
    },
  };
};

const MAX_VARINT_BYTES = 5;

/** Makes a scan of frames with a varint of their length before them, as libp2p's own protocols have them. */
export const createPrefixScan = (): FrameScan =>
  createFrameScan(MAX_VARINT_BYTES, (head, length) => {
    if ((head[length - 1]! & 0x80) !== 0) return undefined;
    return head.subarray(0, length).reduceRight((value, byte) => value * 128 + (byte & 0x7f), 0);
  });
