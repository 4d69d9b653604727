import { createHash } from "node:crypto";
import { type Address, type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { openSession, type Session } from "../../vm/wasm/host.ts";
import { type InputReference, type JobParams, parseParams } from "../../vm/wasm/params.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import type { ProcessPool } from "../../vm/wasm/process-pool.ts";
import { WasmRefused } from "../../vm/wasm/refusal.ts";
import type { InputFile } from "../../vm/wasm/task.ts";
import { downloadFile } from "../data-client.ts";
import { type DealView, viewApp, viewDataset, viewDeal } from "../market-client.ts";
import type { Inputs } from "./inputs.ts";
import { referencesOf } from "./location.ts";

/** What the tasks of a deal share, fetched once. */
export interface DealRoom {
  readonly deal: DealView;
  readonly args: JobParams["args"];
  readonly inputs: readonly InputFile[];
  readonly dataset: (InputFile & { readonly address: Address }) | undefined;
  /** Why every worker calls the deal's tasks INVALID; undefined where they are not. */
  readonly refused: string | undefined;
  /** Gives a process that has the deal's module, for one lot. It goes back by `give`, whatever became of the lot. */
  take(): Session;
  give(session: Session): void;
}

export interface DealRooms {
  /** Opens the room of a deal. Throws where something of it cannot be had now, or not by this machine. */
  of(dealid: Hash, vmVersion: number, signal: AbortSignal): Promise<DealRoom>;
  close(): void;
}

/** A deal of which no lot came for so long is put away. */
const IDLE_MS = 20_000;
/** Rooms at a time, and bytes of their deals' files in memory; those in use stay whatever they hold. */
const MAX_ROOMS = 8;
const MAX_BYTES = 512 * 1024 * 1024;

const sha256 = (bytes: Uint8Array): Hash => toHex(createHash("sha256").update(bytes).digest());

/** Reads what an entry's multiaddr names. What every worker refuses alike is a fault here. */
const entryReferences = (location: Uint8Array): InputReference[] => {
  try {
    return referencesOf(location);
  } catch (error) {
    throw error instanceof WasmRefused ? new ComputeFault(error.message) : error;
  }
};

/** Gives the first that succeeds, or else why the first of them failed. */
const anyOf = <T>(tries: readonly Promise<T>[]): Promise<T> =>
  Promise.any(tries).catch((error: AggregateError) => Promise.reject(error.errors[0]));

/** Reads a module; only content-addressed data is the same for every worker. */
const fetchModule = (node: string, location: Uint8Array): Promise<Uint8Array> =>
  anyOf(
    entryReferences(location).map((reference) => {
      if (reference.kind !== "ipfs") throw new ComputeFault(`${reference.url} is not content-addressed`);
      return downloadFile(node, reference.cid);
    }),
  );

/** Gives the parameters, or why every worker refuses them. */
const paramsOf = (text: string): { params: JobParams; refused?: string } => {
  try {
    return { params: parseParams(text) };
  } catch (error) {
    if (error instanceof WasmRefused) return { params: { args: [], inputs: [] }, refused: error.message };
    throw error;
  }
};

/** Fetches what a deal's tasks share. */
const furnish = async (client: RpcClient, node: string, source: Inputs, dealid: Hash, signal: AbortSignal) => {
  const deal = await viewDeal(client, dealid);
  const app = await viewApp(client, deal.app);
  const module = await fetchModule(node, app.location);
  const { params, refused } = paramsOf(deal.params);
  let reason = refused;
  if (app.checksum !== ZERO_HASH && sha256(module) !== app.checksum) reason ??= "the module has another checksum";
  const inputs: InputFile[] = [];
  for (const input of params.inputs) {
    if (reason) break;
    const found = await source.read(input, signal);
    if ("invalid" in found) reason = found.invalid;
    else inputs.push({ name: input.name, bytes: found.bytes });
  }
  let dataset: DealRoom["dataset"];
  if (deal.dataset !== ZERO_ADDRESS) {
    const entry = await viewDataset(client, deal.dataset);
    const found = await anyOf(entryReferences(entry.location).map((each) => source.read(each, signal)));
    if ("invalid" in found) reason ??= found.invalid;
    else if (entry.checksum !== ZERO_HASH && sha256(found.bytes) !== entry.checksum)
      reason ??= "the dataset has another checksum";
    else dataset = { address: deal.dataset, name: entry.name, bytes: found.bytes };
  }
  return { deal, module, args: params.args, inputs, dataset, refused: reason };
};

/** Keeps the rooms of the deals that a worker computes for. */
export const createDealRooms = (options: {
  readonly client: RpcClient;
  readonly node: string;
  readonly pool: ProcessPool;
  readonly inputs: Inputs;
}): DealRooms => {
  const { client, node, pool, inputs: source } = options;
  interface Kept {
    readonly room: Promise<DealRoom>;
    /** Sessions that wait for another lot. */
    readonly idle: Session[];
    taken: number;
    bytes: number;
    usedAt: number;
  }
  /** The longest unused first. */
  const rooms = new Map<Hash, Kept>();

  const putAway = (dealid: Hash): void => {
    for (const session of rooms.get(dealid)?.idle.splice(0) ?? []) session.close();
    rooms.delete(dealid);
  };
  const sweep = (): void => {
    let held = [...rooms.values()].reduce((sum, { bytes }) => sum + bytes, 0);
    for (const [dealid, { taken, bytes, usedAt }] of rooms) {
      const isOld = Date.now() - usedAt > IDLE_MS || rooms.size > MAX_ROOMS || held > MAX_BYTES;
      if (taken > 0 || usedAt === Number.POSITIVE_INFINITY || !isOld) continue;
      held -= bytes;
      putAway(dealid);
    }
  };
  const timer = setInterval(sweep, IDLE_MS / 4).unref();
  /** A process of another deal that does nothing makes way. */
  const makeWay = (): void => {
    for (const { idle } of rooms.values()) idle.shift()?.close();
  };

  const open = (dealid: Hash, vmVersion: number, signal: AbortSignal): Kept => {
    const kept: Kept = {
      idle: [],
      taken: 0,
      bytes: 0,
      // Never old while it is furnished.
      usedAt: Number.POSITIVE_INFINITY,
      room: furnish(client, node, source, dealid, signal).then(({ module, ...room }) => {
        const files = [...room.inputs, ...(room.dataset ? [room.dataset] : [])];
        kept.bytes = files.reduce((sum, { bytes }) => sum + bytes.length, module.length);
        kept.usedAt = Date.now();
        return {
          ...room,
          take: () => {
            let session = kept.idle.pop();
            while (session && !session.isOpen) session = kept.idle.pop();
            if (!session) {
              makeWay();
              session = openSession({ vmVersion, module, pool });
            }
            kept.taken += 1;
            return session;
          },
          give: (session) => {
            kept.taken -= 1;
            kept.usedAt = Date.now();
            if (session.isOpen && rooms.get(dealid) === kept) kept.idle.push(session);
            else session.close();
          },
        };
      }),
    };
    return kept;
  };
  return {
    of: async (dealid, vmVersion, signal) => {
      const kept = rooms.get(dealid) ?? open(dealid, vmVersion, signal);
      rooms.delete(dealid);
      rooms.set(dealid, kept);
      if (kept.usedAt !== Number.POSITIVE_INFINITY) kept.usedAt = Date.now();
      sweep();
      try {
        return await kept.room;
      } catch (error) {
        // What could not be had may be there the next time.
        if (rooms.get(dealid) === kept) putAway(dealid);
        throw error;
      }
    },
    close: () => {
      clearInterval(timer);
      for (const dealid of [...rooms.keys()]) putAway(dealid);
    },
  };
};
