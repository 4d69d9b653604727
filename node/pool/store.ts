import { join } from "node:path";
import type { Address, Hash } from "../../lib/bytes.ts";
import { makeFolder, readJson, writeSecret } from "../folder.ts";
import { REMEDIES } from "../remedies.ts";
import type { Silence } from "./silences.ts";

/** A deal of the pool whose tasks are not all over. */
export interface OpenDeal {
  /** The block that showed it first. */
  readonly block: number;
  /** The first task that never had a place. */
  next: number;
  /** Tasks before it that gave up their places, and wait again. */
  readonly back: number[];
  /** How long workers have had its tasks in vain. */
  vainMs: number;
  /** All its tasks are over. */
  over: boolean;
}

/** A task that is under way. */
export interface OpenTask {
  readonly dealid: Hash;
  readonly index: number;
  /** Workers that are asked, and since when (milliseconds). */
  readonly assigned: Map<Address, number>;
  /** Workers that would not: how often, and until when they are not asked again. Not saved. */
  readonly refused: Map<Address, { readonly times: number; readonly until: number }>;
  /** Workers whose answer, or silence, is counted. */
  readonly counted: Set<Address>;
  /** Those of them whose silence has cost them something: until when they were to rest for it. */
  readonly late: Map<Address, number>;
}

/** Makes a task of which nobody was asked. */
export const newTask = (dealid: Hash, index: number): OpenTask => ({
  dealid,
  index,
  assigned: new Map(),
  refused: new Map(),
  counted: new Set(),
  late: new Map(),
});

/** What a scheduler must not forget: who was asked for what. Everything else it reads from the chain. */
export interface PoolStore {
  /** Deals are known up to this block. */
  scanned: number;
  readonly deals: Map<Hash, OpenDeal>;
  readonly tasks: Map<Hash, OpenTask>;
  readonly silences: Map<Address, Silence>;
  /** Writes all of it, whole or not at all. */
  save(): void;
}

interface Saved {
  readonly scanned: number;
  readonly deals: readonly (Pick<OpenDeal, "block" | "next" | "over"> &
    Partial<OpenDeal> & { readonly dealid: Hash })[];
  readonly tasks: readonly {
    readonly taskid: Hash;
    readonly dealid: Hash;
    readonly index: number;
    readonly assigned: readonly [Address, number][];
    readonly counted?: readonly Address[];
    readonly late?: readonly [Address, number][];
  }[];
  readonly silences?: readonly [Address, Silence][];
}

/** Opens the store of one pool in a folder. Throws where the file is damaged. */
export const openPoolStore = (datadir: string, pool: Address): PoolStore => {
  makeFolder(datadir);
  const path = join(datadir, `pool-${pool}.json`);
  const saved = readJson<Saved>(path, REMEDIES.pool) ?? { scanned: -1, deals: [], tasks: [] };
  const store: PoolStore = {
    scanned: saved.scanned,
    deals: new Map(saved.deals.map(({ dealid, ...deal }) => [dealid, { back: [], vainMs: 0, ...deal }])),
    tasks: new Map(
      saved.tasks.map(({ taskid, dealid, index, assigned, counted, late }) => [
        taskid,
        {
          ...newTask(dealid, index),
          assigned: new Map(assigned),
          counted: new Set(counted),
          late: new Map(late),
        },
      ]),
    ),
    silences: new Map(saved.silences),
    save: () => {
      const now: Saved = {
        scanned: store.scanned,
        deals: [...store.deals].map(([dealid, deal]) => ({ dealid, ...deal })),
        tasks: [...store.tasks].map(([taskid, { dealid, index, assigned, counted, late }]) => ({
          taskid,
          dealid,
          index,
          assigned: [...assigned],
          counted: [...counted],
          late: [...late],
        })),
        silences: [...store.silences],
      };
      const text = JSON.stringify(now);
      if (text === last) return;
      writeSecret(path, text);
      last = text;
    },
  };
  let last = "";
  return store;
};
