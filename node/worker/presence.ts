import type { Address, Hex } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { NRLC } from "../../lib/units.ts";
import type { RpcClient } from "../../rpc/client.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { MARKET } from "../../vm/addresses.ts";
import { PAUSE } from "../../vm/market/slot.ts";
import { marketFunction, type SlotView, slotsOfWorker, viewAll } from "../market-client.ts";
import { send } from "../wallet.ts";
import { lossWords, readLosses } from "./losses.ts";

/** How often slots are looked at, and how long a message is given to have its effect. */
const LOOK_MS = 5_000;
const AGAIN_MS = 15_000;
/** A reason not to compute that has lasted so long may last longer: to pause costs two messages. */
const PATIENCE_MS = 60_000;
/** Slots that one message names. */
const MAX_SLOTS = 32;

const pausable = ({ pause }: SlotView): boolean => pause === PAUSE.none || pause === PAUSE.resuming;

/** Tells the chain when a worker's slots may be drawn: absence that is announced costs nothing but the message. */
export interface Presence {
  /** Pauses the slots while there has been a reason for long, takes them up again once there is none. Asks now and then. Throws what the last look met. */
  follow(reason: string | undefined, block: number): Promise<void>;
  /** Slots are on their way back: who has no seat now may have one soon. */
  readonly isComing: boolean;
  /** What slots have paid for since the start, the newest of it, in words. */
  readonly losses: readonly string[];
  /** Pauses all slots. */
  farewell(): Promise<void>;
}

/** Blocks that are looked at for losses at once: what was before the start is in `rolec worker earnings`. */
const MAX_BLOCKS = 1_000;
/** Losses that are shown. */
const MAX_SHOWN = 5;

/** Makes the presence of the worker with this key. */
export const createPresence = (client: RpcClient, key: Hex, log: Log): Presence => {
  const worker: Address = addressOf(key);
  let lookAt = 0;
  let isComing = false;
  let reasonSince: number | undefined;
  const absences = new Map<bigint, number>();
  const losses: string[] = [];
  let through: number | undefined;
  const said = new Map<bigint, number>();
  /** What the last look met. */
  let looked: Error | undefined;

  /** Sends a message for each batch, whatever becomes of the others; then throws what the first that failed did. */
  const tell = async (what: "pause" | "resume", slots: readonly SlotView[]): Promise<void> => {
    const failed: unknown[] = [];
    for (let at = 0; at < slots.length; at += MAX_SLOTS) {
      const ids = slots.slice(at, at + MAX_SLOTS).map(({ id }) => id);
      const [first, ...more] = ids;
      try {
        await send(client, key, { to: MARKET, data: marketFunction(what).encode(first!, more) });
        log.info({ slots: ids.map(Number) }, `${what} is asked for`);
      } catch (error) {
        failed.push(error);
      }
    }
    if (failed.length > 0) throw failed[0];
  };
  /** Those that have the part of their stake that they must have to be drawn: one of the others would turn a whole message away. */
  const backed = async (slots: readonly SlotView[]): Promise<SlotView[]> => {
    const pools = [...new Set(slots.map(({ pool }) => pool))];
    const lists = pools.map((pool): AbiValue[] => [pool]);
    const views = await viewAll(client, MARKET, marketFunction("viewPool"), lists);
    const stakes = new Map(pools.map((pool, i) => [pool, (views[i]![0] as AbiValue[])[6] as bigint]));
    return slots.filter(({ pool, stakeWei }) => 4n * stakeWei >= 3n * stakes.get(pool)! * NRLC);
  };
  /** Says what slots were absent for since the last look. */
  const noteAbsences = (slots: readonly SlotView[]): void => {
    for (const { id, absences: count, restEnd } of slots) {
      const before = absences.get(id) ?? 0;
      absences.set(id, count);
      if (count > before)
        log.warn(
          { slot: Number(id), absences: count, restEnd: new Date(restEnd * 1000).toISOString() },
          "a seat of this slot was silent: the slot is paused",
        );
    }
  };
  /** Says what slots paid for since the last look. */
  const noteLosses = async (block: number): Promise<void> => {
    const from = Math.max((through ?? block) + 1, block - MAX_BLOCKS);
    if (from <= block && through !== undefined)
      for (const loss of await readLosses(client, worker, from, block)) {
        log.warn({ ...loss }, lossWords(loss));
        losses.push(lossWords(loss));
      }
    losses.splice(0, losses.length - MAX_SHOWN);
    through = block;
  };
  const look = async (now: number, block: number): Promise<void> => {
    const slots = await slotsOfWorker(client, worker);
    noteAbsences(slots);
    await noteLosses(block);
    const isAway = reasonSince !== undefined && now - reasonSince >= PATIENCE_MS;
    const paused = slots.filter(({ isLeaving, pause }) => !isLeaving && pause !== PAUSE.none);
    const able = reasonSince === undefined ? await backed(paused) : [];
    isComing = able.length > 0;
    if (reasonSince !== undefined && !isAway) return;
    const wanted = isAway
      ? slots.filter((slot) => !slot.isLeaving && pausable(slot))
      : able.filter((slot) => !pausable(slot) && slot.restEnd * 1000 <= now);
    const due = wanted.filter(({ id }) => now >= (said.get(id) ?? 0));
    for (const { id } of due) said.set(id, now + AGAIN_MS);
    await tell(isAway ? "pause" : "resume", due);
    const poor = isAway ? [] : paused.filter((slot) => !able.includes(slot)).map(({ id }) => id);
    if (poor.length > 0)
      throw new Error(`slots ${poor.join(", ")} have too little left of their stake: leave, and join anew`);
  };
  return {
    losses,
    get isComing() {
      return isComing;
    },
    follow: async (reason, block) => {
      const now = Date.now();
      reasonSince = reason === undefined ? undefined : (reasonSince ?? now);
      if (now >= lookAt) {
        lookAt = now + LOOK_MS;
        looked = await look(now, block).then(
          () => undefined,
          (error: Error) => error,
        );
      }
      // It lasts until the next look.
      if (looked) throw looked;
    },
    farewell: async () => {
      const slots = await slotsOfWorker(client, worker);
      await tell(
        "pause",
        slots.filter((slot) => !slot.isLeaving && pausable(slot)),
      );
    },
  };
};
