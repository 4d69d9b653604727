import { concat, EMPTY } from "./bytes.ts";

/** Reads bytes that come in pieces of any size, as many at a time as are asked for. */
export interface ByteSource {
  /** Gives the next `count` bytes, fewer where the source ends. Holds them in memory. */
  take(count: number): Promise<Uint8Array>;
  /** Yields the next `count` bytes in the pieces that they come in. Throws where the source ends before. */
  pieces(count: number): AsyncGenerator<Uint8Array>;
}

/** Makes a byte source of an iterable. */
export const createByteSource = (source: AsyncIterable<Uint8Array>): ByteSource => {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Uint8Array = EMPTY;
  const piece = async (max: number): Promise<Uint8Array | undefined> => {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done) return undefined;
      rest = next.value;
    }
    const taken = rest.subarray(0, max);
    rest = rest.subarray(taken.length);
    return taken;
  };
  return {
    take: async (count) => {
      const parts: Uint8Array[] = [];
      for (let left = count; left > 0; ) {
        const part = await piece(left);
        if (!part) break;
        parts.push(part);
        left -= part.length;
      }
      return concat(...parts);
    },
    pieces: async function* (count) {
      for (let left = count; left > 0; ) {
        const part = await piece(left);
        if (!part) throw new Error(`the source ends ${left} bytes early`);
        left -= part.length;
        yield part;
      }
    },
  };
};

/** Holds what a source yields in one piece. Throws where there are more than `max` bytes. */
export const gather = async (pieces: AsyncIterable<Uint8Array> | null, max: number): Promise<Uint8Array> => {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces ?? []) {
    size += piece.length;
    if (size > max) throw new Error(`more than ${max} bytes`);
    parts.push(piece);
  }
  return concat(...parts);
};
