import type { State } from "../../chain/state.ts";
import { effectiveGasPrice, type Transaction } from "../../chain/transaction.ts";
import { type Address, type Hex, toHex } from "../../lib/bytes.ts";
import type { BlockContext, GasPayer } from "../natives.ts";
import { HUB, MARKET } from "../tables.ts";
import { functionsOf, HUB_ABI, MARKET_ABI } from "./abi.ts";
import type { Env } from "./env.ts";
import { LOT_STATUS, type Lot, lotOf, SEAT, type Seat, setLot } from "./lot.ts";
import { isFinalizable } from "./reward.ts";
import { saveSlot, slotOf } from "./slot.ts";

/** Wei per gas that a proposer gets at most for a message that a slot pays. */
const MAX_TIP = 10n ** 9n;

type Kind = "contribute" | "reveal" | "decline" | "finalize";
const BIT: Readonly<Record<Kind, number>> = { contribute: 1, reveal: 2, decline: 4, finalize: 8 };

const kindsOf = (abi: readonly string[], kinds: readonly Kind[]): Map<Hex, Kind> => {
  const functionOf = functionsOf(abi);
  return new Map(kinds.map((kind) => [functionOf(kind).selector, kind]));
};
/** Each of these calls has the lot as its first argument. */
const MESSAGES = new Map<Address, Map<Hex, Kind>>([
  [HUB, kindsOf(HUB_ABI, ["contribute", "reveal", "finalize"])],
  [MARKET, kindsOf(MARKET_ABI, ["contribute", "reveal", "decline", "finalize"])],
]);

/** Tells whether a call could do what it is for. */
const isAwaited = (env: Env, lot: Lot, mine: readonly Seat[], kind: Kind): boolean => {
  const isOpen = lot.status === LOT_STATUS.computing && env.block.timestamp < lot.roundEnd;
  if (kind === "contribute" || kind === "decline") return isOpen && mine.some(({ status }) => status === SEAT.drawn);
  if (kind === "finalize") return isFinalizable(env, lot);
  return (
    lot.status === LOT_STATUS.revealing &&
    env.block.timestamp < lot.revealDeadline &&
    mine.some(({ status, resultHash }) => status === SEAT.committed && resultHash === lot.consensus)
  );
};

/** The slot that pays a message, and what it has. */
export interface SlotPayer extends GasPayer {
  readonly slotId: number;
  /** Wei. */
  readonly stake: bigint;
}

/**
 * Finds the slot that pays a transaction's gas: contribute, reveal, decline or finalize by a seat of a lot that awaits it,
 * once a call and round, from the stake of the sender's lowest seat (spec section 10). Undefined where the sender's balance
 * pays, as for any other transaction. Charging uses the call up, whether or not it reverts then.
 */
export const slotPayer = (
  state: State,
  block: BlockContext,
  tx: Transaction,
  sender: Address,
): SlotPayer | undefined => {
  const kind = tx.to && tx.data.length >= 36 && MESSAGES.get(tx.to)?.get(toHex(tx.data.subarray(0, 4)));
  if (!kind || tx.value > 0n) return undefined;
  if (tx.maxFeePerGas >= block.baseFee && effectiveGasPrice(tx, block.baseFee) - block.baseFee > MAX_TIP)
    return undefined;
  const id = toHex(tx.data.subarray(4, 36));
  const lot = lotOf(state, id);
  if (!lot) return undefined;
  // A seat that has proved its result has still the finalization to say, though its slot is free for others.
  const isPayer = ({ worker, slot, status }: Seat): boolean => {
    const found = worker === sender && slotOf(state, slot);
    return found !== undefined && found !== false && (found.lot === id || status === SEAT.proved);
  };
  const lowest = lot.seats.findIndex(isPayer);
  const seat = lot.seats[lowest];
  const slot = seat && slotOf(state, seat.slot);
  if (!slot) return undefined;
  const env: Env = { state, block, log: () => {} };
  const mine = lot.seats.filter(({ worker }) => worker === sender);
  const paid = seat.paidRound === lot.round ? seat.paid : 0;
  if ((paid & BIT[kind]) !== 0 || !isAwaited(env, lot, mine, kind)) return undefined;
  return {
    slotId: slot.id,
    stake: slot.stake,
    available: () => slot.stake,
    charge: (wei) => {
      state.debit(MARKET, wei);
      saveSlot(env, { ...slot, stake: slot.stake - wei });
      const used: Seat = { ...seat, paid: paid | BIT[kind], paidRound: lot.round };
      setLot(state, id, { ...lot, seats: lot.seats.with(lowest, used) });
    },
  };
};

/** Tells whether a slot pays a transaction's gas, and has enough for all that it may use: what a pool asks. */
export const isPaidBySlot = (state: State, block: BlockContext, tx: Transaction, sender: Address): boolean => {
  const payer = slotPayer(state, block, tx, sender);
  return payer !== undefined && payer.available() >= BigInt(tx.gasLimit) * tx.maxFeePerGas;
};
