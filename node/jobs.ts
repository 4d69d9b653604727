import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type Address,
  addressWord,
  equalBytes,
  fromHex,
  type Hash,
  type Hex,
  toHex,
  utf8,
  wordAddress,
  ZERO_ADDRESS,
  ZERO_HASH,
} from "../lib/bytes.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { RpcCallError, type RpcClient } from "../rpc/client.ts";
import { MAX_LOG_BLOCKS } from "../rpc/logs.ts";
import { hexNumber } from "../rpc/values.ts";
import type { AbiValue } from "../vm/abi.ts";
import { APP_REGISTRY, HUB, MARKET } from "../vm/addresses.ts";
import { APP_REGISTRY_ABI, functionsOf, HUB_EVENTS, MARKET_EVENTS, REGISTRY_ABI } from "../vm/market/abi.ts";
import { CAP_GAS_PER_SECOND } from "../vm/market/clock.ts";
import { LOT_STATUS } from "../vm/market/lot.ts";
import { outputCid } from "../vm/market/result.ts";
import { parseParams } from "../vm/wasm/params.ts";
import { decodeReceipt, type JobReceipt, lotReceiptOf } from "../vm/wasm/receipt.ts";
import { prepareModule } from "../vm/wasm/rewrite.ts";
import { NEWEST_RULES } from "../vm/wasm/versions.ts";
import { uploadData } from "./data-client.ts";
import { getPath } from "./data-files.ts";
import {
  callAll,
  type DealView,
  type LotView,
  marketFunction,
  view,
  viewCategories,
  viewCategory,
  viewDeal,
  viewDeals,
  viewJob,
  viewLots,
} from "./market-client.ts";
import { transact } from "./wallet.ts";

const appFunction = functionsOf(APP_REGISTRY_ABI);
const registryFunction = functionsOf(REGISTRY_ABI);
/** Gas of a lot for each second of its category (spec section 10). */

