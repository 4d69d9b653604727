import type { Hash } from "../../lib/bytes.ts";
import { createSharedWork, orAbort } from "../../lib/shared-work.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { openSession, type Session } from "../../vm/wasm/host.ts";
import type { ProcessPool } from "../../vm/wasm/process-pool.ts";
import type { RewrittenStore } from "../../vm/wasm/rewritten-store.ts";
import { rulesOf } from "../../vm/wasm/versions.ts";
import { type Furniture, furnish, type Loaded } from "./furnish.ts";
import type { HeldInputs, Inputs, Patience } from "./inputs.ts";

/** What the tasks of a deal share, fetched once, and read once where it is needed. */
export interface DealRoom extends Furniture {
  /** Gives a process that has the deal's module, for one lot. It goes back by `give`, whatever became of the lot. */
  take(loaded: Loaded): Session;
  give(session: Session): void;
  /** Ends a lot's claim to the deal's files, which stay until then: it has read them, or will not. */
  leave(): void;
}

export interface DealRooms {
  /**
   * Opens the room of a deal. Throws where something of it cannot be had now, or not by this machine. What has not come when the
   * wait ends may come until `lasts` (Unix milliseconds), for a lot of the deal that comes again.
   */
  of(dealid: Hash, vmVersion: number, patience: Patience & { readonly lasts?: number | undefined }): Promise<DealRoom>;
  close(): void;
}

/** A deal of which no lot came for so long is put away. */
const IDLE_MS = 20_000;
/** Rooms at a time, and bytes of their deals' files in memory; those that lots run in stay, each with 320 MiB at most. */
const MAX_ROOMS = 8;
const MAX_BYTES = 512 * 1024 * 1024;
/** Deals whose files are fetched though no lot waits for them any more. */
const MAX_LINGERING = 2;

/** Keeps the rooms of the deals that a worker computes for. */
export const createDealRooms = (options: {
  readonly client: RpcClient;
  readonly pool: ProcessPool;
  readonly inputs: Inputs;
  readonly store?: RewrittenStore;
}): DealRooms => {
  const { pool, store } = options;
  interface Kept {
    readonly room: Omit<DealRoom, "leave">;
    readonly files: HeldInputs;
    /** Lots that have not read the files yet. */
    waiting: number;
    /** Sessions that wait for another lot. */
    readonly idle: Session[];
    taken: number;
    usedAt: number;
    loaded: Promise<Loaded> | undefined;
    held: number;
  }
  /** The longest unused first. */
  const rooms = new Map<Hash, Kept>();
  const furnishing = createSharedWork<Kept>();

  const putAway = (dealid: Hash): void => {
    const kept = rooms.get(dealid);
    rooms.delete(dealid);
    for (const session of kept?.idle.splice(0) ?? []) session.close();
    if (kept?.waiting === 0) kept.files.release();
  };
  const sweep = (): void => {
    let held = [...rooms.values()].reduce((sum, { held }) => sum + held, 0);
    for (const [dealid, { taken, waiting, usedAt, held: own }] of rooms) {
      const isOld = Date.now() - usedAt > IDLE_MS || rooms.size > MAX_ROOMS || held > MAX_BYTES;
      if (taken > 0 || waiting > 0 || !isOld) continue;
      held -= own;
      putAway(dealid);
    }
  };
  const timer = setInterval(sweep, IDLE_MS / 4).unref();
  /** A process of another deal that does nothing makes way: its pool may keep it, without that deal's files. */
  const makeWay = (): void => {
    for (const { idle } of rooms.values()) idle.shift()?.close();
  };

  const open = (dealid: Hash, vmVersion: number, furniture: Furniture, files: HeldInputs): Kept => {
    const kept: Kept = {
      files,
      waiting: 0,
      idle: [],
      taken: 0,
      usedAt: Date.now(),
      loaded: undefined,
      held: 0,
      room: {
        ...furniture,
        load: async () => {
          kept.loaded ??= furniture.load();
          try {
            const loaded = await kept.loaded;
            kept.held = loaded.held;
            kept.files.release();
            return loaded;
          } catch (error) {
            // A file that the disk lost is fetched again.
            if (rooms.get(dealid) === kept) putAway(dealid);
            throw error;
          }
        },
        take: ({ module }) => {
          let session = kept.idle.pop();
          while (session && !session.isOpen) session = kept.idle.pop();
          if (!session) {
            makeWay();
            const { requester } = furniture.deal;
            session = openSession({ vmVersion, module, pool, requester, ...(store && { store }) });
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
      },
    };
    return kept;
  };
  const furnished = async (dealid: Hash, vmVersion: number, patience: Patience): Promise<Kept> => {
    const files = options.inputs.hold();
    try {
      const furniture = await furnish({ client: options.client, inputs: files }, dealid, rulesOf(vmVersion), patience);
      const kept = open(dealid, vmVersion, furniture, files);
      rooms.set(dealid, kept);
      return kept;
    } catch (error) {
      files.release();
      throw error;
    }
  };
  const lingering = new Set<Hash>();
  const closing = new AbortController();
  /** Fetches what a deal needs, once for all who wait; it goes on without them where it is wanted again, and there is a place. */
  const fetched = async (
    dealid: Hash,
    vmVersion: number,
    { signal, until, lasts = until }: Parameters<DealRooms["of"]>[2],
  ): Promise<Kept> => {
    signal.throwIfAborted();
    const enough = new AbortController();
    const work = furnishing.join(
      dealid,
      (left) => furnished(dealid, vmVersion, { signal: left, until: lasts }),
      AbortSignal.any([enough.signal, closing.signal]),
    );
    try {
      return await orAbort(work, signal);
    } catch (error) {
      const leftMs = lasts - Date.now();
      if (leftMs <= 0 || lingering.has(dealid) || lingering.size >= MAX_LINGERING) enough.abort(error);
      else {
        lingering.add(dealid);
        const timer = setTimeout(() => enough.abort(error), leftMs).unref();
        const end = (): void => {
          clearTimeout(timer);
          lingering.delete(dealid);
        };
        work.then(end, end);
      }
      throw error;
    }
  };
  /** A lot's own claim to a room, which it leaves once. */
  const claim = (dealid: Hash, kept: Kept): DealRoom => {
    let isOver = false;
    kept.waiting += 1;
    return {
      ...kept.room,
      leave: () => {
        if (isOver) return;
        isOver = true;
        kept.waiting -= 1;
        if (kept.waiting === 0 && rooms.get(dealid) !== kept) kept.files.release();
      },
    };
  };
  return {
    of: async (dealid, vmVersion, patience) => {
      const kept = rooms.get(dealid) ?? (await fetched(dealid, vmVersion, patience));
      rooms.delete(dealid);
      rooms.set(dealid, kept);
      kept.usedAt = Date.now();
      const room = claim(dealid, kept);
      sweep();
      return room;
    },
    close: () => {
      clearInterval(timer);
      closing.abort(new Error("the worker ends"));
      for (const dealid of [...rooms.keys()]) putAway(dealid);
    },
  };
};
