import { type Address, fromHex, type Hash, type Hex, toHex } from "../lib/bytes.ts";
import { type BatchItem, RpcCallError, type RpcClient } from "../rpc/client.ts";
import type { AbiValue } from "../vm/abi.ts";
import { HUB, MARKET } from "../vm/addresses.ts";
import { functionsOf, HUB_ABI, MARKET_ABI } from "../vm/market/abi.ts";

export const hubFunction = functionsOf(HUB_ABI);
export const marketFunction = functionsOf(MARKET_ABI);

type Function = ReturnType<typeof marketFunction>;

/** A block by its number or tag. */
type At = Hex | "latest";

const viewAt = async (
  client: RpcClient,
  at: At,
  to: Address,
  fn: Function,
  args: readonly AbiValue[],
): Promise<AbiValue[]> => {
  const answer = await client.call("eth_call", [{ to, data: toHex(fn.encode(...args)) }, at]);
  return fn.decodeResult(fromHex(answer as Hex)) as AbiValue[];
};

/** Calls a view. Gives its values; a tuple is a list of its fields. */
export const view = (client: RpcClient, to: Address, fn: Function, ...args: AbiValue[]): Promise<AbiValue[]> =>
  viewAt(client, "latest", to, fn, args);

/** Gives the head's number, for calls that are to see one state. */
const headOf = async (client: RpcClient): Promise<Hex> => (await client.call("eth_blockNumber", [])) as Hex;

/** Calls of one request: a node answers others between two of them. */
const BATCH = 100;

/** Calls many methods, `size` in a request. Throws the first error of an item. */
export const callAll = async (client: RpcClient, items: readonly BatchItem[], size = BATCH): Promise<unknown[]> => {
  const answers: unknown[] = [];
  for (let i = 0; i < items.length; i += size) {
    const page = await client.batch(items.slice(i, i + size));
    const failed = page.find((answer) => answer instanceof RpcCallError);
    if (failed) throw failed;
    answers.push(...page);
  }
  return answers;
};

/** As `view`, once for each list of arguments. */
export const viewAll = async (
  client: RpcClient,
  to: Address,
  fn: Function,
  lists: readonly (readonly AbiValue[])[],
  at: At = "latest",
): Promise<AbiValue[][]> => {
  const items = lists.map((args) => ({
    method: "eth_call",
    params: [{ to, data: toHex(fn.encode(...args)) }, at],
  }));
  return (await callAll(client, items)).map((answer) => fn.decodeResult(fromHex(answer as Hex)) as AbiValue[]);
};

/** Pages that are asked for in one request. */
const PAGES = 16;
/** Calls a view of 0x…1006 that lists page by page, the next page's place last. Gives all pages, maybe empty ones at the end. */
const viewPages = async (client: RpcClient, at: At, fn: Function, owner: AbiValue): Promise<AbiValue[][]> => {
  const pages = [await viewAt(client, at, MARKET, fn, [owner, 0n])];
  // All pages are as long as the first.
  const size = pages[0]!.at(-1) as bigint;
  for (let from = size; from > 0n; from = pages.at(-1)!.at(-1) as bigint) {
    const lists = Array.from({ length: PAGES }, (_, i): AbiValue[] => [owner, from + BigInt(i) * size]);
    pages.push(...(await viewAll(client, MARKET, fn, lists, at)));
  }
  return pages;
};

export interface SeatView {
  readonly worker: Address;
  readonly validator: Address;
  readonly status: number;
  readonly round: number;
  readonly resultHash: Hash;
}

/** A lot as 0x…1006 shows it; times in seconds. */
export interface LotView {
  readonly id: Hash;
  readonly dealid: Hash;
  readonly index: number;
  readonly first: number;
  readonly count: number;
  readonly status: number;
  readonly round: number;
  readonly roundEnd: number;
  readonly revealDeadline: number;
  /** When results need to be kept no longer, but for serveSeconds. */
  readonly finalDeadline: number;
  readonly consensus: Hash;
  readonly gasUsed: number;
  readonly receipt: Uint8Array;
  readonly seats: readonly SeatView[];
}