const isApp = async (client: RpcClient, app: Address): Promise<boolean> =>
  (await view(client, APP_REGISTRY, registryFunction("isRegistered"), app))[0] as boolean;

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
  prepareModule(module, NEWEST_RULES);
  const cid = await uploadData(node, module);
  const checksum: Hash = toHex(createHash("sha256").update(module).digest());
  const entry: AbiValue[] = [addressOf(key), name, "DOCKER", utf8(`/ipfs/${cid}`), checksum, new Uint8Array(0)];
  const [known] = await view(client, APP_REGISTRY, appFunction("predictApp"), ...entry);
  if (await isApp(client, known as Address))
    throw new Error(`account ${entry[0]} has published this program under this name already: app ${known}`);
  const receipt = await transact(client, key, {
    to: APP_REGISTRY,
    data: appFunction("createApp").encode(...entry),
  });
  const minted = receipt.logs.find((log) => log.address === APP_REGISTRY && log.topics.length === 4);
  if (!minted) throw new Error("the registry made no entry");
  const app: Address = wordAddress(minted.topics[3]!);
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
const categoryFor = async (client: RpcClient, gasLimit: number): Promise<bigint> => {
  const [best] = (await viewCategories(client))
    .filter(({ seconds }) => seconds * CAP_GAS_PER_SECOND >= gasLimit)
    .sort((a, b) => a.seconds - b.seconds);
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
  // What workers would call INVALID is paid for: it is refused here, before.
  parseParams(request.params, NEWEST_RULES);
  if (!(await isApp(client, request.app)))
    throw new Error(`${request.app} is no app of this chain; "rolec app deploy <file>" publishes one`);
  const [pool] = await view(client, MARKET, marketFunction("genesisPool"));
  const category =
    request.category === undefined
      ? await categoryFor(client, request.gasLimit)
      : (await viewCategory(client, BigInt(request.category))).id;
  const job: AbiValue[] = [
    1n,
    pool!,
    request.app,
    ZERO_ADDRESS,
    request.params,
    category,
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

/** The receipts of a lot's tasks may be 700 kB of JSON. */
const LOTS_A_REQUEST = 10;
/** Statuses of lots that nothing more happens to. */
export const ENDED: readonly number[] = [LOT_STATUS.completed, LOT_STATUS.failed, LOT_STATUS.claimed];

/** Reads all lots of a deal; of those that were read before, only what had not ended then. */
export const lotsOfDeal = async (
  client: RpcClient,
  dealid: Hash,
  before: readonly LotView[] = [],
): Promise<LotView[]> => {
  const { lots } = await viewJob(client, dealid);
  const ended = new Map(before.filter(({ status }) => ENDED.includes(status)).map((lot) => [lot.index, lot]));
  const open = Array.from({ length: lots }, (_, i) => i).filter((i) => !ended.has(i));
  for (const lot of await viewLots(client, dealid, open)) ended.set(lot.index, lot);
  return [...ended.values()].sort((a, b) => a.index - b.index);
};

/** What a finalized lot cost, from its event. */
export interface LotCost {
  readonly lot: Hash;
  readonly block: number;
  readonly gasUsed: number;
  /** What of it earned credit. */
  readonly gasExecuted: number;
  readonly burnedNrlc: bigint;
  readonly paidNrlc: bigint;
  readonly creditWei: bigint;
}

interface RpcLog {
  readonly topics: Hash[];
  readonly data: Hex;
  readonly blockNumber: Hex;
}

/** Reads a contract's logs of some topics from a block up to the head, as many blocks at a time as the node allows. */
const logsOf = async (
  client: RpcClient,
  address: Address,
  topics: readonly (Hash | null)[],
  from: number,
): Promise<RpcLog[]> => {
  const head = Number(await client.call("eth_blockNumber", []));
  const found: RpcLog[] = [];
  let size = MAX_LOG_BLOCKS;
  for (let first = from; first <= head; ) {
    const last = Math.min(head, first + size - 1);
    const [fromBlock, toBlock] = [first, last].map((number) => hexNumber(number));
    try {
      found.push(...((await client.call("eth_getLogs", [{ fromBlock, toBlock, address, topics }])) as RpcLog[]));
      first = last + 1;
      size = Math.min(MAX_LOG_BLOCKS, 2 * size);
    } catch (error) {
      // Too many logs, or blocks, for one answer.
      if (!(error instanceof RpcCallError) || !/more than \d+|fewer blocks/.test(error.message) || size === 1)
        throw error;
      size = Math.ceil(size / 2);
    }
  }
  return found;
};

/** Finds the first block of a time (seconds) or later, by halving; the head's where all are earlier. */
const blockAt = async (client: RpcClient, time: number): Promise<number> => {
  let [low, high] = [0, Number(await client.call("eth_blockNumber", []))];
  while (low < high) {
    const middle = (low + high) >> 1;
    const block = await client.call("eth_getBlockByNumber", [hexNumber(middle), false]);
    if (Number((block as { timestamp: Hex }).timestamp) < time) low = middle + 1;
    else high = middle;
  }
  return low;
};

/** Reads what each finalized lot of a deal cost. */
export const costsOfDeal = async (client: RpcClient, dealid: Hash): Promise<LotCost[]> => {
  const event = MARKET_EVENTS.LotFinalized!;
  const { startTime } = await viewDeal(client, dealid);
  const logs = await logsOf(client, MARKET, [event.topic, null, dealid], await blockAt(client, startTime));
  return logs.map((log) => {
    const values = event.decode({ topics: log.topics, data: fromHex(log.data) }) as unknown[];
    const [lot, , ...numbers] = values as [Hash, Hash, ...bigint[]];
    const [gasUsed, gasExecuted, burned, paid, credit] = numbers as [bigint, bigint, bigint, bigint, bigint];
    return {
      lot,
      block: Number(log.blockNumber),
      gasUsed: Number(gasUsed),
      gasExecuted: Number(gasExecuted),
      burnedNrlc: burned,
      paidNrlc: paid,
      creditWei: credit,
    };
  });
};

/** A deal, and the block that it was made in. */
export interface PlacedDeal {
  readonly dealid: Hash;
  readonly block: number;
}

/** Lists the deals that an account submitted, the latest first. Reads the whole chain, ten thousand blocks a request. */
export const dealsOf = async (client: RpcClient, requester: Address): Promise<PlacedDeal[]> => {
  const topic: Hash = addressWord(requester);
  const logs = await logsOf(client, MARKET, [MARKET_EVENTS.JobSubmitted!.topic, null, topic], 0);
  return logs.map((log) => ({ dealid: log.topics[1]!, block: Number(log.blockNumber) })).reverse();
};

/** Lists the deals that were made of an account's signed orders, the latest first. Looks at all deals of signed orders. */
export const matchedDealsOf = async (client: RpcClient, requester: Address): Promise<(PlacedDeal & DealView)[]> => {
  const event = HUB_EVENTS.OrdersMatched!;
  const logs = await logsOf(client, HUB, [event.topic], 0);
  const deals = logs.map((log) => ({
    dealid: (event.decode({ topics: log.topics, data: fromHex(log.data) }) as unknown[])[0] as Hash,
    block: Number(log.blockNumber),
  }));
  const views = await viewDeals(
    client,
    deals.map(({ dealid }) => dealid),
  );
  return deals
    .map((deal, i) => ({ ...views[i]!, ...deal }))
    .filter((deal) => deal.requester === requester)
    .reverse();
};

export interface TaskOutcome {
  readonly index: number;
  readonly receipt: JobReceipt | undefined;
}

/**
 * Reads the receipts of the tasks of each lot: its own of a lot of one, else from whoever has them, checked against the
 * root; none where none is agreed, or nobody has them now.
 */
const receiptsOf = async (client: RpcClient, lots: readonly LotView[]): Promise<Map<Hash, readonly Uint8Array[]>> => {
  const agreed = lots.filter(({ receipt }) => receipt.length > 0);
  const single = agreed.filter(({ count }) => count === 1);
  const several = agreed.filter(({ count }) => count > 1);
  const found = new Map<Hash, readonly Uint8Array[]>(single.map((lot) => [lot.id, [lot.receipt]]));
  const answers = await callAll(
    client,
    several.map((lot) => ({ method: "rolec_lotReceipts", params: [lot.id] })),
    LOTS_A_REQUEST,
  );
  for (const [i, lot] of several.entries()) {
    const receipts = ((answers[i] ?? []) as Hex[]).map(fromHex);
    if (receipts.length > 0 && equalBytes(lotReceiptOf(receipts), lot.receipt)) found.set(lot.id, receipts);
  }
  return found;
};

/** Reads the receipt of each task of a deal; undefined where none is agreed, or nobody has it now. */
export const outcomesOf = async (
  client: RpcClient,
  dealid: Hash,
  lots?: readonly LotView[],
): Promise<TaskOutcome[]> => {
  const known = lots ?? (await lotsOfDeal(client, dealid));
  const receipts = await receiptsOf(client, known);
  return known.flatMap((lot) =>
    Array.from({ length: lot.count }, (_, i) => {
      const bytes = receipts.get(lot.id)?.[i];
      return { index: lot.first + i, receipt: bytes && decodeReceipt(bytes) };
    }),
  );
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
