/**
 * The dealer that buys credit at the least price. Who is drawn is public, so it looks at each round's seats before it decides
 * whether it serves the inputs of its own job to the others: those who get them are paid, those who do not decline. Computed with
 * the market's own rules of agreement, in units of a lot's price, for a pool that is large against a committee.
 */
import {
  creditedDeclines,
  firstCommittee,
  isAgreed,
  seatsToSettle,
  toleratedDeclines,
} from "../../../vm/market/committee.ts";

/** Serves or withholds, given the dealer's seats so far, the others' that were just drawn, and the declines before. */
type Choice = (own: number, others: number, declines: number) => boolean;
interface Found {
  /** What a unit of credit costs. */
  readonly price: number;
  readonly serves: Choice;
}

/** The chance that `hits` of `draws` are of those who have a share of the slots. */
export const chance = (draws: number, hits: number, share: number): number => {
  let ways = 1;
  for (let i = 0; i < hits; i++) ways = (ways * (draws - i)) / (i + 1);
  return ways * share ** hits * (1 - share) ** (draws - hits);
};

/** What a lot is worth to the dealer at a price of credit: credit times that price, less what it cost. */
const valuesAt = (share: number, trust: bigint, burn: number, failure: number, price: number) => {
  const known = new Map<string, number>();
  const served = (own: number, others: number, declines: number): number => {
    const part = own / (own + others);
    const credit = declines <= creditedDeclines(trust) ? part * burn : 0;
    return price * credit - (1 - part * (1 - burn));
  };
  const withheld = (own: number, others: number, before: number): number => {
    const declines = before + others;
    if (declines > toleratedDeclines(trust)) return -failure;
    if (isAgreed(own, [], trust)) return served(own, 0, declines);
    return drawn(own, seatsToSettle(own, [], trust), declines);
  };
  const drawn = (own: number, seats: number, declines: number): number => {
    const key = `${own} ${seats} ${declines}`;
    let value = known.get(key);
    if (value === undefined) {
      value = 0;
      for (let more = 0; more <= seats; more++) {
        const args = [own + more, seats - more, declines] as const;
        value += chance(seats, more, share) * Math.max(served(...args), withheld(...args));
      }
      known.set(key, value);
    }
    return value;
  };
  const serves: Choice = (...args) => served(...args) >= withheld(...args);
  return { lot: drawn(0, firstCommittee(trust), 0), serves };
};

/** Finds the price at which the best choices earn nothing, and those choices. `failure`: what a lot costs that nobody serves. */
export const bestDealer = (share: number, trust: bigint, burn: number, failure: number): Found => {
  let [low, high] = [1, 1e6];
  for (let i = 0; i < 60; i++) {
    const middle = Math.sqrt(low * high);
    if (valuesAt(share, trust, burn, failure, middle).lot > 0) high = middle;
    else low = middle;
  }
  return { price: high, serves: valuesAt(share, trust, burn, failure, high).serves };
};
