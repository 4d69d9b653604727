import { type Address, addressWord, fromHex, type Hash, type Hex } from "../../lib/bytes.ts";
import { NRLC } from "../../lib/units.ts";
import type { RpcClient } from "../../rpc/client.ts";
import { hexNumber } from "../../rpc/values.ts";
import type { AbiValue } from "../../vm/abi.ts";
import { HUB } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { readJson, writeNote } from "../folder.ts";
import { hubFunction, slotsOfWorker, view } from "../market-client.ts";
import { REMEDIES } from "../remedies.ts";
import { type Loss, readLosses } from "./losses.ts";

/** What a worker has earned and where it is. Amounts in wei. */
export interface Earnings {
  readonly worker: Address;
  /** Lots in which it had a seat that was proved, up to the final block that was looked at. */
  readonly lots: number;
  readonly earnedWei: bigint;
  /** What its slots paid for seats that were wrong, silent, or declined what others computed; the newest of those losses. */
  readonly lostWei: bigint;
  readonly losses: readonly Loss[];
  readonly throughBlock: number;
  /** In the hub, to be withdrawn. */
  readonly withdrawableWei: bigint;
  /** On its account. */
  readonly balanceWei: bigint;
  readonly slots: number;
  readonly stakedWei: bigint;
}

interface Seen {
  readonly genesis: Hash;
  readonly throughBlock: number;
  readonly lots: number;
  readonly earnedNrlc: string;
  readonly lostWei?: string;
  readonly losses?: readonly Loss[];
}
interface RpcLog {
  readonly topics: Hash[];
  readonly data: Hex;
  readonly blockNumber: Hex;
}

/** What a node answers in one request. */
const PAGE_BLOCKS = 10_000;
/** Losses that are remembered one by one. */
const MAX_LOSSES = 20;

/**
 * Adds up what a worker was paid for, from the logs of final blocks; `file` remembers how far, so that the next time only new
 * blocks are read, and what its slots paid for. What refilled their stake is not counted: it was lost before.
 */
export const readEarnings = async (client: RpcClient, worker: Address, file: string): Promise<Earnings> => {
  const logs = async (filter: Record<string, unknown>): Promise<RpcLog[]> =>
    (await client.call("eth_getLogs", [{ address: HUB, ...filter }])) as RpcLog[];
  const blockAt = async (tag: string) =>
    (await client.call("eth_getBlockByNumber", [tag, false])) as { hash: Hash; number: Hex };
  const [{ hash: genesis }, final] = await Promise.all([blockAt("0x0"), blockAt("finalized")]);
  const before = readJson<Seen>(file, REMEDIES.earnings);
  const fresh: Omit<Seen, "genesis"> = { throughBlock: 0, lots: 0, earnedNrlc: "0" };
  // A file from before losses were read is read anew.
  const start = before?.genesis === genesis && before.losses ? before : fresh;
  let { throughBlock, lots } = start;
  let earned = BigInt(start.earnedNrlc);
  let lost = BigInt(start.lostWei ?? 0);
  let losses = start.losses ?? [];
  const last = Number(final.number);
  const topics = [HUB_EVENTS.AccurateContribution!.topic, addressWord(worker)];
  while (throughBlock < last) {
    const to = Math.min(last, throughBlock + PAGE_BLOCKS);
    const byBlock = new Map<Hex, Set<Hash>>();
    for (const log of await logs({ fromBlock: hexNumber(throughBlock + 1), toBlock: hexNumber(to), topics }))
      byBlock.set(log.blockNumber, (byBlock.get(log.blockNumber) ?? new Set()).add(log.topics[2]!));
    for (const [block, ids] of byBlock) {
      lots += ids.size;
      const rewards = await logs({ fromBlock: block, toBlock: block, topics: [HUB_EVENTS.Reward!.topic] });
      for (const { topics: each, data } of rewards) {
        const [owner, amount, ref] = HUB_EVENTS.Reward!.decode({ topics: each, data: fromHex(data) });
        if (owner === worker && ids.has(ref as Hash)) earned += amount as bigint;
      }
    }
    const news = await readLosses(client, worker, throughBlock + 1, to);
    lost += news.reduce((sum, { wei }) => sum + BigInt(wei), 0n);
    losses = [...losses, ...news].slice(-MAX_LOSSES);
    throughBlock = to;
    const seen: Seen = { genesis, throughBlock, lots, earnedNrlc: `${earned}`, lostWei: `${lost}`, losses };
    writeNote(file, `${JSON.stringify(seen)}\n`);
  }
  const [[account], balance, slots] = await Promise.all([
    view(client, HUB, hubFunction("viewAccount"), worker),
    client.call("eth_getBalance", [worker, "latest"]),
    slotsOfWorker(client, worker),
  ]);
  return {
    worker,
    lots,
    earnedWei: earned * NRLC,
    lostWei: lost,
    losses,
    throughBlock,
    withdrawableWei: ((account as AbiValue[])[0] as bigint) * NRLC,
    balanceWei: BigInt(balance as Hex),
    slots: slots.length,
    stakedWei: slots.reduce((sum, { stakeWei }) => sum + stakeWei, 0n),
  };
};
