import type { Hash } from "../lib/bytes.ts";
import type { RpcClient } from "../rpc/client.ts";
import { LOT_STATUS, SEAT } from "../vm/market/lot.ts";
import { loneWarning } from "./backing.ts";
import { lotsOfDeal } from "./jobs.ts";
import type { LotView } from "./market-client.ts";

const POLL_MS = 500;

const count = (lots: readonly LotView[], is: (lot: LotView) => boolean): number =>
  lots.reduce((sum, lot) => sum + (is(lot) ? lot.count : 0), 0);
const isAgreed = ({ status }: LotView): boolean => status === LOT_STATUS.revealing || status === LOT_STATUS.completed;

/** Follows a job until each lot is completed or failed; `say` gets a line for each step. Resolves with its lots. */
export const followJob = async (
  client: RpcClient,
  dealid: Hash,
  say: (line: string) => void,
  timeoutMs = 3_600_000,
): Promise<LotView[]> => {
  const started = Date.now();
  let last = "";
  let lots: LotView[] = [];
  for (;;) {
    lots = await lotsOfDeal(client, dealid, lots);
    const tasks = count(lots, () => true);
    const contributed = count(lots, (lot) => isAgreed(lot) || lot.seats.some((seat) => seat.status === SEAT.committed));
    const revealed = count(
      lots,
      (lot) => lot.status === LOT_STATUS.completed || lot.seats.some((seat) => seat.status === SEAT.proved),
    );
    const completed = count(lots, (lot) => lot.status === LOT_STATUS.completed);
    const failed = count(lots, (lot) => lot.status === LOT_STATUS.failed || lot.status === LOT_STATUS.claimed);
    const line = [
      `drawn ${count(lots, (lot) => lot.status !== LOT_STATUS.waiting)}`,
      `contributed ${contributed}`,
      `agreed ${count(lots, isAgreed)}`,
      `revealed ${revealed}`,
      `paid ${completed}`,
      ...(failed > 0 ? [`failed ${failed}`] : []),
    ].join(", ");
    if (line !== last) say(`${((Date.now() - started) / 1000).toFixed(1).padStart(6)} s  of ${tasks} tasks: ${line}`);
    last = line;
    if (completed + failed >= tasks && tasks > 0) {
      const warning = loneWarning(lots);
      if (warning) say(warning);
      return lots;
    }
    if (Date.now() - started > timeoutMs) throw new Error(`the job did not end within ${timeoutMs / 1000} s (${line})`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};
