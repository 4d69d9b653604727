/** A pool on the real state machine that two sides share: colluders, who may also be the requester, and all others. */

import { readFileSync } from "node:fs";
import { readGenesis } from "../../../chain/genesis.ts";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { keccak256 } from "../../../lib/keccak.ts";
import { NRLC } from "../../../lib/units.ts";
import { MARKET } from "../../../vm/addresses.ts";
import { roundSeconds } from "../../../vm/market/clock.ts";
import { resultHashOf } from "../../../vm/market/contribution.ts";
import { dealOf } from "../../../vm/market/deal.ts";
import { hubAccount } from "../../../vm/market/escrow.ts";
import { absencesOf, LOT_STATUS, type Lot, lotOf, SEAT, type Seat } from "../../../vm/market/lot.ts";
import { isFinalizable } from "../../../vm/market/reward.ts";
import { slotOf } from "../../../vm/market/slot.ts";
import { validators } from "../../../vm/validators.ts";
import { addressBy, createWorld, market, receiptFor } from "../../vm/market/world.ts";

const GENESIS = JSON.parse(readFileSync(new URL("../../../genesis.json", import.meta.url), "utf8"));
export const GENESIS_PARAMS = GENESIS.params;
/** What genesis.json says. */
export const genesis = readGenesis(GENESIS);
/** Slots of the pool: a committee of 64 is a small part of them. */
export const SLOTS = 300;
/** Gas of each task, all of it used: that of the shortest category. */
export const GAS = 2_000_000_000;

export const TRUTH = receiptFor(GAS);
export const LIE = receiptFor(GAS, { code: 1 });

const SIDES = ["colluders", "others"] as const;
export type Side = (typeof SIDES)[number];
export const WORKERS = { colluders: addressBy("colluders"), others: addressBy("others") };

/** A pool of which colluders hold a share of the slots. Each side is one worker with a validator of its own. */
export const createPool = (share: number, seed: string) => {
  const own = Math.round(share * SLOTS);
  const counts = { colluders: own, others: SLOTS - own };
  const workers = SIDES.filter((side) => counts[side] > 0).map((side) => [side, counts[side]] as const);
  return createWorld({ workers, params: GENESIS.params, seed });
};
export type Pool = ReturnType<typeof createPool>;

/** What a side does in a round: so many slots after its draw it commits to a receipt, or declines without one. */
export interface Move {
  readonly side: Side;
  readonly slots: number;
  readonly receipt?: Uint8Array;
  /** It does not show what it committed to. */
  readonly hides?: boolean;
}
/** A round that was just drawn. */
export interface Round {
  readonly lot: Lot;
  /** Seats of each side that are to answer. */
  readonly drawn: Record<Side, number>;
  /** Slots that the round lasts. */
  readonly slots: number;
}
/** Gives both sides' moves in the order of their times. */
export type Play = (round: Round) => readonly Move[];

/** Slots after the draw at which ordinary code has answered: a fifth of the category's time. */
export const COMPUTED = 1;
/** Slots after the draw at which who cannot get the inputs declines. In longer categories it is a smaller part of the time. */
export const DECLINED = 3;

const countOf = (lot: Lot, side: Side, status: number): number =>
  lot.seats.filter((seat) => seat.worker === WORKERS[side] && seat.status === status).length;

/** A lot that both sides play, a step in each slot. */
interface Game {
  readonly id: Hash;
  /** Does what is due in this slot; true once the lot is over and its money has moved. */
  step(): boolean;
}

const openGame = (pool: Pool, dealid: Hash, play: Play): Game => {
  const id = pool.lotIdOf(dealid);
  const receipts = new Map<Hash, Uint8Array>();
  let round = -1;
  let drawnAt = 0;
  let moves: Move[] = [];
  const hiding = new Set<Address>();
  const startRound = (lot: Lot): void => {
    const { slotSeconds } = pool.genesis.params;
    const drawn = { colluders: countOf(lot, "colluders", SEAT.drawn), others: countOf(lot, "others", SEAT.drawn) };
    round = lot.round;
    drawnAt = pool.block().slot;
    const planned = play({ lot, drawn, slots: roundSeconds(lot.timeref) / slotSeconds });
    moves = planned.filter(({ side }) => drawn[side] > 0);
  };
  /** Reveals and finalizes, or claims; false while others may still reveal. */
  const end = ({ status, consensus, seats }: Lot): boolean => {
    if (status !== LOT_STATUS.revealing) {
      pool.call(pool.requester, MARKET, market("claim"), [id]);
      return true;
    }
    const open = seats.filter((seat) => seat.status === SEAT.committed && seat.resultHash === consensus);
    for (const worker of new Set(open.map((seat) => seat.worker)))
      if (!hiding.has(worker)) pool.reveal(worker, id, receipts.get(consensus)!);
    if (!isFinalizable({ state: pool.state, block: pool.block(), log: () => {} }, pool.lot(id))) return false;
    pool.finalize(id);
    return true;
  };
  return {
    id,
    step: () => {
      let lot = lotOf(pool.state, id);
      if (!lot || lot.status === LOT_STATUS.escalating) return false;
      if (lot.status === LOT_STATUS.computing && lot.round !== round) startRound(lot);
      const due = () => moves[0] && moves[0].slots <= pool.block().slot - drawnAt;
      while (lot.status === LOT_STATUS.computing && due()) {
        const { side, receipt, hides } = moves.shift()!;
        if (hides) hiding.add(WORKERS[side]);
        if (receipt) {
          receipts.set(resultHashOf(id, keccak256(receipt)), receipt);
          pool.contribute(WORKERS[side], id, receipt);
        } else pool.call(WORKERS[side], MARKET, market("decline"), [id]);
        lot = pool.lot(id);
      }
      if (lot.status === LOT_STATUS.computing || lot.status === LOT_STATUS.escalating) return false;
      return end(lot);
    },
  };
};

