/** Wrong results that colluders get accepted, against the claim of at most 1/trust while they hold at most a third of a pool. */
import { COMPUTED, createPool, LIE, type Play, playLots, type Sums, TRUTH } from "./pool.ts";

const honest = { side: "others", slots: COMPUTED, receipt: TRUTH } as const;
/** Lies in every seat: the most wrong results. */
const always: Play = () => [honest, { side: "colluders", slots: COMPUTED, receipt: LIE }];
/** The same, but answers in a round's last slot, so that the lot's time runs out. */
const stalling: Play = ({ slots }) => [honest, { side: "colluders", slots: slots - 1, receipt: LIE }];
/** Lies only with all seats of the first round: nobody can contradict, and no stake is at risk. */
const whole: Play = ({ drawn: { others } }) => [
  honest,
  { side: "colluders", slots: COMPUTED, receipt: others === 0 ? LIE : TRUTH },
];
export const LIARS: Record<string, Play> = { always, stalling, whole };

export const wrongResults = (liar: Play, share: number, trust: bigint, tasks: number, seed: number): Sums =>
  playLots(createPool(share, `wrong ${seed}`), trust, tasks, liar);
