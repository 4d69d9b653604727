import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type Address,
  equalBytes,
  fromHex,
  type Hash,
  type Hex,
  toHex,
  utf8,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { AbiValue } from "../vm/abi.ts";
import { APP_REGISTRY_ABI, functionsOf, MARKET_EVENTS } from "../vm/market/abi.ts";
import { outputCid } from "../vm/market/result.ts";
import { APP_REGISTRY, HUB, MARKET } from "../vm/tables.ts";
import { decodeReceipt, type JobReceipt, lotReceiptOf } from "../vm/wasm/receipt.ts";
import { prepareModule } from "../vm/wasm/rewrite.ts";
import { uploadData } from "./data-client.ts";
import { getPath } from "./data-files.ts";
import { hubFunction, type LotView, marketFunction, view, viewJob, viewLot } from "./market-client.ts";
import { transact } from "./wallet.ts";

const appFunction = functionsOf(APP_REGISTRY_ABI);
/** Gas of a lot for each second of its category (spec section 10). */
const CAP_GAS_PER_SECOND = 200_000_000n;
const NRLC = 10n ** 9n;

export interface Deployed {
  readonly app: Address;
  readonly cid: string;
}

/**
 * Publishes a program: checks it as a worker would (throws with the reason where it is refused), keeps it at the node,
 * registers it, and offers it to everyone at a price in nRLC for each task.
 */
export const deployApp = async (
  client: RpcClient,
  node: string,
  key: Hex,
  module: Uint8Array,
  name: string,
  priceNrlc = 0n,
): Promise<Deployed> => {
  prepareModule(module);
  const cid = await uploadData(node, module);
  const checksum: Hash = toHex(createHash("sha256").update(module).digest());
  const data = appFunction("createApp").encode(
    addressOf(key),
    name,
    "DOCKER",
    utf8(`/ipfs/${cid}`),
    checksum,
    new Uint8Array(0),
  );
  const receipt = await transact(client, key, { to: APP_REGISTRY, data });
  const minted = receipt.logs.find((log) => log.address === APP_REGISTRY && log.topics.length === 4);
  if (!minted) throw new Error("the registry made no entry");
  const app: Address = `0x${minted.topics[3]!.slice(26)}`;
  await transact(client, key, { to: MARKET, data: marketFunction("offer").encode(app, priceNrlc, ZERO_HASH, true) });
  return { app, cid };
};

export interface JobRequest {
  readonly app: Address;
  /** iExec's parameters as JSON text. */
  readonly params: string;
  readonly tasks: number;
  readonly gasLimit: number;
  readonly trust: number;
  /** Left out: the shortest category whose lots have the gas of a task. */
  readonly category?: number;
}

/** Finds the shortest category whose cap of gas is at least a task's. */
const categoryFor = async (client: RpcClient, gasLimit: number): Promise<number> => {
  const [count] = await view(client, HUB, hubFunction("countCategory"));
  let best: { id: number; seconds: bigint } | undefined;
  for (let id = 0; id < Number(count); id++) {
    const [category] = await view(client, HUB, hubFunction("viewCategory"), BigInt(id));
    const seconds = (category as readonly AbiValue[])[2] as bigint;
    if (seconds * CAP_GAS_PER_SECOND >= BigInt(gasLimit) && (!best || seconds < best.seconds)) best = { id, seconds };
  }
  if (!best) throw new Error(`no category has ${gasLimit} gas for a task`);
  return best.id;
};

export interface Submitted {
  readonly dealid: Hash;
  /** nRLC for a task's seats, at most. */
  readonly priceNrlc: bigint;
  /** Wei that the whole job costs at most. */
  readonly totalWei: bigint;
  readonly block: number;
}

/** Buys a bag of tasks in the public pool with one call. What is not used comes back to the sender's account in the hub. */
export const submitJob = async (client: RpcClient, key: Hex, request: JobRequest): Promise<Submitted> => {
  const [pool] = await view(client, MARKET, marketFunction("genesisPool"));
  const category = request.category ?? (await categoryFor(client, request.gasLimit));
  const job: AbiValue[] = [
    1n,
    pool!,
    request.app,
    ZERO_ADDRESS,
    request.params,
    BigInt(category),
    BigInt(request.gasLimit),
    BigInt(request.trust),
    BigInt(request.tasks),
    ZERO_HASH,
    addressOf(key),
    ZERO_ADDRESS,
    new Uint8Array(0),
  ];
  const [price, , , totalWei] = await view(client, MARKET, marketFunction("quote"), job);
  const receipt = await transact(client, key, {
    to: MARKET,
    data: marketFunction("submit").encode(job),
    value: totalWei as bigint,
  });
  const log = receipt.logs.find((each) => each.topics[0] === MARKET_EVENTS.JobSubmitted!.topic);
  if (!log) throw new Error("the market took no job");
  return {
    dealid: log.topics[1]!,
    priceNrlc: price as bigint,
    totalWei: totalWei as bigint,
    block: Number(receipt.blockNumber),
  };
};

