import { join } from "node:path";
import type { Address, Hash } from "../../lib/bytes.ts";
import { makeFolder, readJson, writeSecret } from "../folder.ts";
import { REMEDIES } from "../remedies.ts";
import type { Silence } from "./silences.ts";

/** A deal of the pool whose tasks are not all over. */
export interface OpenDeal {
  /** The block that showed it first. */
  readonly block: number;
  /** The first task that was not looked at. */
  next: number;
  /** All its tasks are over. */
  over: boolean;
}

/** A task that is under way. */
export interface OpenTask {
  readonly dealid: Hash;
  readonly index: number;
  /** Workers that are asked, and since when (milliseconds). */
  readonly assigned: Map<Address, number>;
  /** Workers that will not. */
  readonly refused: Set<Address>;
  /** Workers whose answer, or silence, is counted. */
  readonly counted: Set<Address>;
}

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
  readonly deals: readonly (OpenDeal & { readonly dealid: Hash })[];
  readonly tasks: readonly {
    readonly taskid: Hash;
    readonly dealid: Hash;
    readonly index: number;
    readonly assigned: readonly [Address, number][];
    readonly refused: readonly Address[];
    readonly counted?: readonly Address[];
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
    deals: new Map(saved.deals.map(({ dealid, ...deal }) => [dealid, deal])),
    tasks: new Map(
      saved.tasks.map(({ taskid, dealid, index, assigned, refused, counted }) => [
        taskid,
        { dealid, index, assigned: new Map(assigned), refused: new Set(refused), counted: new Set(counted) },
      ]),
    ),
    silences: new Map(saved.silences),
    save: () => {
      const now: Saved = {
        scanned: store.scanned,
        deals: [...store.deals].map(([dealid, deal]) => ({ dealid, ...deal })),
        tasks: [...store.tasks].map(([taskid, { dealid, index, assigned, refused, counted }]) => ({
          taskid,
          dealid,
          index,
          assigned: [...assigned],
          refused: [...refused],
          counted: [...counted],
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
