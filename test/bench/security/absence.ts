/**
 * What silence costs whom: seats that are silent on purpose, inputs that drip, so that honest seats go silent, and proposers that
 * leave out what honest seats say.
 */
import { utf8 } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { absencesOf, SEAT } from "../../../vm/market/lot.ts";
import { bestDealer } from "./best-dealer.ts";
import { BURN, creditPrice, failureOf } from "./dealing.ts";
import { COMPUTED, createPool, type Play, playLots, type Round, type Sums, TRUTH, WORKERS } from "./pool.ts";

const own = { side: "colluders", slots: COMPUTED, receipt: TRUTH } as const;
const others = { side: "others", slots: COMPUTED, receipt: TRUTH } as const;

/** Seats of colluders say nothing in the jobs of others. */
const mute: Play = () => [others];
/** They commit to what the others find, and do not reveal it. */
const hide: Play = () => [others, { ...own, hides: true }];
/** Inputs drip: all seats but the dealer's wait for them until the round is over. */
const drip: Play = () => [own];

/** Serves a round's inputs, or lets them drip, whichever buys credit for less. */
const choosy = (share: number, trust: bigint): Play => {
  const { serves } = bestDealer(share, trust, BURN, failureOf(trust));
  return (round: Round) => {
    const { seats } = round.lot;
    const said = (of: string): number =>
      seats.filter(({ worker, status }) => status === SEAT.committed && worker === of).length;
    const before = { own: said(WORKERS.colluders) + round.drawn.colluders, others: said(WORKERS.others) };
    const isServed = serves({ ...before, declines: absencesOf(round.lot) }, round.drawn.others);
    return isServed ? [own, others] : drip(round);
  };
};

/** Plays lots of the jobs of others in which colluders are silent. */
export const silence = (share: number, trust: bigint, lots: number, seed: number): Sums =>
  playLots(createPool(share, `silence ${seed}`), trust, lots, mute);
/** Plays lots in which colluders agree and do not reveal. */
export const hiding = (share: number, trust: bigint, lots: number, seed: number): Sums =>
  playLots(createPool(share, `hiding ${seed}`), trust, lots, hide);

/** Plays a dealer's own lots whose inputs drip, always or where that is cheaper; gives the price of credit with the sums. */
export const dripping = (kind: "always" | "choosy", share: number, trust: bigint, lots: number, seed: number) => {
  const play = kind === "always" ? drip : choosy(share, trust);
  const sums = playLots(createPool(share, `drip ${kind} ${seed}`), trust, lots, play);
  return { ...sums, price: creditPrice(sums) };
};

/** Whether a proposer with this share of power makes a block: by the block's number and what it is asked for. */
const isCensors = (power: number, salt: string): boolean =>
  Number(BigInt(keccak256(utf8(salt))) % 1_000_000n) < power * 1_000_000;

/**
 * Counts the rounds of so many in which honest seats were silent although they had said their word, `published` slots after their
 * draw, to proposers of whom some leave it out for as long as it takes.
 */
export const censored = (power: number, published: number, rounds: number, seed: number): number => {
  const pool = createPool(0, `censor ${seed}`);
  let played = 0;
  const play: Play = () => {
    const salt = `${seed} ${played++}`;
    let slots = published;
    while (isCensors(power, `${salt} ${slots}`)) slots += 1;
    return [{ ...others, slots }];
  };
  let silent = 0;
  while (played < rounds) silent += Math.sign(playLots(pool, 2n, 1, play).othersSilent);
  return silent;
};
/** The chance of that: each block that is left of the round is the censor's. A round has ten slots, or twelve blocks. */
export const censorChance = (power: number, published: number, blocks: number): number => power ** (blocks - published);
