export const GGAS = 10n ** 9n;
/** Gas of a lot for each second of its clock: ordinary code takes at most a fifth of the time. */
export const CAP_GAS_PER_SECOND = 200_000_000;
/** The shortest clock: blocks, messages, inputs and the start of a program take their time, however small a lot is. */
const LEAST_SECONDS = 10;
/** What a lot pays at least for each second that a round may last, and each of a first round's seats. */
const ROUND_GAS_PER_SECOND = CAP_GAS_PER_SECOND / 2;
/** Rounds whose time a lot's price buys. */
const BOUGHT_ROUNDS = 2;

/** Computes a lot's own clock, in seconds: the time of the gas that it may use, at most its category's. */
export const clockOf = (timeref: number, lotGas: number): number =>
  Math.min(timeref, Math.max(LEAST_SECONDS, Math.ceil(lotGas / CAP_GAS_PER_SECOND)));

/** Computes the seconds that seats have to answer: those of the gas, and what is around it. */
export const roundSeconds = (clock: number): number => clock + Math.min(clock, LEAST_SECONDS);

/** Computes the gas that a seat's time in a round is worth. */
export const roundGas = (clock: number): number => roundSeconds(clock) * ROUND_GAS_PER_SECOND;

/** Computes the gas that a lot's price is for: all that it may use, and never less than the time that it may bind its seats. */
export const boughtGas = (clock: number): number => BOUGHT_ROUNDS * roundGas(clock);
