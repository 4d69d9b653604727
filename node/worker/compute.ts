import { type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { orAbort } from "../../lib/shared-work.ts";
import { outputHolder } from "../../p2p/data/outputs.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { taskId } from "../../vm/market/deal.ts";
import type { TaskResult } from "../../vm/wasm/host.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { uploadData } from "../data-client.ts";
import { type Deadlines, signalUntil } from "./deadline.ts";
import type { DealRoom, DealRooms } from "./deals.ts";
import type { Outputs } from "./outputs.ts";
import type { Places } from "./places.ts";
import { OutOfTime } from "./unobtainable.ts";

/** What a lot's computation gave: each task's receipt, and the CIDs of the results that this machine serves. */
export interface Computed {
  readonly taskids: readonly Hash[];
  readonly receipts: readonly Uint8Array[];
  readonly cids: readonly (string | undefined)[];
}

/** Tasks of one deal that are computed together. */
export interface Work {
  readonly dealid: Hash;
  /** Index of the first task. */
  readonly first: number;
  readonly count: number;
  readonly gasLimit: number;
  readonly vmVersion: number;
  /** The node keeps the results a little longer than an answer may take, and no longer by itself. */
  readonly deadlines: Deadlines;
  /** Unix milliseconds: until then the deal's files are wanted again, though they come too late for this. */
  readonly wantedUntil?: number | undefined;
  /** The lot or task that the node keeps them for. */
  readonly id: Hash;
}

/** What a worker computes with. */
export interface Means {
  readonly client: RpcClient;
  readonly node: string;
  readonly rooms: DealRooms;
  readonly outputs: Outputs;
  readonly places: Places;
  readonly signal: AbortSignal;
}

/** A commitment may be in a block that comes a little late. */
const LEASE_SECONDS = 60;
/** Results on their way to the node, while the next tasks run. */
const MAX_UPLOADS = 4;

/** Keeps a result at the node for a holder. Throws ComputeFault where the node computes another CID of it. */
const keep = async (
  { node }: Means,
  { files, cid }: TaskResult,
  pin: { readonly holder: string; readonly until: number; readonly signal: AbortSignal },
): Promise<void> => {
  const entries = [...files].map(([path, bytes]): [string, Uint8Array | null] =>
    path.endsWith("/") ? [path.slice(0, -1), null] : [path, bytes],
  );
  const kept = await uploadData(node, entries, pin);
  if (kept !== cid) throw new ComputeFault(`the node keeps the results as ${kept}, not ${cid}`);
};

/** Waits until what a lot needs is here. Throws OutOfTime where it is not when half of the time is over. */
const fetchAll = async (
  { rooms, signal }: Means,
  { dealid, vmVersion, deadlines, wantedUntil }: Work,
): Promise<DealRoom> => {
  const inTime = signalUntil(deadlines.fetchBy, signal);
  try {
    return await rooms.of(dealid, vmVersion, { signal: inTime, until: deadlines.fetchBy, lasts: wantedUntil });
  } catch (error) {
    if (inTime.aborted && !signal.aborted) throw new OutOfTime("what the lot needs did not come in time");
    throw error;
  }
};

/** Runs tasks in a process of their deal, and keeps the results at the node. */
const runTasks = async (means: Means, work: Work, room: DealRoom, signal: AbortSignal): Promise<Computed> => {
  const { dealid, first, count, gasLimit, deadlines, id } = work;
  const until = Math.ceil(deadlines.answerBy / 1000) + LEASE_SECONDS;
  const { deal, args, env, refused } = room;
  const loaded = await room.load();
  room.leave();
  const { inputs, dataset } = loaded;
  const tasks = Array.from({ length: count }, (_, i): Task => {
    const index = first + i;
    return {
      taskid: taskId(dealid, index),
      args,
      env,
      inputs,
      ...(dataset ? { dataset } : {}),
      gasLimit,
      startTime: deal.startTime,
      hasCallback: deal.callback !== ZERO_ADDRESS,
      bot: { size: deal.botSize, first: deal.botFirst, index },
      ...(refused === undefined ? {} : { refused }),
    };
  });
  const receipts: Uint8Array[] = [];
  const cids: (string | undefined)[] = [];
  const uploads = new Map<string, Promise<void>>();
  const session = room.take(loaded);
  try {
    const timeoutMs = Math.max(0, deadlines.answerBy - Date.now());
    for await (const result of session.run(tasks, { timeoutMs, signal })) {
      receipts.push(result.receipt);
      cids.push(result.cid);
      means.outputs.wrote(id, result);
      // Tasks of one result share it.
      if (result.cid === undefined || uploads.has(result.cid)) continue;
      const upload = keep(means, result, { holder: outputHolder(id), until, signal });
      upload.catch(() => undefined);
      uploads.set(result.cid, upload);
      if (uploads.size % MAX_UPLOADS === 0) await orAbort(Promise.all(uploads.values()), signal);
    }
  } finally {
    room.give(session);
    // Nothing is on its way any more when the caller takes back what was kept.
    await Promise.allSettled(uploads.values());
  }
  // A node that does not take them is no reason to be silent.
  await orAbort(Promise.all(uploads.values()), signal);
  return { taskids: tasks.map((task) => task.taskid), receipts, cids };
};

/**
 * Computes tasks: has module, inputs and dataset fetched, and runs the tasks once there is a place for them. Throws where this
 * machine cannot (no inputs, no time): the worker declines then. It ends while there is time for that.
 */
export const compute = async (means: Means, work: Work): Promise<Computed> => {
  means.outputs.begin(work.id, work.gasLimit, work.count);
  const room = await fetchAll(means, work);
  const signal = signalUntil(work.deadlines.answerBy, means.signal);
  try {
    // Its files are here until it has its place.
    const leave = await means.places.enter(signal);
    try {
      return await runTasks(means, work, room, signal);
    } finally {
      leave();
    }
  } catch (error) {
    const isOver = signal.aborted || Date.now() >= work.deadlines.answerBy;
    throw isOver && !means.signal.aborted ? new OutOfTime("the time to answer is over") : error;
  } finally {
    room.leave();
  }
};
