import { table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { concat, fromHex, type Hash, ZERO_HASH } from "../../lib/bytes.ts";
import { hash, record } from "../../lib/codec.ts";
import { keccak256 } from "../../lib/keccak.ts";
import { MARKET } from "../addresses.ts";
import { MARKET_TABLE } from "../layout.ts";

/** Zero before the first and after the last. */
const links = table(MARKET, MARKET_TABLE.lineLink, 1, record({ before: hash, after: hash }));
const ends = table(MARKET, MARKET_TABLE.lineEnds, 1, record({ first: hash, last: hash }));

/** Values that wait one behind the other; each stands in it once. Every operation costs a few records. */
export interface Line {
  first(state: State): Hash | undefined;
  has(state: State, value: Hash): boolean;
  /** Puts a value at the end. It must not be in the line. */
  push(state: State, value: Hash): void;
  /** Takes a value out, wherever it stands; nobody else's place changes. */
  remove(state: State, value: Hash): void;
  /** Lists all. Reads them one by one: for checks, not for blocks. */
  all(state: State): Hash[];
}

/** What becomes of who had its turn: it has another one behind the others, or none this time, or stands in the line no more; or there is no room for it. */
export type Turn = "again" | "rest" | "done" | "stop";

/** Gives each that stands in a line a turn, and another, while there is room. Who rests is behind all others afterwards. */
export const inTurn = (state: State, line: Line, hasRoom: () => boolean, turn: (value: Hash) => Turn): void => {
  const resting: Hash[] = [];
  while (hasRoom()) {
    const first = line.first(state);
    const next = first === undefined ? "stop" : turn(first);
    if (first === undefined || next === "stop") break;
    const stands = line.has(state, first);
    line.remove(state, first);
    if (next === "again" && stands) line.push(state, first);
    if (next === "rest") resting.push(first);
  }
  for (const each of resting) line.push(state, each);
};

/** Gives the line of a name. */
export const lineOf = (id: Hash): Line => {
  const linkId = (value: Hash): Hash => keccak256(concat(fromHex(id), fromHex(value)));
  const link = (state: State, value: Hash, change: { before?: Hash; after?: Hash }): void => {
    if (value === ZERO_HASH) return;
    const found = links.get(state, linkId(value)) ?? { before: ZERO_HASH, after: ZERO_HASH };
    links.set(state, linkId(value), { ...found, ...change });
  };
  const has = (state: State, value: Hash): boolean => links.get(state, linkId(value)) !== undefined;
  return {
    first: (state) => ends.get(state, id)?.first,
    has,
    push: (state, value) => {
      const found = ends.get(state, id);
      link(state, found?.last ?? ZERO_HASH, { after: value });
      link(state, value, { before: found?.last ?? ZERO_HASH, after: ZERO_HASH });
      ends.set(state, id, { first: found?.first ?? value, last: value });
    },
    remove: (state, value) => {
      const found = links.get(state, linkId(value));
      if (!found) return;
      const { before, after } = found;
      const { first, last } = ends.get(state, id)!;
      link(state, before, { after });
      link(state, after, { before });
      links.set(state, linkId(value), undefined);
      const left = { first: first === value ? after : first, last: last === value ? before : last };
      ends.set(state, id, left.first === ZERO_HASH ? undefined : left);
    },
    all: (state) => {
      const values: Hash[] = [];
      for (let at = ends.get(state, id)?.first ?? ZERO_HASH; at !== ZERO_HASH; at = links.get(state, linkId(at))!.after)
        values.push(at);
      return values;
    },
  };
};