/** Wei that parties have in balances and in the hub; the app's owner counts as the requester. */
const moneyOf = ({ state, requester, developer }: Pool): Record<"requester" | Side, bigint> => {
  const of = (...owners: Address[]): bigint =>
    owners.reduce((sum, owner) => {
      const { stake, locked } = hubAccount(state, owner);
      return sum + state.balance(owner) + (stake + locked) * NRLC;
    }, 0n);
  return { requester: of(requester, developer), colluders: of(WORKERS.colluders), others: of(WORKERS.others) };
};
/** Wei that the slots of lots' seats of a side lost; all slots were full before. */
const slotLoss = ({ state, genesis: { params } }: Pool, lots: readonly Lot[], side: Side): bigint => {
  const seats = lots.flatMap((lot) => lot.seats).filter(({ worker }) => worker === WORKERS[side]);
  const stakes = [...new Set(seats.map(({ slot }) => slot))].map((slot) => slotOf(state, slot)?.stake ?? 0n);
  return stakes.reduce((sum, stake) => sum + params.slotStakeNrlc * NRLC - stake, 0n);
};

/** What lots did, summed; money and credit in units of what a lot pays where all agree, half of what it locks. */
export type Sums = ReturnType<typeof noSums>;
const noSums = () => ({
  ...{ lots: 0, seats: 0, firstSeats: 0, ownFirstSeats: 0, wrong: 0, failed: 0, lostSlots: 0 },
  /** Seats that declined or were silent, and of these the others' that were silent. */
  ...{ declines: 0, othersSilent: 0 },
  /** Lots that failed and burned a part of their price. */
  unserved: 0,
  /** What each party gained. */
  ...{ requester: 0, colluders: 0, others: 0 },
  ...{ colludersCredit: 0, othersCredit: 0 },
});

const countLot = (pool: Pool, sums: Sums, id: Hash): void => {
  const lot = pool.lot(id);
  const isOwn = ({ worker }: Seat): boolean => worker === WORKERS.colluders;
  const first = lot.seats.filter(({ round }) => round === 0);
  sums.lots += 1;
  sums.seats += lot.seats.length;
  sums.firstSeats += first.length;
  sums.ownFirstSeats += first.filter(isOwn).length;
  if (lot.status !== LOT_STATUS.completed) sums.failed += 1;
  else if (lot.consensus === resultHashOf(id, keccak256(LIE))) sums.wrong += 1;
  sums.declines += absencesOf(lot);
  if (lot.isUnserved) sums.unserved += 1;
  sums.othersSilent += countOf(lot, "others", SEAT.silent);
  sums.lostSlots += countOf(lot, "colluders", SEAT.rejected);
};

/** Starts to measure money and credit; what it gives adds to the sums what they changed by since. */
const meter = (pool: Pool): ((sums: Sums, lots: readonly Lot[]) => void) => {
  const credits = () => pool.validators.map((address) => validators.find(pool.state, address)!.pendingContribution);
  const had = moneyOf(pool);
  const credited = credits();
  return (sums, lots) => {
    const price = Number(dealOf(pool.state, lots[0]!.dealid)!.price * NRLC) / 2;
    const has = moneyOf(pool);
    const gained = (side: Side): bigint => has[side] - had[side] - slotLoss(pool, lots, side);
    sums.requester += Number(has.requester - had.requester) / price;
    sums.colluders += Number(gained("colluders")) / price;
    sums.others += Number(gained("others")) / price;
    const [own, others] = credits().map((wei, i) => Number(wei - credited[i]!) / price);
    sums.colludersCredit += own!;
    sums.othersCredit += others!;
  };
};

/** Plays lots one after another, each on the same state. */
export const playLots = (pool: Pool, trust: bigint, lots: number, play: Play): Sums => {
  const { state } = pool;
  const sums = noSums();
  const measured = meter(pool);
  for (let i = 0; i < lots; i++) {
    const before = state.snapshot();
    const game = openGame(pool, pool.submit({ gasLimit: BigInt(GAS), trust }), play);
    while (!game.step()) pool.advance(1);
    countLot(pool, sums, game.id);
    measured(sums, [pool.lot(game.id)]);
    state.revert(before);
  }
  return sums;
};

/** Plays lots many at once: so many wait that the chain keeps half of the pool busy. */
export const playBusy = (pool: Pool, trust: bigint, lots: number, play: Play): Sums => {
  const sums = noSums();
  const measured = meter(pool);
  const ended: Lot[] = [];
  let games: Game[] = [];
  for (let left = lots; left > 0 || games.length > 0; pool.advance(1)) {
    for (; left > 0 && games.length < SLOTS; left--)
      games.push(openGame(pool, pool.submit({ gasLimit: BigInt(GAS), trust }), play));
    games = games.filter((game) => {
      if (!game.step()) return true;
      countLot(pool, sums, game.id);
      ended.push(pool.lot(game.id));
      return false;
    });
  }
  measured(sums, ended);
  return sums;
};
