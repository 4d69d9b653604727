import { attacksOf } from "./attacks.ts";
import type { Window } from "./run.ts";

/** What an attack may cost; a control of the same length stands beside it. */
export interface Bounds {
  /** Slots without a block, more than in the control. */
  readonly missedSlots: number;
  /** CPU in ms of the target's main thread in one go, the running of blocks apart; the control's where that is more. */
  readonly turnMs: number;
  /** CPU in ms that garbage collection takes of its main thread in one go: the engine's own, of a heap that is bounded. */
  readonly gcMs: number;
  readonly grewMiB: number;
}
export const BOUNDS: Bounds = { missedSlots: 1, turnMs: 20, gcMs: 150, grewMiB: 300 };

/** Questions, two a second, and the part of its longest turn, by which one start of a node may differ from another. */
const START_QUESTIONS = 6;
const START_SPREAD = 1.5;

/** Says what an attack did that it must not have been able to do. */
export const failuresOf = (window: Window, control: Window, bounds: Bounds = BOUNDS): string[] => {
  const failures: string[] = [];
  const check = (isRight: boolean, text: string): void => void (isRight || failures.push(text));
  const most = control.missedSlots + bounds.missedSlots;
  check(window.missedSlots <= most, `${window.missedSlots} slots missed, at most ${most}`);
  check(window.finalized > 0, "nothing became final meanwhile");
  check(window.finalizesAfter, "nothing becomes final afterwards");
  check(window.died === 0, `${window.died} nodes ended`);
  const attacks = attacksOf(window.attack);
  const isRestarted = attacks.some((each) => each.restart);
  // What a start takes differs from one to the next by more than what the attack adds: a program is read and compiled.
  const unanswered = control.unanswered + (isRestarted ? START_QUESTIONS : 0);
  check(window.unanswered <= unanswered, `${window.unanswered} of ${window.asked} questions unanswered`);
  check(window.peakMiB - window.idleMiB <= bounds.grewMiB, `the target grew by ${window.peakMiB - window.idleMiB} MiB`);
  check(window.othersGrewMiB <= bounds.grewMiB, `another node grew by ${window.othersGrewMiB} MiB`);
  check(window.target !== undefined, "the target gave no turn to its probe in 15 s");
  const longest = window.target?.longest[0]?.ms ?? 0;
  const usual = Math.max(bounds.turnMs, (control.target?.longest[0]?.ms ?? 0) * (isRestarted ? START_SPREAD : 1));
  check(longest <= usual, `the target computed ${longest} ms in one go, at most ${usual}`);
  const gcMs = window.target?.longestGcMs ?? 0;
  check(gcMs <= bounds.gcMs, `garbage collection took ${gcMs} ms in one go, at most ${bounds.gcMs}`);
  const { transfers } = window;
  check(transfers.refused <= control.transfers.refused, `${transfers.refused} of ${transfers.sent} transfers refused`);
  check(
    transfers.mined >= transfers.sent - transfers.refused - 2,
    `${transfers.mined} of ${transfers.sent} transfers mined`,
  );
  check(window.behind <= 2, `the target lacks ${window.behind} blocks`);
  if (isRestarted)
    check(
      (window.caughtUpAfter ?? 1e9) <= (control.caughtUpAfter ?? 0) + 10,
      `caught up after ${window.caughtUpAfter} s`,
    );
  if (attacks.some((each) => each.out)) check(window.report.out, "who did it is still connected");
  check(
    control.target !== undefined && control.target.transitionSamples > 0,
    "the probe sees no block run in the control",
  );
  return failures;
};
