import type { State } from "../../chain/state.ts";
import { effectiveGasPrice, type Transaction } from "../../chain/transaction.ts";
import { type Address, type Hex, toHex } from "../../lib/bytes.ts";
import { GWEI } from "../../lib/units.ts";
import { HUB, MARKET } from "../addresses.ts";
import type { BlockContext, GasPayer } from "../natives.ts";
import { functionsOf, HUB_ABI, MARKET_ABI } from "./abi.ts";
import type { Env } from "./env.ts";
import { LOT_STATUS, type Lot, lotOf, SEAT, type Seat, setLot } from "./lot.ts";
import { canPause, canResume } from "./pause.ts";
import { isFinalizable } from "./reward.ts";
import { saveSlot, slotOf } from "./slot.ts";
import { isRevealOver, isRoundOver } from "./window.ts";

/** Wei per gas that a proposer gets at most for a message that a slot pays. */
const MAX_TIP = GWEI;

type LotKind = "contribute" | "reveal" | "decline" | "finalize";
type PauseKind = "pause" | "resume";
const BIT: Readonly<Record<LotKind, number>> = { contribute: 1, reveal: 2, decline: 4, finalize: 8 };

const kindsOf = <Kind extends string>(abi: readonly string[], kinds: readonly Kind[]): Map<Hex, Kind> => {
  const functionOf = functionsOf(abi);
  return new Map(kinds.map((kind) => [functionOf(kind).selector, kind]));
};
/** Each of these calls has the lot as its first argument. */
const MESSAGES = new Map<Address, Map<Hex, LotKind>>([
  [HUB, kindsOf(HUB_ABI, ["contribute", "reveal", "finalize"])],
  [MARKET, kindsOf(MARKET_ABI, ["contribute", "reveal", "decline", "finalize"])],
]);

/** Calls of 0x…1006 whose first argument is a slot, which pays them. */
const PAUSES = kindsOf(MARKET_ABI, ["pause", "resume"]);
/** Gas that a slot pays for such a call at most: its bound is needed for 32 slots. */
const MAX_PAUSE_GAS = 400_000;

/** Tells whether a call could do what it is for. */
const isAwaited = (env: Env, lot: Lot, mine: readonly Seat[], kind: LotKind): boolean => {
  const isOpen = lot.status === LOT_STATUS.computing && !isRoundOver(env, lot);
  if (kind === "contribute" || kind === "decline") return isOpen && mine.some(({ status }) => status === SEAT.drawn);
  if (kind === "finalize") return isFinalizable(env, lot);
  return (
    lot.status === LOT_STATUS.revealing &&
    !isRevealOver(env, lot) &&
    mine.some(({ status, resultHash }) => status === SEAT.committed && resultHash === lot.consensus)
  );
};

/** The slot that pays a message, and what it has. */
export interface SlotPayer extends GasPayer {
  readonly slotId: number;
  /** Wei. */
  readonly stake: bigint;
}

/** Finds the slot that pays for its own pause or resumption: once in `membershipEpochs`, whether or not it reverts. */
const pausePayer = (env: Env, kind: PauseKind, tx: Transaction, sender: Address): SlotPayer | undefined => {
  const { state, block } = env;
  const id = Number(`0x${Buffer.from(tx.data.subarray(4, 36)).toString("hex")}`);
  const slot = Number.isSafeInteger(id) ? slotOf(state, id) : undefined;
  if (slot?.worker !== sender || tx.gasLimit > MAX_PAUSE_GAS) return undefined;
  const isFresh = slot.paidEpoch === 0 || block.epoch + 1 >= slot.paidEpoch + block.params.membershipEpochs;
  if (!isFresh || !(kind === "pause" ? canPause(slot) : canResume(env, slot))) return undefined;
  return {
    slotId: id,
    stake: slot.stake,
    available: () => slot.stake,
    charge: (wei) => {
      state.debit(MARKET, wei);
      saveSlot(env, { ...slot, stake: slot.stake - wei, paidEpoch: block.epoch + 1 });
    },
  };
};

/**
 * Finds the slot that pays a transaction's gas: contribute, reveal, decline or finalize by a seat of a lot that awaits it,
 * once a call and round, from the stake of the sender's lowest seat, or its own pause or resumption (spec section 10). Undefined
 * where the sender's balance pays, as for any other transaction. Charging uses the call up, whether or not it reverts then.
 */
export const slotPayer = (
  state: State,
  block: BlockContext,
  tx: Transaction,
  sender: Address,
): SlotPayer | undefined => {
  if (!tx.to || tx.data.length < 36 || tx.value > 0n) return undefined;
  const selector = toHex(tx.data.subarray(0, 4));
  const kind = MESSAGES.get(tx.to)?.get(selector);
  const pauses = tx.to === MARKET ? PAUSES.get(selector) : undefined;
  if (!kind && !pauses) return undefined;
  if (tx.maxFeePerGas >= block.baseFee && effectiveGasPrice(tx, block.baseFee) - block.baseFee > MAX_TIP)
    return undefined;
  const env: Env = { state, block, log: () => {} };
  if (!kind) return pausePayer(env, pauses!, tx, sender);
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
