/** Every seat has PoCo's weight of a worker without a score. */
const SEAT_WEIGHT = 2n;
const MIN_SEATS = 2;

/** Computes the seats of a first round: as many as settle it where all agree, at least two. `trust` is at least 1. */
export const firstCommittee = (trust: bigint): number => {
  let seats = 0;
  for (let reach = 1n; reach < trust; reach *= SEAT_WEIGHT) seats += 1;
  return Math.max(MIN_SEATS, seats);
};

/** Computes the seats that a lot has at most once a seat of it declined. */
export const declinedCommittee = (trust: bigint): number => 2 * firstCommittee(trust) + MIN_SEATS;

/**
 * Declines with which a lot still earns credit: so few that withholding inputs from all but one's own seats never buys
 * credit for less than computing in the open does (spec section 8).
 */
export const creditedDeclines = (trust: bigint): number => firstCommittee(trust) - MIN_SEATS;

/**
 * Tells whether a group of `size` seats has proved its result against groups of other sizes: PoCo's
 * group * trust > total * (trust - 1) with total = 1 + the sum of the groups' weights, and at least two seats.
 */
export const isAgreed = (size: number, others: readonly number[], trust: bigint): boolean =>
  size >= MIN_SEATS && SEAT_WEIGHT ** BigInt(size) * trust > (1n + weightOf([...others, size])) * (trust - 1n);

/** Computes how many more seats would settle it for a group, were they all to join it. */
export const seatsToSettle = (size: number, others: readonly number[], trust: bigint): number => {
  let more = 1;
  while (!isAgreed(size + more, others, trust)) more += 1;
  return more;
};

/**
 * Computes the seats that a lot has by right: its first committee, and those drawn against so many that said that there is no
 * result. What it has beyond was drawn against liars.
 */
export const seatsOwed = (absent: number, trust: bigint): number =>
  absent === 0 ? firstCommittee(trust) : Math.max(firstCommittee(trust), absent + seatsToSettle(0, [absent], trust));

const weightOf = (sizes: readonly number[]): bigint =>
  sizes.reduce((sum, size) => sum + SEAT_WEIGHT ** BigInt(size), 0n);
