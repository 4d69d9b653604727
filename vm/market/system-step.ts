import type { State } from "../../chain/state.ts";
import type { BlockContext } from "../natives.ts";
import { runAgenda } from "./agenda.ts";
import { budgetOf, drawEscalations, drawLots } from "./draw.ts";
import type { Env } from "./env.ts";
import { LOT_STATUS, lotOf, SEAT, setLot } from "./lot.ts";
import { applyMembership } from "./membership.ts";
import { endRound, rejectHidden } from "./round.ts";

/**
 * Runs the market's step of a block, before its transactions and without logs: rounds that are due end, seats are drawn,
 * and at an epoch's first block slots come and go (spec section 10). What exceeds a bound waits, so that the cost of a
 * block does not grow with the number of workers or tasks.
 */
export const marketSystemStep = (state: State, block: BlockContext): void => {
  const env: Env = { state, block, log: () => {} };
  runAgenda(env, block.params.closesPerBlock, ({ lot: id, round }) => {
    const lot = lotOf(state, id)!;
    if (lot.round !== round) return;
    if (lot.status === LOT_STATUS.computing && block.timestamp >= lot.roundEnd)
      setLot(state, id, endRound(env, id, lot));
    else if (
      lot.status === LOT_STATUS.revealing &&
      block.timestamp >= lot.revealDeadline &&
      !lot.seats.some(({ status }) => status === SEAT.proved)
    )
      setLot(state, id, rejectHidden(env, id, lot));
  });
  const budget = budgetOf(env);
  drawEscalations(env, budget);
  drawLots(env, budget);
  applyMembership(env);
};
