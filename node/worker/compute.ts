import { type Hash, ZERO_ADDRESS } from "../../lib/bytes.ts";
import { outputHolder } from "../../p2p/data/outputs.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { taskId } from "../../vm/market/deal.ts";
import type { TaskResult } from "../../vm/wasm/host.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import type { Task } from "../../vm/wasm/task.ts";
import { uploadData } from "../data-client.ts";
import type { DealRooms } from "./deals.ts";
import type { Outputs } from "./outputs.ts";

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
  /** When an answer is too late, in seconds: until then the node keeps the results, and no longer by itself. */
  readonly end: number;
  /** The lot or task that the node keeps them for. */
  readonly id: Hash;
}

/** What a worker computes with. */
export interface Means {
  readonly client: RpcClient;
  readonly node: string;
  readonly rooms: DealRooms;
  readonly outputs: Outputs;
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
  pin: { readonly holder: string; readonly until: number },
): Promise<void> => {
  const entries = [...files].map(([path, bytes]): [string, Uint8Array | null] =>
    path.endsWith("/") ? [path.slice(0, -1), null] : [path, bytes],
  );
  const kept = await uploadData(node, entries, pin);
  if (kept !== cid) throw new ComputeFault(`the node keeps the results as ${kept}, not ${cid}`);
};

/**
 * Computes tasks: has module, inputs and dataset fetched, runs the tasks in a process of their deal, and keeps the results at
 * the node. Throws where this machine cannot (no inputs, no time): the worker declines then.
 */
export const compute = async (means: Means, work: Work): Promise<Computed> => {
  const { dealid, first, count, gasLimit, vmVersion, end, id } = work;
  const room = await means.rooms.of(dealid, vmVersion, means.signal);
  const { deal, args, inputs, dataset, refused } = room;
  const tasks = Array.from({ length: count }, (_, i): Task => {
    const index = first + i;
    return {
      taskid: taskId(dealid, index),
      args,
      inputs,
      ...(dataset ? { dataset } : {}),
      gasLimit,
      startTime: deal.startTime,
      hasCallback: deal.callback !== ZERO_ADDRESS,
      bot: { size: deal.botSize, first: deal.botFirst, index },
      ...(refused === undefined ? {} : { refused }),
    };
  });
  const timeoutMs = end * 1000 - Date.now();
  if (timeoutMs <= 0) throw new ComputeFault("the time to answer is over");
  const receipts: Uint8Array[] = [];
  const cids: (string | undefined)[] = [];
  const uploads = new Map<string, Promise<void>>();
  const session = room.take();
  means.outputs.begin(id, gasLimit, count);
  try {
    for await (const result of session.run(tasks, { timeoutMs, signal: means.signal })) {
      receipts.push(result.receipt);
      cids.push(result.cid);
      means.outputs.wrote(id, result);
      // Tasks of one result share it.
      if (result.cid === undefined || uploads.has(result.cid)) continue;
      const upload = keep(means, result, { holder: outputHolder(id), until: Math.ceil(end) + LEASE_SECONDS });
      upload.catch(() => undefined);
      uploads.set(result.cid, upload);
      if (uploads.size % MAX_UPLOADS === 0) await Promise.all(uploads.values());
    }
  } finally {
    room.give(session);
    // Nothing is on its way any more when the caller takes back what was kept.
    await Promise.allSettled(uploads.values());
  }
  await Promise.all(uploads.values());
  return { taskids: tasks.map((task) => task.taskid), receipts, cids };
};
