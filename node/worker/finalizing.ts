import type { Address } from "../../lib/bytes.ts";
import { SEAT } from "../../vm/market/lot.ts";
import type { LotView } from "../market-client.ts";

/** Blocks that those who wait longer leave to those before them. */
const GRACE_BLOCKS = 4;

/** Lists the seats that agreed on a lot's result. */
export const winnersOf = ({ seats, consensus }: Pick<LotView, "seats" | "consensus">): LotView["seats"] =>
  seats.filter(
    ({ status, resultHash }) => resultHash === consensus && (status === SEAT.committed || status === SEAT.proved),
  );

/**
 * Tells after how many blocks a worker finalizes a lot that is to be revealed; undefined where it need not, or cannot yet. The first
 * that proved is at once, others that are paid follow. A seat that declined or was silent is bound until then, so that its worker sees
 * to it where those who proved leave it: nobody else loses by that.
 */
export const finalizeAfter = (
  lot: Pick<LotView, "seats" | "consensus" | "revealDeadline">,
  worker: Address,
  nowSeconds: number,
): number | undefined => {
  const winners = winnersOf(lot);
  const proved = winners.filter(({ status }) => status === SEAT.proved);
  const isDue = proved.length === winners.length || nowSeconds >= lot.revealDeadline;
  if (proved.length === 0 || !isDue) return undefined;
  if (proved[0]!.worker === worker) return 0;
  if (proved.some((seat) => seat.worker === worker)) return GRACE_BLOCKS;
  const isBound = lot.seats.some(
    (seat) => seat.worker === worker && (seat.status === SEAT.declined || seat.status === SEAT.silent),
  );
  return isBound ? 2 * GRACE_BLOCKS : undefined;
};
