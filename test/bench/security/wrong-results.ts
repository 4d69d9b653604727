/** Wrong results that colluders get accepted, against the claim of at most 1/trust while they hold at most a third of a pool. */
import { firstCommittee, isAgreed, seatsToSettle } from "../../../vm/market/committee.ts";
import { chance } from "./best-dealer.ts";
import { COMPUTED, createPool, DECLINED, genesis, LIE, type Play, playLots, type Sums, TRUTH } from "./pool.ts";

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
/** Lies while the inputs are kept from all others, who decline: the requester, or who alone holds its data, is one of them. */
const withheld: Play = () => [
  { side: "colluders", slots: COMPUTED, receipt: LIE },
  { side: "others", slots: DECLINED },
];
/** The same, but the inputs drip, and all others are silent. */
const dripped: Play = () => [{ side: "colluders", slots: COMPUTED, receipt: LIE }];
export const LIARS: Record<string, Play> = { always, stalling, whole, withheld, dripped };

export const wrongResults = (liar: Play, share: number, trust: bigint, tasks: number, seed: number): Sums =>
  playLots(createPool(share, `wrong ${seed}`), trust, tasks, liar);

/** The chance of a wrong result where colluders always lie and time does not run out, by the rules of agreement alone. */
export const wrongChance = (share: number, trust: bigint): number => {
  const known = new Map<string, number>();
  const drawn = (right: number, wrong: number, seats: number): number => {
    const key = `${right} ${wrong}`;
    let sum = known.get(key);
    if (sum === undefined) {
      sum = 0;
      for (let lies = 0; lies <= seats; lies++)
        sum += chance(seats, lies, share) * judged(right + seats - lies, wrong + lies);
      known.set(key, sum);
    }
    return sum;
  };
  const judged = (right: number, wrong: number): number => {
    const [most, least] = [Math.max(right, wrong), Math.min(right, wrong)];
    const others = least > 0 ? [least] : [];
    if (isAgreed(most, others, trust)) return wrong > right ? 1 : 0;
    const room = genesis.params.maxCommittee - right - wrong;
    return room > 0 ? drawn(right, wrong, Math.min(room, seatsToSettle(most, others, trust))) : 0;
  };
  return drawn(0, 0, firstCommittee(trust));
};
