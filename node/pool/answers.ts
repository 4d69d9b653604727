import type { Address, Hash } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import type { TaskView } from "../market-client.ts";
import { blame, type Crew, type CrewMember, praise } from "./crew.ts";
import { patienceOf, REFUSAL_MS } from "./patience.ts";
import type { Silences } from "./silences.ts";
import type { OpenTask } from "./store.ts";

/** What became of it that workers were asked for tasks. */
export interface Answers {
  /**
   * Counts once for each who was asked whether it has contributed in time; who does it later has back what that cost. Nobody is
   * silent while the scheduler is not there.
   */
  count(id: Hash, task: OpenTask, view: TaskView): void;
  /**
   * Hears that a worker will not do a task, or not now, for which nobody else was asked for `patienceMs` in its place: it is asked
   * again later, and later with each time, if anybody is. Who had it for longer than half of that rests as long.
   */
  declined(task: OpenTask, member: CrewMember, patienceMs: number): void;
}

/** Makes what counts answers since `startedAt`. */
export const createAnswers = (parts: {
  readonly silences: Silences;
  readonly crew: Crew;
  /** Hears for how many milliseconds somebody has had a task in vain. */
  readonly tookInVain: (task: OpenTask, ms: number) => void;
  readonly startedAt: number;
  readonly now: () => number;
  readonly log: Log;
}): Answers => {
  const { silences, crew, tookInVain, startedAt, now, log } = parts;
  const takeBack = ({ late }: OpenTask, worker: Address): void => {
    const cost = late.get(worker);
    if (cost !== undefined) silences.takeBack(worker, cost);
    late.delete(worker);
  };
  return {
    count: (id, task, view) => {
      for (const [worker, since] of task.assigned) {
        const hasGiven = view.contributors.includes(worker);
        if (hasGiven) takeBack(task, worker);
        if (task.counted.has(worker)) continue;
        const isLate = view.status === TASK_STATUS.active && since >= startedAt && now() - since >= patienceOf(view);
        if (!hasGiven && !isLate) continue;
        task.counted.add(worker);
        const member = crew.get(worker);
        if (hasGiven) {
          silences.answered(worker);
          if (member) praise(member, now() - since < patienceOf(view) / 2);
          continue;
        }
        tookInVain(task, patienceOf(view));
        const cost = silences.silent(worker, since);
        if (cost === undefined) continue;
        if (member) blame(member);
        task.late.set(worker, cost);
        log.info({ task: id, worker, restMs: silences.restOf(worker) }, "silent");
      }
    },
    declined: (task, member, patienceMs) => {
      const { address } = member;
      const since = task.assigned.get(address) ?? now();
      const heldMs = Math.min(patienceMs, now() - since);
      const isCounted = task.counted.has(address);
      if (!isCounted) tookInVain(task, heldMs);
      // What a task needs has half of the time to come (node/worker/deadline.ts): to give it back then is no fault.
      if (heldMs > patienceMs / 2) {
        if (!isCounted && now() >= member.restsUntil) blame(member);
        member.restsUntil = Math.max(member.restsUntil, since + 2 * heldMs);
      }
      task.assigned.delete(address);
      takeBack(task, address);
      task.counted.delete(address);
      const times = (task.refused.get(address)?.times ?? 0) + 1;
      task.refused.set(address, { times, until: now() + REFUSAL_MS * 2 ** (times - 1) });
    },
  };
};
