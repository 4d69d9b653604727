import type { SchedulePoint } from "../chain/params.ts";

export interface Shares {
  readonly work: bigint;
  readonly contribution: bigint;
}

/** Gives the shares of work and contribution in an era, of 65,536: linear between the points, floored; stake has the rest. */
export const sharesAt = (schedule: readonly SchedulePoint[], era: number): Shares => {
  const after = schedule.findIndex((point) => point.era > era);
  const from = schedule[after === -1 ? schedule.length - 1 : after - 1]!;
  if (after === -1) return from;
  const to = schedule[after]!;
  const at = (a: bigint, b: bigint) => a + ((b - a) * BigInt(era - from.era)) / BigInt(to.era - from.era);
  return { work: at(from.work, to.work), contribution: at(from.contribution, to.contribution) };
};
