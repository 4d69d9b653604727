import { createHash } from "node:crypto";
import { type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { taskId } from "../../vm/market/deal.ts";
import { runTasks } from "../../vm/wasm/host.ts";
import { parseParams, parseReference } from "../../vm/wasm/params.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import type { ProcessPool } from "../../vm/wasm/process-pool.ts";
import { WasmRefused } from "../../vm/wasm/refusal.ts";
import type { InputFile, Task } from "../../vm/wasm/task.ts";
import { downloadFile, uploadData } from "../data-client.ts";
import { type LotView, viewApp, viewDataset, viewDeal, viewJob } from "../market-client.ts";

/** What a lot's computation gave: each task's receipt, and the CIDs of the results that this machine serves. */
export interface Computed {
  readonly taskids: readonly Hash[];
  readonly receipts: readonly Uint8Array[];
  readonly cids: readonly (string | undefined)[];
}

const sha256 = (bytes: Uint8Array): Hash => toHex(createHash("sha256").update(bytes).digest());

/** Reads what an entry's multiaddr names; only content-addressed data is the same for every worker. */
const fetchEntry = async (node: string, location: string): Promise<Uint8Array> => {
  const reference = parseReference(location);
  if (reference.kind !== "ipfs") throw new ComputeFault(`${location} is not content-addressed`);
  return downloadFile(node, reference.cid);
};

/** Gives a value, or the reason for which the parameters are refused alike by every worker. */
const refusalOf = <T>(work: () => T, fallback: T): { value: T; refused?: string } => {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof WasmRefused) return { value: fallback, refused: error.message };
    throw error;
  }
};

/**
 * Computes a lot: fetches module, inputs and dataset through a node, runs its tasks in a process of their own, and keeps the
 * results at the node. Throws where this machine cannot (no inputs, no time): the worker declines then.
 */
export const computeLot = async (
  client: RpcClient,
  node: string,
  lot: LotView,
  pool: ProcessPool,
  signal: AbortSignal,
): Promise<Computed> => {
  const [deal, job] = await Promise.all([viewDeal(client, lot.dealid), viewJob(client, lot.dealid)]);
  const app = await viewApp(client, deal.app);
  const module = await fetchEntry(node, app.location);
  const { value: params, refused } = refusalOf(() => parseParams(deal.params), { args: [], inputs: [] });
  let reason = refused;
  if (app.checksum !== ZERO_HASH && sha256(module) !== app.checksum) reason ??= "the module has another checksum";
  const inputs: InputFile[] = [];
  for (const input of reason ? [] : params.inputs) {
    // A page behind a URL can be gone or another tomorrow; who wants it computed puts it under its hash.
    if (input.kind !== "ipfs")
      throw new ComputeFault(`input ${input.url} is not fetched: this worker takes /ipfs/ alone`);
    inputs.push({ name: input.name, bytes: await downloadFile(node, input.cid) });
  }
  const dataset =
    deal.dataset === ZERO_ADDRESS
      ? undefined
      : await viewDataset(client, deal.dataset).then(async (entry) => ({
          address: deal.dataset,
          name: entry.name,
          bytes: await fetchEntry(node, entry.location),
        }));
  const tasks = Array.from({ length: lot.count }, (_, i): Task => {
    const index = lot.first + i;
    return {
      taskid: taskId(lot.dealid, index),
      args: params.args,
      inputs,
      ...(dataset ? { dataset } : {}),
      gasLimit: job.gasLimit,
      startTime: deal.startTime,
      hasCallback: deal.callback !== ZERO_ADDRESS,
      bot: { size: deal.botSize, first: deal.botFirst, index },
      ...(reason === undefined ? {} : { refused: reason }),
    };
  });
  const timeoutMs = lot.roundEnd * 1000 - Date.now();
  if (timeoutMs <= 0) throw new ComputeFault("the round is over");
  const receipts: Uint8Array[] = [];
  const cids: (string | undefined)[] = [];
  for await (const result of runTasks({ vmVersion: job.vmVersion, module, tasks, timeoutMs, signal, pool })) {
    receipts.push(result.receipt);
    cids.push(result.cid);
    if (result.cid === undefined) continue;
    const files = [...result.files].map(([path, bytes]): [string, Uint8Array | null] =>
      path.endsWith("/") ? [path.slice(0, -1), null] : [path, bytes],
    );
    const kept = await uploadData(node, files);
    if (kept !== result.cid) throw new ComputeFault(`the node keeps the results as ${kept}, not ${result.cid}`);
  }
  return { taskids: tasks.map((task) => task.taskid), receipts, cids };
};