/** Reads all lots of a deal. */
export const lotsOfDeal = async (client: RpcClient, dealid: Hash): Promise<LotView[]> => {
  const { lots } = await viewJob(client, dealid);
  return Promise.all(Array.from({ length: lots }, (_, i) => viewLot(client, dealid, i)));
};

/** What a finalized lot cost, from its event. */
export interface LotCost {
  readonly lot: Hash;
  readonly block: number;
  readonly gasUsed: number;
  readonly burnedNrlc: bigint;
  readonly paidNrlc: bigint;
  readonly creditWei: bigint;
}

interface RpcLog {
  readonly topics: Hash[];
  readonly data: Hex;
  readonly blockNumber: Hex;
}

/** Reads what each finalized lot of a deal cost. */
export const costsOfDeal = async (client: RpcClient, dealid: Hash): Promise<LotCost[]> => {
  const event = MARKET_EVENTS.LotFinalized!;
  const logs = (await client.call("eth_getLogs", [
    { fromBlock: "0x0", toBlock: "latest", address: MARKET, topics: [event.topic, null, dealid] },
  ])) as RpcLog[];
  return logs.map((log) => {
    const values = event.decode({ topics: log.topics, data: fromHex(log.data) }) as unknown[];
    const [lot, , gasUsed, burned, paid, credit] = values as [Hash, Hash, bigint, bigint, bigint, bigint];
    return {
      lot,
      block: Number(log.blockNumber),
      gasUsed: Number(gasUsed),
      burnedNrlc: burned,
      paidNrlc: paid,
      creditWei: credit,
    };
  });
};

/** Lists the deals that an account submitted, the latest first. */
export const dealsOf = async (client: RpcClient, requester: Address): Promise<{ dealid: Hash; block: number }[]> => {
  const topic: Hash = `0x${requester.slice(2).padStart(64, "0")}`;
  const logs = (await client.call("eth_getLogs", [
    { fromBlock: "0x0", toBlock: "latest", address: MARKET, topics: [MARKET_EVENTS.JobSubmitted!.topic, null, topic] },
  ])) as RpcLog[];
  return logs.map((log) => ({ dealid: log.topics[1]!, block: Number(log.blockNumber) })).reverse();
};

export interface TaskOutcome {
  readonly index: number;
  readonly receipt: JobReceipt | undefined;
}

/** Reads the receipts of a lot's tasks: its own of a lot of one, else from whoever has them, checked against the root. */
const receiptsOf = async (client: RpcClient, lot: LotView): Promise<readonly Uint8Array[]> => {
  if (lot.receipt.length === 0) return [];
  if (lot.count === 1) return [lot.receipt];
  const found = (await client.call("rolec_lotReceipts", [lot.id])) as Hex[] | null;
  const receipts = (found ?? []).map(fromHex);
  return receipts.length > 0 && equalBytes(lotReceiptOf(receipts), lot.receipt) ? receipts : [];
};

/** Reads the receipt of each task of a deal; undefined where none is agreed, or nobody has it now. */
export const outcomesOf = async (client: RpcClient, dealid: Hash): Promise<TaskOutcome[]> => {
  const outcomes: TaskOutcome[] = [];
  for (const lot of await lotsOfDeal(client, dealid)) {
    const receipts = await receiptsOf(client, lot);
    for (let i = 0; i < lot.count; i++) {
      const bytes = receipts[i];
      outcomes.push({ index: lot.first + i, receipt: bytes && decodeReceipt(bytes) });
    }
  }
  return outcomes;
};

/** Gets the results of a deal's tasks into a folder, task-<n>/…, each under the CID that a quorum agreed on. */
export const fetchResults = async (client: RpcClient, node: string, dealid: Hash, out: string): Promise<string[]> => {
  const written: string[] = [];
  for (const { index, receipt } of await outcomesOf(client, dealid)) {
    if (!receipt || receipt.outputRoot === ZERO_HASH) continue;
    written.push(...(await getPath(node, outputCid(receipt.outputRoot), "", join(out, `task-${index}`))));
  }
  return written;
};

/** Formats nRLC as wei. */
export const nrlcToWei = (nrlc: bigint): bigint => nrlc * NRLC;
