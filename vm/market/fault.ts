import type { Hash } from "../../lib/bytes.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_EVENTS } from "./abi.ts";
import { type Env, emitAt } from "./env.ts";
import type { Seat } from "./lot.ts";

/** Logs that a slot paid for what its seat did or left undone. */
export const logFault = (env: Env, seat: Seat, lot: Hash, lostWei: bigint): void =>
  emitAt(env, MARKET, MARKET_EVENTS.SlotFault!, BigInt(seat.slot), lot, seat.worker, BigInt(seat.status), lostWei);
