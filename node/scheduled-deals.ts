import { join } from "node:path";
import type { Hash } from "../lib/bytes.ts";
import { parseJson } from "../lib/json.ts";
import type { RpcClient } from "../rpc/client.ts";
import { MARKET } from "../vm/addresses.ts";
import { taskId } from "../vm/market/deal.ts";
import { TASK_STATUS } from "../vm/market/scheduled/task.ts";
import { getPath } from "./data-files.ts";
import { marketFunction, type TaskView, view, viewDeal, viewJob, viewTasks } from "./market-client.ts";

/** A task of a deal in an owner-scheduled pool; `cid` is that of its results, once it is completed. */
export interface ScheduledTask {
  readonly index: number;
  readonly view: TaskView;
  readonly cid: string | undefined;
}

/** Tells whether a deal's workers are asked by its pool's owner, not drawn by the chain. Throws where there is no such deal. */
export const isScheduled = async (client: RpcClient, dealid: Hash): Promise<boolean> => {
  const { pool, botSize } = await viewDeal(client, dealid);
  if (botSize === 0) throw new Error(`no such deal: ${dealid}`);
  const [terms] = await view(client, MARKET, marketFunction("viewPool"), pool);
  return !(terms as readonly unknown[])[0];
};

/** Reads the CID of a task's results out of what the chain says of them. */
const cidOf = (results: Uint8Array): string | undefined => {
  try {
    const { location } = parseJson(results) as { location?: unknown };
    return /^\/ipfs\/([a-z0-9]+)$/.exec(String(location))?.[1];
  } catch {
    return undefined;
  }
};

/** Reads the tasks of a deal in an owner-scheduled pool. */
export const scheduledTasks = async (client: RpcClient, dealid: Hash): Promise<ScheduledTask[]> => {
  const { botFirst, botSize } = await viewDeal(client, dealid);
  const indices = Array.from({ length: botSize }, (_, i) => botFirst + i);
  const views = await viewTasks(
    client,
    indices.map((index) => taskId(dealid, index)),
  );
  return views.map((each, i) => ({ index: indices[i]!, view: each, cid: cidOf(each.results) }));
};

/** Counts the tasks of a deal that have ended, whoever chose its workers. */
export const progressOf = async (client: RpcClient, dealid: Hash): Promise<{ completed: number; failed: number }> => {
  if (!(await isScheduled(client, dealid))) return viewJob(client, dealid);
  const tasks = await scheduledTasks(client, dealid);
  const count = (wanted: number): number => tasks.filter(({ view: { status } }) => status === wanted).length;
  return { completed: count(TASK_STATUS.completed), failed: count(TASK_STATUS.failed) };
};

/** Gets the results of a deal's tasks into a folder, task-<n>/…, each under the CID that the chain names. */
export const fetchScheduled = async (client: RpcClient, node: string, dealid: Hash, out: string): Promise<string[]> => {
  const written: string[] = [];
  for (const { index, cid } of await scheduledTasks(client, dealid))
    if (cid) written.push(...(await getPath(node, cid, "", join(out, `task-${index}`))));
  return written;
};
