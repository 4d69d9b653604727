import type { Test } from "tap";
import { type Address, type Hash, ZERO_ADDRESS } from "../../../lib/bytes.ts";
import { MARKET, WORKERPOOL_REGISTRY } from "../../../vm/addresses.ts";
import { functionsOf, WORKERPOOL_ABI, WORKERPOOL_REGISTRY_ABI } from "../../../vm/market/abi.ts";
import { addressBy, createWorld, type JobOptions, market, type World } from "./world.ts";

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

const registry = functionsOf([...WORKERPOOL_REGISTRY_ABI, ...WORKERPOOL_ABI]);
/** Makes a drawn pool of the developer's; its policy is what a new pool has unless a test says how many percent workers stake. */
export const openPool = (world: World, name: string, stakeRatio?: bigint): Address => {
  const { developer } = world;
  const [made] = world.call(developer, WORKERPOOL_REGISTRY, registry("createWorkerpool"), [developer, name]).values;
  const pool = made as Address;
  if (stakeRatio !== undefined) world.call(developer, pool, registry("changePolicy"), [stakeRatio, 0n]);
  world.call(developer, MARKET, market("openPool"), [pool, ZERO_ADDRESS, ZERO_ADDRESS]);
  return pool;
};
/** Asks for slots of a pool, whose stake comes out of nothing. */
export const askToJoin = (world: World, pool: Address, name: string, slots: number): void => {
  const stake = world.genesis.params.slotStakeNrlc * 10n ** 9n * BigInt(slots);
  world.state.credit(addressBy(name), stake);
  world.call(addressBy(name), MARKET, market("join"), [pool, world.validators[0]!, BigInt(slots)], stake);
};
/** Puts slots into a pool, and waits until they are there. */
export const join = (world: World, pool: Address, name: string, slots: number): void => {
  askToJoin(world, pool, name, slots);
  world.advance(4 * 4 + 4);
};
