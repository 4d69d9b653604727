import type { Test } from "tap";
import type { Address, Hash } from "../../../lib/bytes.ts";
import { createWorld, type JobOptions, type World } from "./world.ts";

const WORKERS = [
  ["w0", 4],
  ["w1", 4],
  ["w2", 4],
  ["w3", 4],
] as const;
/** A market whose genesis pool has four workers with four slots each. */
export const fresh = () => createWorld({ workers: WORKERS });
/** Submits a job and draws its first lot. */
export const drawn = (world: World, job: JobOptions = {}): { dealid: Hash; id: Hash } => {
  const dealid = world.submit(job);
  world.advance(2);
  return { dealid, id: world.lotIdOf(dealid) };
};
/** Lists the workers with seats in a lot, each once. */
export const workersOf = (world: World, id: Hash): Address[] => [
  ...new Set(world.lot(id).seats.map(({ worker }) => worker)),
];
/** A job whose first committee has seats of this many workers, each one seat. */
export const drawnApart = (job: JobOptions = {}) => {
  for (let i = 0; ; i++) {
    const world = createWorld({ workers: WORKERS, seed: `apart ${i}` });
    const deal = drawn(world, job);
    if (workersOf(world, deal.id).length === world.lot(deal.id).seats.length) return { world, ...deal };
  }
};
/** Asserts that the hub and the market owe what they have. */
export const balanced = (t: Test, world: World): void => {
  for (const [name, [owed, has]] of Object.entries(world.books([]))) t.equal(owed, has, `${name} owes what it has`);
};
