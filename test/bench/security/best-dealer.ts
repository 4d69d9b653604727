/**
 * The dealer that buys credit at the least price. Who is drawn is public, so it looks at each round's seats before it decides
 * whether it serves the inputs of its own job to the others: those who get them are paid, those who do not decline. Computed with
 * the market's own rules of agreement, in units of a lot's price, for a pool that is large against a committee.
 */
import { creditedDeclines, firstCommittee, isAgreed, seatsToSettle } from "../../../vm/market/committee.ts";
import { genesis } from "./pool.ts";

/** What a lot's seats have said so far: the dealer's and the others' that computed, and those that declined. */
interface Said {
  readonly own: number;
  readonly others: number;
  readonly declines: number;
}
/** Serves or withholds, given what was said before, the dealer's own new seats included, and how many seats of others are new. */
type Choice = (said: Said, drawn: number) => boolean;
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

const { maxCommittee } = genesis.params;
/** What the rules say of so many seats for the result and so many that declined: agreed, failed, or seats to draw. */
const judge = (trust: bigint, computed: number, declines: number): "agreed" | "failed" | number => {
  const [most, least] = computed >= declines ? [computed, declines] : [declines, computed];
  const others = least > 0 ? [least] : [];
  if (isAgreed(most, others, trust)) return computed >= declines ? "agreed" : "failed";
  const room = maxCommittee - computed - declines;
  return room > 0 ? Math.min(room, seatsToSettle(most, others, trust)) : "failed";
};

/** Cost and credit of a lot under the best choices at a price of credit. */
interface Outlook {
  readonly cost: number;
  readonly credit: number;
}

const outlookAt = (share: number, trust: bigint, burn: number, failure: number, price: number) => {
  const judged = new Map<number, ReturnType<typeof judge>>();
  const known = new Map<number, Outlook>();
  const keyOf = (a: number, b: number, c: number): number => (a * 128 + b) * 128 + c;
  const worth = ({ cost, credit }: Outlook): number => price * credit - cost;
  const after = (said: Said): Outlook => {
    const { own, others, declines } = said;
    const place = keyOf(0, own + others, declines);
    let verdict = judged.get(place);
    if (verdict === undefined) {
      verdict = judge(trust, own + others, declines);
      judged.set(place, verdict);
    }
    // A lot that fails although more computed than declined gives all its money back.
    if (verdict === "failed") return { cost: declines >= own + others ? failure : 0, credit: 0 };
    if (verdict !== "agreed") return drawn(said, verdict);
    const part = own / (own + others);
    return { cost: 1 - part * (1 - burn), credit: declines <= creditedDeclines(trust) ? part * burn : 0 };
  };
  const choices = (said: Said, drawn: number): readonly [served: Outlook, withheld: Outlook] => [
    after({ ...said, others: said.others + drawn }),
    after({ ...said, declines: said.declines + drawn }),
  ];
  const drawn = ({ own, others, declines }: Said, seats: number): Outlook => {
    const key = keyOf(own, others, declines);
    let found = known.get(key);
    if (!found) {
      let [cost, credit] = [0, 0];
      for (let more = 0; more <= seats; more++) {
        const [served, withheld] = choices({ own: own + more, others, declines }, seats - more);
        const best = worth(served) >= worth(withheld) ? served : withheld;
        const weight = chance(seats, more, share);
        cost += weight * best.cost;
        credit += weight * best.credit;
      }
      found = { cost, credit };
      known.set(key, found);
    }
    return found;
  };
  const lot = drawn({ own: 0, others: 0, declines: 0 }, firstCommittee(trust));
  const serves: Choice = (said, seats) => {
    const [served, withheld] = choices(said, seats);
    return worth(served) >= worth(withheld);
  };
  return { ...lot, serves };
};

/** Finds the price at which the best choices earn nothing, and those choices. `failure`: what a lot costs that nobody serves. */
export const bestDealer = (share: number, trust: bigint, burn: number, failure: number): Found => {
  // Each step takes the price that the best choices at the last one lead to; it falls until it stays.
  let price = 1e6;
  for (let i = 0; i < 50; i++) {
    const { cost, credit } = outlookAt(share, trust, burn, failure, price);
    const next = cost / credit;
    if (!(next < price * (1 - 1e-9))) break;
    price = next;
  }
  return { price, serves: outlookAt(share, trust, burn, failure, price).serves };
};
