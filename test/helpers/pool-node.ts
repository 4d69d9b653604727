import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { decodeTransaction } from "../../chain/transaction.ts";
import { type Address, fromHex, type Hash, type Hex, toHex, ZERO_ADDRESS, ZERO_HASH } from "../../lib/bytes.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { hubFunction } from "../../node/market-client.ts";
import type { Ask } from "../../node/pool/messages.ts";
import { createScheduler, type Scheduler } from "../../node/pool/scheduler.ts";
import type { AbiFunction, AbiValue } from "../../vm/abi.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { silent, testKey } from "./chain.ts";

export const POOL: Address = `0x${"0d".repeat(20)}`;
const OWNER = testKey("pool owner");
const NONE: AbiValue = [ZERO_ADDRESS, ZERO_ADDRESS, 0n];

/** What the chain says of a deal; the rest is as in any. */
export interface DealFacts {
  readonly tasks: number;
  readonly requester: Address;
  readonly trust?: bigint;
  /** nRLC; left out: 1,000,000. */
  readonly price?: bigint;
  readonly callback?: Address;
}

/** What the chain says of a task; left out: open to contributions, and nobody has given one. */
export interface TaskFacts {
  readonly status: number;
  readonly dealid: Hash;
  readonly timeref: number;
  readonly revealDeadline?: number;
  readonly consensus?: Hash;
  readonly reveals?: number;
  readonly contributors?: readonly Address[];
}

interface Item {
  readonly id: number;
  readonly method: string;
  readonly params: readonly [{ to: Address; data: Hex; topics: Hash[] } | Hex];
}

export const unixNow = (): number => Math.floor(Date.now() / 1000);

/** Starts a node whose chain is a table of views; `sent` are the hub's functions that it was sent, with their arguments. */
export const startPoolNode = async (
  t: Pick<Test, "teardown">,
  chain: {
    readonly deals: ReadonlyMap<Hash, DealFacts>;
    task(id: Hash): TaskFacts;
    /** Status of a contribution. */
    contribution?(task: Hash, worker: Address): number;
    /** What was contributed; left out: the same by all. */
    result?(task: Hash, worker: Address): Hash;
  },
) => {
  const sent: { readonly name: string; readonly args: readonly AbiValue[] }[] = [];
  const start = unixNow();
  const messages = ["initialize", "finalize", "claim", "reopen"].map((name) => hubFunction(name));
  const deal = (id: Hash): AbiValue => {
    const { tasks, requester, trust = 1n, price = 1_000_000n, callback = ZERO_ADDRESS } = chain.deals.get(id)!;
    const pool: AbiValue = [POOL, addressOf(OWNER), price];
    return [
      ...[NONE, NONE, pool, trust, 0n, ZERO_HASH, requester, requester, callback, "{}"],
      ...[BigInt(start), 0n, BigInt(tasks), 0n, 10n, requester],
    ];
  };
  const task = (id: Hash): AbiValue => {
    const { status, dealid, timeref, contributors = [], ...rest } = chain.task(id);
    const { revealDeadline = start + 900, consensus = ZERO_HASH, reveals = 0 } = rest;
    const times = [timeref, start + 700, revealDeadline, start + 1_000].map(BigInt);
    const counts = [reveals, contributors.length].map(BigInt);
    return [
      ...[BigInt(status), dealid, 0n, ...times, consensus, ...counts, [...contributors]],
      ...[ZERO_HASH, new Uint8Array(0), 0n, new Uint8Array(0)],
    ];
  };
  const views: readonly (readonly [AbiFunction, (args: readonly AbiValue[]) => AbiValue])[] = [
    [hubFunction("viewDeal"), ([id]) => deal(id as Hash)],
    [hubFunction("viewTask"), ([id]) => task(id as Hash)],
    [
      hubFunction("viewContribution"),
      ([id, worker]) => [
        BigInt(chain.contribution?.(id as Hash, worker as Address) ?? 0),
        chain.result?.(id as Hash, worker as Address) ?? ZERO_HASH,
        ...[ZERO_HASH, ZERO_ADDRESS, 0n],
      ],
    ],
    [hubFunction("viewScore"), () => 0n],
    [hubFunction("viewCategory"), () => ["", "", 60n]],
    [hubFunction("viewAccount"), () => [1_000_000n, 0n]],
  ];
  const { topic } = HUB_EVENTS.SchedulerNotice!;
  const quantities: Record<string, Hex> = {
    eth_chainId: "0x1",
    eth_getTransactionCount: "0x0",
    eth_estimateGas: "0x1",
  };
  const answer = ({ method, params: [asked] }: Item): unknown => {
    const quantity = quantities[method];
    if (quantity) return quantity;
    if (method === "eth_getBlockByNumber")
      return { number: "0x1", timestamp: `0x${unixNow().toString(16)}`, baseFeePerGas: "0x1" };
    if (typeof asked === "string") {
      const transaction = decodeTransaction(fromHex(asked));
      const called = messages.find(({ selector }) => toHex(transaction.data).startsWith(selector))!;
      sent.push({ name: called.name, args: called.decode(transaction.data) });
      return transaction.hash;
    }
    if (method === "eth_getLogs")
      return asked!.topics[0] === topic ? [...chain.deals.keys()].map((data) => ({ data, blockNumber: "0x1" })) : [];
    const [fn, view] = views.find(([{ selector }]) => asked!.data.startsWith(selector))!;
    return toHex(fn.encodeResult(view(fn.decode(fromHex(asked!.data)))));
  };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const body = JSON.parse(text) as Item | Item[];
    const items = Array.isArray(body) ? body : [body];
    const answers = items.map((item) => ({ jsonrpc: "2.0", id: item.id, result: answer(item) }));
    response.end(JSON.stringify(Array.isArray(body) ? answers : answers[0]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sent };
};

/** Starts a scheduler of the pool over a node; `ask` asks it as a worker that has places. */
export const startScheduler = (t: Pick<Test, "teardown">, node: string) => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-scheduler-"));
  const who = { privateKey: OWNER, pool: POOL, workers: [], noEnclave: false };
  const scheduler: Scheduler = createScheduler({ ...who, node, datadir, log: silent });
  t.teardown(async () => {
    await scheduler.stop();
    rmSync(datadir, { recursive: true, force: true });
  });
  scheduler.start();
  let asks = 0;
  const ask = (worker: Address, said: Partial<Ask> = {}) => {
    const time = Date.now() + ++asks / 1_000;
    return scheduler.ask({ pool: POOL, worker, time, free: 1, declined: [], results: [], ...said });
  };
  return { scheduler, ask, datadir };
};
