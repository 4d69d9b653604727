import { boughtGas, roundGas } from "./clock.ts";
import { firstCommittee, seatsOwed } from "./committee.ts";
import type { Deal } from "./deal.ts";
import type { Lot } from "./lot.ts";

/** Computes the seats of a lot whose time its sponsor pays for: those drawn against liars are paid by the liars. */
export const seatsPaidFor = (
  { trust }: Pick<Deal, "trust">,
  { absent, seats }: Pick<Lot, "absent" | "seats">,
): number => Math.min(seats.length, seatsOwed(absent, trust));

/** What of a deal decides how its lots are paid. */
export type Pricing = Pick<Deal, "price" | "trust" | "timeref" | "lotSize">;

/**
 * Computes what of its price a lot pays, in nRLC (spec section 8): for the gas that it used, and no less than for a round of its
 * seats' time, whatever came of it. Seats that stand in for who declined or was silent are paid for; liars pay for those against them.
 */
export const duePrice = (deal: Pricing, lot: Pick<Lot, "count" | "gasUsed" | "seats" | "absent">): bigint => {
  const tasks = BigInt(lot.count);
  const committee = BigInt(firstCommittee(deal.trust));
  const seats = BigInt(seatsPaidFor(deal, lot));
  const used = BigInt(lot.gasUsed) * BigInt(deal.lotSize) * committee;
  const bound = BigInt(roundGas(deal.timeref)) * tasks * seats;
  const due = (deal.price * (used > bound ? used : bound)) / (BigInt(boughtGas(deal.timeref)) * committee);
  const most = deal.price * tasks;
  return due < most ? due : most;
};

/** Computes the part of a lot's price that is for so much of its gas, in nRLC. */
export const gasPrice = (deal: Pricing, gas: number): bigint =>
  (deal.price * BigInt(gas) * BigInt(deal.lotSize)) / BigInt(boughtGas(deal.timeref));
