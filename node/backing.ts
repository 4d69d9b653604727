import { LOT_STATUS, SEAT } from "../vm/market/lot.ts";
import type { LotView } from "./market-client.ts";

/** Who stands behind a lot's result: seats that showed it, and the different workers that hold them. */
export interface Backing {
  readonly seats: number;
  readonly workers: number;
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Counts who stands behind a lot's result; nobody before there is one. */
export const backingOf = ({ status, seats }: Pick<LotView, "status" | "seats">): Backing => {
  const proved = status === LOT_STATUS.completed ? seats.filter((seat) => seat.status === SEAT.proved) : [];
  return { seats: proved.length, workers: new Set(proved.map(({ worker }) => worker)).size };
};

/** Says it in words, "2 seats, 1 worker"; empty before there is a result. */
export const backingWords = ({ seats, workers }: Backing): string =>
  seats === 0 ? "" : `${count(seats, "seat")}, ${count(workers, "worker")}`;

/** Warns of results that one worker alone stands behind: a draw by slots may take several of one worker's. */
export const loneWarning = (lots: readonly Pick<LotView, "status" | "seats" | "count">[]): string | undefined => {
  const ended = lots.filter(({ status }) => status === LOT_STATUS.completed);
  const tasks = (of: typeof ended): number => of.reduce((sum, lot) => sum + lot.count, 0);
  const lone = tasks(ended.filter((lot) => backingOf(lot).workers === 1));
  if (lone === 0) return undefined;
  return `${lone} of ${count(tasks(ended), "result")} ${lone === 1 ? "has" : "have"} one worker alone behind all seats: nobody else computed it`;
};