/** Reads a lot's tuple (LOT in vm/market/abi.ts) by the places of its fields. */
const toLot = (fields: readonly AbiValue[]): LotView => ({
  id: fields[0] as Hash,
  dealid: fields[1] as Hash,
  index: Number(fields[2]),
  first: Number(fields[3]),
  count: Number(fields[4]),
  status: Number(fields[6]),
  round: Number(fields[7]),
  roundEnd: Number(fields[9]),
  revealDeadline: Number(fields[10]),
  finalDeadline: Number(fields[11]),
  consensus: fields[13] as Hash,
  gasUsed: Number(fields[15]),
  receipt: fields[16] as Uint8Array,
  seats: (fields[17] as readonly (readonly AbiValue[])[]).map((seat) => ({
    worker: seat[1] as Address,
    validator: seat[2] as Address,
    status: Number(seat[3]),
    round: Number(seat[4]),
    resultHash: seat[5] as Hash,
  })),
});

/** The lot of this id. */
export const viewLotById = async (client: RpcClient, id: Hash): Promise<LotView> =>
  toLot((await view(client, MARKET, marketFunction("viewLotById"), id))[0] as AbiValue[]);
/** The lots of these ids. */
export const viewLotsById = async (client: RpcClient, ids: readonly Hash[]): Promise<LotView[]> => {
  const views = await viewAll(
    client,
    MARKET,
    marketFunction("viewLotById"),
    ids.map((id) => [id]),
  );
  return views.map(([lot]) => toLot(lot as AbiValue[]));
};
/** The lots of a deal by their numbers. */
export const viewLots = async (client: RpcClient, dealid: Hash, indices: readonly number[]): Promise<LotView[]> => {
  const lists = indices.map((index): AbiValue[] => [dealid, BigInt(index)]);
  const views = await viewAll(client, MARKET, marketFunction("viewLot"), lists);
  return views.map(([lot]) => toLot(lot as AbiValue[]));
};

/** The lots in which a worker has a seat, however many slots it has. */
export const lotsOfWorker = async (client: RpcClient, worker: Address): Promise<Hash[]> => {
  // All pages of one state: a slot that leaves moves another one to its place.
  const pages = await viewPages(client, await headOf(client), marketFunction("seatsOf"), worker);
  return [...new Set(pages.flatMap(([, lots]) => lots as readonly Hash[]))];
};

export interface JobView {
  readonly requester: Address;
  readonly gasLimit: number;
  readonly lotSize: number;
  readonly lots: number;
  readonly completed: number;
  readonly failed: number;
  /** The clock of its lots, in seconds. */
  readonly timeref: number;
  /** Seats of a first round. */
  readonly committee: number;
  readonly vmVersion: number;
  readonly volume: number;
}

/** A job's figures. */
export const viewJob = async (client: RpcClient, dealid: Hash): Promise<JobView> =>
  (await viewJobs(client, [dealid]))[0]!;

/** The rules of the compute VM that a deal's tasks run by, drawn or scheduled. */
export const viewVmVersion = async (client: RpcClient, dealid: Hash): Promise<number> => {
  const [version] = await view(client, MARKET, marketFunction("vmVersionOf"), dealid);
  return Number(version);
};

/** The figures of many jobs. */
export const viewJobs = async (client: RpcClient, dealids: readonly Hash[]): Promise<JobView[]> => {
  const lists = dealids.map((dealid): AbiValue[] => [dealid]);
  const views = await viewAll(client, MARKET, marketFunction("viewJob"), lists);
  return views.map(([job]) => toJob(job as AbiValue[]));
};

const toJob = (fields: readonly AbiValue[]): JobView => {
  const number = (i: number) => Number(fields[i]);
  return {
    requester: fields[1] as Address,
    gasLimit: number(2),
    lotSize: number(4),
    lots: number(5),
    completed: number(7),
    failed: number(8),
    timeref: number(11),
    committee: number(12),
    vmVersion: number(13),
    volume: number(14),
  };
};

export interface DealView {
  readonly app: Address;
  readonly dataset: Address;
  /** nRLC for a task's seats, at most. */
  readonly priceNrlc: bigint;
  readonly pool: Address;
  readonly poolOwner: Address;
  readonly trust: bigint;
  readonly category: bigint;
  readonly tag: Hash;
  readonly requester: Address;
  readonly callback: Address;
  readonly params: string;
  readonly startTime: number;
  readonly botFirst: number;
  readonly botSize: number;
  /** nRLC that a worker binds for a task, in an owner-scheduled pool. */
  readonly workerStakeNrlc: bigint;
  /** Percent of the price that the pool's owner keeps. */
  readonly ownerPercent: bigint;
}

