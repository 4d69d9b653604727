import type { Category } from "../../chain/params.ts";
import { anyText, ONLY, single, table } from "../../chain/records.ts";
import type { State } from "../../chain/state.ts";
import { record, uint } from "../../lib/codec.ts";
import { HUB } from "../addresses.ts";
import { HUB_TABLE } from "../layout.ts";

const count = table(HUB, HUB_TABLE.categoryCount, 1, single(uint));
const byId = table(HUB, HUB_TABLE.category, 1, record({ name: anyText, description: anyText, workClockTimeRef: uint }));

/** Gives the number of categories; their ids are below it. */
export const categoryCount = (state: State): number => count.get(state, ONLY) ?? 0;

/** Reads a category; undefined where there is none. */
export const categoryAt = (state: State, id: bigint): Category | undefined =>
  id < BigInt(categoryCount(state)) ? byId.get(state, id) : undefined;

/** Appends a category and gives its id. Categories never change. */
export const addCategory = (state: State, category: Category): number => {
  const id = categoryCount(state);
  byId.set(state, id, category);
  count.set(state, ONLY, id + 1);
  return id;
};
