import { boughtGas, roundGas } from "./clock.ts";
import { firstCommittee } from "./committee.ts";
import { type Deal, fullLot } from "./deal.ts";
import { absencesOf, type Lot } from "./lot.ts";

/** What of a deal decides how its lots are paid. */
export type Pricing = Pick<Deal, "price" | "trust" | "timeref" | "lotSize" | "botSize">;

/**
 * Computes what of its price a lot pays, in nRLC (spec section 8): for the gas that it used, and no less than for a round of its
 * seats' time, whatever came of it. Seats that stand in for others are paid for where some declined; liars pay for their own.
 */
export const duePrice = (deal: Pricing, lot: Pick<Lot, "count" | "gasUsed" | "seats">): bigint => {
  const tasks = BigInt(lot.count);
  const committee = BigInt(firstCommittee(deal.trust));
  const seats = absencesOf(lot) > 0 ? BigInt(lot.seats.length) : committee;
  const used = BigInt(lot.gasUsed) * BigInt(fullLot(deal)) * committee;
  const bound = BigInt(roundGas(deal.timeref)) * tasks * seats;
  const due = (deal.price * (used > bound ? used : bound)) / (BigInt(boughtGas(deal.timeref)) * committee);
  const most = deal.price * tasks;
  return due < most ? due : most;
};

/** Computes the part of a lot's price that is for so much of its gas, in nRLC. */
export const gasPrice = (deal: Pricing, gas: number): bigint =>
  (deal.price * BigInt(gas) * BigInt(fullLot(deal))) / BigInt(boughtGas(deal.timeref));
