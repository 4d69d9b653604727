import type { Address, Hash } from "../../../lib/bytes.ts";
import { HUB } from "../../addresses.ts";
import { ensure } from "../../revert.ts";
import { HUB_EVENTS } from "../abi.ts";
import { type Env, emitAt } from "../env.ts";
import { payAll, payBack } from "./pay.ts";
import { dealOfTask, setTask, TASK_STATUS, taskOf } from "./task.ts";
import { isCallbackData } from "./work.ts";

/**
 * Ends a task with the result that was revealed, and pays. The pool's owner alone may, once all who agreed have revealed,
 * or some have and the time is over. No account of this chain answers `receiveResult`, which PoCo would call now and whose
 * failure it ignores: a callback's data is read by `resultFor`.
 */
export const finalize = (
  env: Env,
  sender: Address,
  id: Hash,
  results: Uint8Array,
  resultsCallback: Uint8Array,
): void => {
  const { state, block } = env;
  const task = taskOf(state, id);
  ensure(task !== undefined && dealOfTask(state, task).poolOwner === sender);
  const { status, finalDeadline, revealDeadline, revealCounter, winnerCounter, resultDigest } = task!;
  ensure(status === TASK_STATUS.revealing && finalDeadline > block.timestamp);
  ensure(revealCounter === winnerCounter || (revealCounter > 0 && revealDeadline <= block.timestamp));
  ensure(isCallbackData(dealOfTask(state, task!), resultsCallback, resultDigest));
  setTask(state, id, { ...task!, status: TASK_STATUS.completed, results, resultsCallback });
  payAll(env, id, task!);
  emitAt(env, HUB, HUB_EVENTS.TaskFinalize!, id, results);
};

/** Ends a task whose last deadline is over: everybody gets back what was bound, but for the pool's owner. Anyone may ask. */
export const claim = (env: Env, id: Hash): void => {
  const { state, block } = env;
  const task = taskOf(state, id);
  ensure(task?.status === TASK_STATUS.active || task?.status === TASK_STATUS.revealing);
  ensure(task!.finalDeadline <= block.timestamp);
  setTask(state, id, { ...task!, status: TASK_STATUS.failed });
  payBack(env, id, task!);
  emitAt(env, HUB, HUB_EVENTS.TaskClaimed!, id);
};