/** A task of an owner-scheduled pool as PoCo shows it; times in seconds. */
export interface TaskView {
  readonly status: number;
  readonly dealid: Hash;
  readonly index: number;
  readonly timeref: number;
  readonly contributionDeadline: number;
  readonly revealDeadline: number;
  readonly finalDeadline: number;
  readonly consensus: Hash;
  readonly reveals: number;
  readonly winners: number;
  readonly contributors: readonly Address[];
  /** Where its results are, as iExec's tools read it; empty before it is completed. */
  readonly results: Uint8Array;
}

/** The tasks of these ids; status 0 for those that were not initialized. */
export const viewTasks = async (client: RpcClient, ids: readonly Hash[]): Promise<TaskView[]> => {
  const views = await viewAll(
    client,
    HUB,
    hubFunction("viewTask"),
    ids.map((id) => [id]),
  );
  return views.map(([task]) => {
    const fields = task as AbiValue[];
    return {
      status: Number(fields[0]),
      dealid: fields[1] as Hash,
      index: Number(fields[2]),
      timeref: Number(fields[3]),
      contributionDeadline: Number(fields[4]),
      revealDeadline: Number(fields[5]),
      finalDeadline: Number(fields[6]),
      consensus: fields[7] as Hash,
      reveals: Number(fields[8]),
      winners: Number(fields[9]),
      contributors: fields[10] as readonly Address[],
      results: fields[12] as Uint8Array,
    };
  });
};

/** What workers contributed to a task: PoCo's status and result hash, and their scores now. */
export const viewContributions = async (
  client: RpcClient,
  taskid: Hash,
  workers: readonly Address[],
): Promise<{ worker: Address; status: number; resultHash: Hash; score: bigint }[]> => {
  const [contributions, scores] = await Promise.all([
    viewAll(
      client,
      HUB,
      hubFunction("viewContribution"),
      workers.map((worker) => [taskid, worker]),
    ),
    viewAll(
      client,
      HUB,
      hubFunction("viewScore"),
      workers.map((worker) => [worker]),
    ),
  ]);
  return workers.map((worker, i) => {
    const fields = contributions[i]![0] as AbiValue[];
    return {
      worker,
      status: Number(fields[0]),
      resultHash: fields[1] as Hash,
      score: scores[i]![0] as bigint,
    };
  });
};

/** nRLC that an account has in the hub: free to bind, and bound. */
export const hubAccountOf = async (client: RpcClient, account: Address): Promise<{ stake: bigint; locked: bigint }> => {
  const [stake, locked] = (await view(client, HUB, hubFunction("viewAccount"), account))[0] as readonly bigint[];
  return { stake: stake!, locked: locked! };
};
/** nRLC that an account has in the hub and is free to bind. */
export const hubStakeOf = async (client: RpcClient, account: Address): Promise<bigint> =>
  (await hubAccountOf(client, account)).stake;

/** What accounts have in the hub, free and bound, in nRLC. */
export const hubAccountsOf = async (
  client: RpcClient,
  accounts: readonly Address[],
): Promise<{ readonly stake: bigint; readonly locked: bigint }[]> => {
  const lists = accounts.map((account): AbiValue[] => [account]);
  const views = await viewAll(client, HUB, hubFunction("viewAccount"), lists);
  return views.map(([account]) => {
    const [stake, locked] = account as readonly bigint[];
    return { stake: stake!, locked: locked! };
  });
};

/** Seconds of a category. */
export const secondsOfCategory = async (client: RpcClient, category: bigint): Promise<number> =>
  Number(((await view(client, HUB, hubFunction("viewCategory"), category))[0] as readonly AbiValue[])[2]);

/** A class of tasks by the time that they may take. */
export interface CategoryView {
  readonly id: bigint;
  readonly description: string;
  readonly seconds: number;
}

/** Lists the categories. */
export const viewCategories = async (client: RpcClient): Promise<CategoryView[]> => {
  const [count] = await view(client, HUB, hubFunction("countCategory"));
  const lists = Array.from({ length: Number(count) }, (_, id): AbiValue[] => [BigInt(id)]);
  return (await viewAll(client, HUB, hubFunction("viewCategory"), lists)).map(([category], id) => {
    const [, description, seconds] = category as [string, string, bigint];
    return { id: BigInt(id), description, seconds: Number(seconds) };
  });
};

