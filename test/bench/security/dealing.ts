/** What contribution credit costs who buys jobs of its own, and what that costs the others. */
import { SEAT } from "../../../vm/market/lot.ts";
import { startGas } from "../../../vm/wasm/gas.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import { receiptFor } from "../../vm/market/world.ts";
import { bestDealer } from "./best-dealer.ts";
import {
  COMPUTED,
  createPool,
  DECLINED,
  GAS,
  genesis,
  type Play,
  playLots,
  type Round,
  type Sums,
  TRUTH,
  WORKERS,
} from "./pool.ts";

const own = { side: "colluders", slots: COMPUTED, receipt: TRUTH } as const;
/** Inputs are anybody's. */
const open: Play = () => [own, { side: "others", slots: COMPUTED, receipt: TRUTH }];
/** Inputs are for the dealer's seats alone: all others decline. */
const closed: Play = () => [own, { side: "others", slots: DECLINED }];
/** The same, but the dealer's seats answer in a round's last slot: a lot whose time runs out burns nothing. */
const late: Play = ({ slots }) => [
  { side: "others", slots: DECLINED },
  { ...own, slots: slots - 1 },
];
/** Nobody is served, and the dealer's seats decline too. */
const dead: Play = () => [
  { side: "colluders", slots: DECLINED },
  { side: "others", slots: DECLINED },
];

/** The part of a fee that is burned. */
export const BURN = Number(genesis.params.burnQ16) / 65_536;
/** Section 8's price of a unit of credit. */
export const formula = (share: number): number => (1 - share * (1 - BURN)) / (share * BURN);

/** What a lot costs that nobody serves, in parts of its price: measured. */
export const failureOf = (trust: bigint): number => -playLots(createPool(0.1, "dead"), trust, 1, dead).requester;

/** Serves a round's inputs to all or to its own seats alone, whichever buys credit for less. */
const choosy = (share: number, trust: bigint): Play => {
  const { serves } = bestDealer(share, trust, BURN, failureOf(trust));
  return (round: Round) => {
    const { seats } = round.lot;
    const said = (wanted: number, of = ""): number =>
      seats.filter(({ worker, status }) => status === wanted && (of === "" || worker === of)).length;
    const own = said(SEAT.committed, WORKERS.colluders) + round.drawn.colluders;
    const others = said(SEAT.committed, WORKERS.others);
    const isServed = serves({ own, others, declines: said(SEAT.declined) }, round.drawn.others);
    return isServed ? open(round) : closed(round);
  };
};

const DEALERS: Record<string, (share: number, trust: bigint) => Play> = {
  open: () => open,
  closed: () => closed,
  late: () => late,
  choosy,
};

/** What a dealer's jobs do with the gas that they are charged; all cost the same. */
export const IDLERS: Readonly<Record<string, Uint8Array>> = {
  "computes, from a module of 10 kB": receiptFor(GAS, { gasExecuted: GAS - startGas(10_000, 1_000_000, 0, 16) }),
  "is mostly start: 1 MB compiled": receiptFor(GAS, { gasExecuted: GAS - startGas(1_000_000, 100_000_000, 0, 16) }),
  sleeps: receiptFor(GAS, { gasExecuted: 2_020 }),
  "traps at once": receiptFor(GAS, { status: STATUS.trap, gasExecuted: 0 }),
  "fills what is not there: out of gas": receiptFor(GAS, { status: STATUS.outOfGas, gasExecuted: 23 }),
  "is INVALID, or never started": receiptFor(GAS, { status: STATUS.invalid }),
};
/** Deals in the open with jobs of one receipt. */
export const idling = (receipt: Uint8Array, share: number, trust: bigint, lots: number, seed: number): Sums =>
  playLots(createPool(share, `idle ${seed}`), trust, lots, () => [
    { side: "colluders", slots: COMPUTED, receipt },
    { side: "others", slots: COMPUTED, receipt },
  ]);

/** Deals with lots one at a time, or (`playBusy`) many at once. */
export const dealing = (
  kind: string,
  share: number,
  trust: bigint,
  lots: number,
  seed: number,
  play = playLots,
): Sums => play(createPool(share, `${kind} ${seed}`), trust, lots, DEALERS[kind]!(share, trust));
/** RLC that a dealer's account, workers and slots lost for each RLC of credit that its validator got; infinite without any. */
export const creditPrice = ({ requester, colluders, colludersCredit }: Sums): number =>
  -(requester + colluders) / colludersCredit;

/** Colluders decline jobs of others, so that those fail or give no credit. */
export const spite: Play = () => [
  { side: "colluders", slots: 0 },
  { side: "others", slots: COMPUTED, receipt: TRUTH },
];
