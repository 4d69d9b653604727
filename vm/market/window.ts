import type { Hash } from "../../lib/bytes.ts";
import { schedule } from "./agenda.ts";
import type { Env } from "./env.ts";
import { LOT_STATUS, type Lot } from "./lot.ts";

/**
 * Blocks that the time for answers, and the time to reveal, has at least. Time alone would let the proposers of a short category's
 * few slots keep a worker's message out, and a network that stood still would make all of its workers silent.
 */
export const WINDOW_BLOCKS = 10;

const blocksLeft = ({ block }: Env, { sinceBlock }: Lot): number =>
  Math.max(0, sinceBlock + WINDOW_BLOCKS - block.number);

/** Tells whether a round takes no answers any more. */
export const isRoundOver = (env: Env, lot: Lot): boolean =>
  env.block.timestamp >= lot.roundEnd && blocksLeft(env, lot) === 0;

/** Tells whether what was agreed can be revealed no more. */
export const isRevealOver = (env: Env, lot: Lot): boolean =>
  env.block.timestamp >= lot.revealDeadline && blocksLeft(env, lot) === 0;

/** Puts the end of a lot's window on the agenda; gives the lot with the block that it begins in. */
export const openWindow = (env: Env, id: Hash, lot: Lot): Lot => {
  schedule(env, lot.status === LOT_STATUS.revealing ? lot.revealDeadline : lot.roundEnd, { lot: id, round: lot.round });
  return { ...lot, sinceBlock: env.block.number };
};

/** Puts the end of a window that lacks blocks on the agenda once more. */
export const prolongWindow = (env: Env, id: Hash, lot: Lot): void => {
  const { timestamp, params } = env.block;
  schedule(env, timestamp + Math.max(1, blocksLeft(env, lot)) * params.slotSeconds, { lot: id, round: lot.round });
};