/** Reads one category. Where there is none, throws an Error that lists those that there are. */
export const viewCategory = async (client: RpcClient, id: bigint): Promise<CategoryView> => {
  try {
    const [category] = await view(client, HUB, hubFunction("viewCategory"), id);
    const [, description, seconds] = category as [string, string, bigint];
    return { id, description, seconds: Number(seconds) };
  } catch (error) {
    if (!(error instanceof RpcCallError)) throw error;
    const all = await viewCategories(client);
    if (all.some((category) => category.id === id)) throw error;
    throw new Error(`there is no category ${id}: ${all.map((each) => `${each.id} is ${each.description}`).join(", ")}`);
  }
};

/** A deal as PoCo shows it. */
export const viewDeal = async (client: RpcClient, dealid: Hash): Promise<DealView> =>
  toDeal((await view(client, HUB, hubFunction("viewDeal"), dealid))[0] as AbiValue[]);

/** The terms of many deals. */
export const viewDeals = async (client: RpcClient, dealids: readonly Hash[]): Promise<DealView[]> => {
  const lists = dealids.map((dealid): AbiValue[] => [dealid]);
  return (await viewAll(client, HUB, hubFunction("viewDeal"), lists)).map(([deal]) => toDeal(deal as AbiValue[]));
};

const toDeal = (fields: readonly AbiValue[]): DealView => {
  const pointer = (i: number) => (fields[i] as readonly AbiValue[])[0] as Address;
  return {
    app: pointer(0),
    dataset: pointer(1),
    priceNrlc: (fields[2] as readonly AbiValue[])[2] as bigint,
    pool: pointer(2),
    poolOwner: (fields[2] as readonly AbiValue[])[1] as Address,
    trust: fields[3] as bigint,
    category: fields[4] as bigint,
    tag: fields[5] as Hash,
    requester: fields[6] as Address,
    callback: fields[8] as Address,
    params: fields[9] as string,
    startTime: Number(fields[10]),
    botFirst: Number(fields[11]),
    botSize: Number(fields[12]),
    workerStakeNrlc: fields[13] as bigint,
    ownerPercent: fields[14] as bigint,
  };
};

/** Where an app's module lies, and its checksum. */
export const viewApp = async (
  client: RpcClient,
  app: Address,
): Promise<{ name: string; location: Uint8Array; checksum: Hash }> => {
  const fields = (await view(client, HUB, hubFunction("viewApp"), app))[0] as AbiValue[];
  return {
    name: fields[1] as string,
    location: fields[3] as Uint8Array,
    checksum: fields[4] as Hash,
  };
};
/** Where a dataset lies, and its checksum. */
export const viewDataset = async (
  client: RpcClient,
  dataset: Address,
): Promise<{ name: string; location: Uint8Array; checksum: Hash }> => {
  const fields = (await view(client, HUB, hubFunction("viewDataset"), dataset))[0] as AbiValue[];
  return {
    name: fields[1] as string,
    location: fields[2] as Uint8Array,
    checksum: fields[3] as Hash,
  };
};

/** A slot of a worker. */
export interface SlotView {
  readonly id: bigint;
  readonly pool: Address;
  readonly stakeWei: bigint;
  readonly lot: Hash;
  readonly isLeaving: boolean;
  /** One of PAUSE (vm/market/slot.ts). */
  readonly pause: number;
  /** How often it was absent of late, and until when it rests for that, in seconds. */
  readonly absences: number;
  readonly restEnd: number;
}

const toSlot = (id: bigint, fields: readonly AbiValue[]): SlotView => ({
  id,
  pool: fields[1] as Address,
  stakeWei: fields[6] as bigint,
  lot: fields[7] as Hash,
  isLeaving: fields[9] as boolean,
  pause: Number(fields[10]),
  absences: Number(fields[11]),
  restEnd: Number(fields[12]),
});

/** Reads the slots of a worker, all of one block: a slot that left since is no slot any more. */
export const slotsOfWorker = async (client: RpcClient, worker: Address): Promise<SlotView[]> => {
  const at = await headOf(client);
  const pages = await viewPages(client, at, marketFunction("slotsOf"), worker);
  const ids = pages.flatMap(([slots]) => slots as readonly bigint[]);
  const lists = ids.map((id): AbiValue[] => [id]);
  const views = await viewAll(client, MARKET, marketFunction("viewSlot"), lists, at);
  return views.map(([slot], i) => toSlot(ids[i]!, slot as AbiValue[]));
};
