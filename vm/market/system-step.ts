import { DatabaseError } from "../../chain/db.ts";
import type { State } from "../../chain/state.ts";
import { type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import type { BlockContext } from "../natives.ts";
import { runAgenda } from "./agenda.ts";
import { admitDeals, budgetOf, drawLots } from "./draw.ts";
import type { Env } from "./env.ts";
import { isShown, LOT_STATUS, lotOf, setLot } from "./lot.ts";
import { applyMembership } from "./membership.ts";
import { endMemory } from "./pause.ts";
import { endReveal } from "./reward.ts";
import { endRound, giveUpHidden } from "./round.ts";
import { isRevealOver, isRoundOver, prolongWindow } from "./window.ts";

/** Ends what is due of a lot's round, or the rest of a slot that has left. */
const endDue = (env: Env, id: Hash, round: number): void => {
  const { state, block } = env;
  if (id === ZERO_HASH) {
    endMemory(env, round);
    return;
  }
  const lot = lotOf(state, id)!;
  if (lot.round !== round) return;
  if (lot.status === LOT_STATUS.computing) {
    if (isRoundOver(env, lot)) setLot(state, id, endRound(env, id, lot));
    else if (block.timestamp >= lot.roundEnd) prolongWindow(env, id, lot);
  } else if (lot.status === LOT_STATUS.revealing) {
    if (isRevealOver(env, lot)) setLot(state, id, (isShown(lot) ? endReveal : giveUpHidden)(env, id, lot));
    else if (block.timestamp >= lot.revealDeadline) prolongWindow(env, id, lot);
  }
};

/**
 * Runs the market's step of a block, before its transactions and without logs: rounds that are due end, seats are drawn,
 * and at an epoch's first block slots come and go (spec section 10). What exceeds a bound waits, so that the cost of a
 * block does not grow with the number of workers or tasks.
 *
 * No transaction asks for it, so none can be refused for it: a bug of ours undoes the part that meets it (one lot's round, or
 * this block's draws) on every node alike, and the block goes on. Gives the bugs. Throws DatabaseError alone, since what one
 * node cannot read others can.
 */
export const marketSystemStep = (state: State, block: BlockContext): readonly Error[] => {
  const env: Env = { state, block, log: () => {} };
  const bugs: Error[] = [];
  const part = (run: () => void): void => {
    const before = state.snapshot();
    try {
      run();
    } catch (error) {
      if (error instanceof DatabaseError) throw error;
      state.revert(before);
      bugs.push(error as Error);
    }
  };
  part(() => runAgenda(env, block.params.closesPerBlock, ({ lot, round }) => part(() => endDue(env, lot, round))));
  part(() => admitDeals(env));
  drawLots(env, budgetOf(env), part);
  part(() => applyMembership(env));
  return bugs;
};
