/** Sets of orders that were refused, and between whom. Bounded: the oldest are forgotten. */
export interface Refusals {
  /** Tells whether a set is not to be tried now. */
  has(set: string): boolean;
  /** Notes a refusal; `sides` left out: it says nothing of those between whom it was. */
  add(set: string, sides?: string): void;
  /** How often sets between these were refused since one of them passed. */
  of(sides: string): number;
  passed(sides: string): void;
}

/** A set that the chain refused is not tried again for so long. */
const RETRY_MS = 60_000;
const MAX_SETS = 65_536;
const MAX_SIDES = 8_192;

const bound = (map: Map<string, unknown>, most: number): void => {
  for (const oldest of map.keys()) {
    if (map.size <= most) return;
    map.delete(oldest);
  }
};

/** Makes an empty memory; `now` in ms. */
export const createRefusals = (now: () => number): Refusals => {
  const sets = new Map<string, number>();
  const counts = new Map<string, number>();
  return {
    has: (set) => (sets.get(set) ?? 0) > now(),
    add: (set, sides) => {
      sets.delete(set);
      sets.set(set, now() + RETRY_MS);
      bound(sets, MAX_SETS);
      if (sides === undefined) return;
      const count = counts.get(sides) ?? 0;
      counts.delete(sides);
      counts.set(sides, count + 1);
      bound(counts, MAX_SIDES);
    },
    of: (sides) => counts.get(sides) ?? 0,
    passed: (sides) => void counts.delete(sides),
  };
};
