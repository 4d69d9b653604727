import { MAX_BLOCK_BYTES } from "../chain/block.ts";
import type { Engine } from "../consensus/engine.ts";
import { encodeVote } from "../consensus/votes.ts";
import { concat, type Hash, isHex } from "../lib/bytes.ts";
import type { Host } from "./host.ts";
import { failPeer } from "./rules.ts";
import { createLimiter, serve } from "./streams.ts";
import { protocolOf } from "./topics.ts";

/** Blocks of one answer, and bytes of them after which it ends. */
const BATCH_BLOCKS = 128;
const BATCH_BYTES = 4 * 1024 * 1024;
/** Bytes of blocks in a frame: what is in memory of an answer that nobody reads. */
const PIECE_BYTES = 256 * 1024;
export const MAX_PIECES_BYTES = PIECE_BYTES + 16 * 1024;
/** Votes of one answer, and of a frame. */
export const MAX_VOTES = 4_096;
const VOTES_IN_FRAME = 64;
export const MAX_VOTES_BYTES = VOTES_IN_FRAME * 600;

/** What nodes tell each other of their chains. */
export interface Status {
  readonly genesisHash: Hash;
  readonly headNumber: number;
  readonly headHash: Hash;
  readonly finalizedNumber: number;
  /** The node's clock in ms; nodes may leave it out. */
  readonly clockMs?: number;
}

export const isStatus = (value: unknown): value is Status => {
  const status = value as Status;
  return (
    typeof value === "object" &&
    value !== null &&
    isHex(status.genesisHash, 32) &&
    isHex(status.headHash, 32) &&
    Number.isSafeInteger(status.headNumber) &&
    Number.isSafeInteger(status.finalizedNumber) &&
    (status.clockMs === undefined || Number.isSafeInteger(status.clockMs))
  );
};

/**
 * Cuts the blocks of the chain from a number on into frames of pieces, `[isOpen, piece…]`: a piece is a block, or a part of one;
 * the last goes on with the first of the next frame where `isOpen`.
 */
function* piecesFrom({ store, head }: Engine, from: number): Generator<readonly [boolean, ...Uint8Array[]]> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  let all = 0;
  for (let number = from; number < from + BATCH_BLOCKS && number <= head().header.number; number++) {
    const hash = store.canonical(number);
    let encoded = hash && store.encoded(hash);
    if (!hash || !encoded) break;
    const { length } = encoded;
    if (all > 0 && all + length > BATCH_BYTES) break;
    all += length;
    for (let at = 0; at < length; ) {
      encoded ??= store.encoded(hash)!;
      const piece: Uint8Array = encoded.subarray(at, at + PIECE_BYTES - size);
      pieces.push(piece);
      at += piece.length;
      size += piece.length;
      if (size < PIECE_BYTES) continue;
      // Whoever reads slowly does not keep a block in memory: it is read again.
      encoded = undefined;
      yield [at < length, ...pieces.splice(0)];
      size = 0;
    }
  }
  if (pieces.length > 0) yield [false, ...pieces];
}

/** Puts blocks together again that were cut into frames of pieces. */
export async function* joinPieces(frames: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  let open: Uint8Array[] = [];
  let size = 0;
  for await (const frame of frames) {
    if (!Array.isArray(frame) || frame.length < 2) return failPeer("peer-blocks");
    const [isOpen, ...pieces] = frame as [unknown, ...unknown[]];
    for (const [i, piece] of pieces.entries()) {
      if (!(piece instanceof Uint8Array) || piece.length === 0) return failPeer("peer-blocks");
      size += piece.length;
      if (size > MAX_BLOCK_BYTES) failPeer("peer-blocks");
      open.push(piece);
      if (i === pieces.length - 1 && isOpen === true) break;
      yield open.length === 1 ? piece : concat(...open);
      open = [];
      size = 0;
    }
  }
  if (open.length > 0) throw new Error("a block that does not end");
}

/** The votes that a node knows, those of the present first, in frames. */
function* votesOf({ votes }: Engine): Generator<readonly Uint8Array[]> {
  const known = votes.all().sort((a, b) => b.link.targetEpoch - a.link.targetEpoch);
  for (let i = 0; i < Math.min(known.length, MAX_VOTES); i += VOTES_IN_FRAME)
    yield known.slice(i, Math.min(i + VOTES_IN_FRAME, MAX_VOTES)).map(encodeVote);
}

/** Serves a node's chain to those that are behind: streams `status`, `blocks` and `votes`. */
export const serveChain = async (host: Host, engine: Engine): Promise<void> => {
  const { genesisHash } = engine;
  const allow = createLimiter();
  await serve(host, protocolOf(genesisHash, "status"), allow, (): Status => {
    const { header, hash } = engine.head();
    return {
      genesisHash,
      headNumber: header.number,
      headHash: hash,
      finalizedNumber: engine.finalized().number,
      clockMs: Math.round(engine.now()),
    };
  });
  await serve(host, protocolOf(genesisHash, "blocks"), allow, (request) => {
    const { from } = (request ?? {}) as { from?: unknown };
    if (typeof from !== "number" || !Number.isSafeInteger(from) || from < 1) throw new Error("no number to begin at");
    return piecesFrom(engine, from);
  });
  await serve(host, protocolOf(genesisHash, "votes"), allow, () => votesOf(engine));
};
