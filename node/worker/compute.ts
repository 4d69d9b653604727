import { createHash } from "node:crypto";
import { type Address, type Hash, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { taskId } from "../../vm/market/deal.ts";
import { runTasks } from "../../vm/wasm/host.ts";
import { type InputReference, parseParams } from "../../vm/wasm/params.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import type { ProcessPool } from "../../vm/wasm/process-pool.ts";
import { WasmRefused } from "../../vm/wasm/refusal.ts";
import type { InputFile, Task } from "../../vm/wasm/task.ts";
import { downloadFile, uploadData } from "../data-client.ts";
import { viewApp, viewDataset, viewDeal } from "../market-client.ts";
import type { Inputs } from "./inputs.ts";
import { referencesOf } from "./location.ts";

/** What a lot's computation gave: each task's receipt, and the CIDs of the results that this machine serves. */
export interface Computed {
  readonly taskids: readonly Hash[];
  readonly receipts: readonly Uint8Array[];
  readonly cids: readonly (string | undefined)[];
}

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

/** Gives a value, or the reason for which the parameters are refused alike by every worker. */
const refusalOf = <T>(work: () => T, fallback: T): { value: T; refused?: string } => {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof WasmRefused) return { value: fallback, refused: error.message };
    throw error;
  }
};

/** Tasks of one deal that are computed together. */
export interface Work {
  readonly dealid: Hash;
  /** Index of the first task. */
  readonly first: number;
  readonly count: number;
  readonly gasLimit: number;
  readonly vmVersion: number;
  /** When an answer is too late, and until when results are kept, in seconds. */
  readonly end: number;
  readonly keepUntil: number;
  /** For whom the node keeps the results. */
  readonly holder: string;
}

/** What a worker computes with. */
export interface Means {
  readonly client: RpcClient;
  readonly node: string;
  readonly pool: ProcessPool;
  readonly inputs: Inputs;
  readonly signal: AbortSignal;
}

/**
 * Computes tasks: fetches module, inputs and dataset through a node, runs its tasks in a process of their own, and keeps the
 * results at the node. Throws where this machine cannot (no inputs, no time): the worker declines then.
 */
export const compute = async (
  { client, node, pool, inputs: source, signal }: Means,
  { dealid, first, count, gasLimit, vmVersion, end, keepUntil, holder }: Work,
): Promise<Computed> => {
  const deal = await viewDeal(client, dealid);
  const app = await viewApp(client, deal.app);
  const module = await fetchModule(node, app.location);
  const { value: params, refused } = refusalOf(() => parseParams(deal.params), { args: [], inputs: [] });
  let reason = refused;
  if (app.checksum !== ZERO_HASH && sha256(module) !== app.checksum) reason ??= "the module has another checksum";
  const inputs: InputFile[] = [];
  for (const input of params.inputs) {
    if (reason) break;
    const found = await source.read(input, signal);
    if ("invalid" in found) reason = found.invalid;
    else inputs.push({ name: input.name, bytes: found.bytes });
  }
  let dataset: (InputFile & { address: Address }) | undefined;
  if (deal.dataset !== ZERO_ADDRESS) {
    const entry = await viewDataset(client, deal.dataset);
    const found = await anyOf(entryReferences(entry.location).map((each) => source.read(each, signal)));
    if ("invalid" in found) reason ??= found.invalid;
    else if (entry.checksum !== ZERO_HASH && sha256(found.bytes) !== entry.checksum)
      reason ??= "the dataset has another checksum";
    else dataset = { address: deal.dataset, name: entry.name, bytes: found.bytes };
  }
  const tasks = Array.from({ length: count }, (_, i): Task => {
    const index = first + i;
    return {
      taskid: taskId(dealid, index),
      args: params.args,
      inputs,
      ...(dataset ? { dataset } : {}),
      gasLimit,
      startTime: deal.startTime,
      hasCallback: deal.callback !== ZERO_ADDRESS,
      bot: { size: deal.botSize, first: deal.botFirst, index },
      ...(reason === undefined ? {} : { refused: reason }),
    };
  });
  const timeoutMs = end * 1000 - Date.now();
  if (timeoutMs <= 0) throw new ComputeFault("the time to answer is over");
  const receipts: Uint8Array[] = [];
  const cids: (string | undefined)[] = [];
  for await (const result of runTasks({ vmVersion, module, tasks, timeoutMs, signal, pool })) {
    receipts.push(result.receipt);
    cids.push(result.cid);
    if (result.cid === undefined) continue;
    const files = [...result.files].map(([path, bytes]): [string, Uint8Array | null] =>
      path.endsWith("/") ? [path.slice(0, -1), null] : [path, bytes],
    );
    const kept = await uploadData(node, files, { holder, until: keepUntil });
    if (kept !== result.cid) throw new ComputeFault(`the node keeps the results as ${kept}, not ${result.cid}`);
  }
  return { taskids: tasks.map((task) => task.taskid), receipts, cids };
};
