import { join } from "node:path";
import { type Address, equalBytes, type Hash, type Hex, toHex, ZERO_HASH } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { rpcClient } from "../../rpc/client.ts";
import { resultHashOf, resultSealOf } from "../../vm/market/contribution.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { MARKET } from "../../vm/tables.ts";
import { BARRIERS, ComputeFault } from "../../vm/wasm/process.ts";
import { createProcessPool } from "../../vm/wasm/process-pool.ts";
import { digestOf, itemsRootOf, lotReceiptOf } from "../../vm/wasm/receipt.ts";
import { findSandbox } from "../../vm/wasm/sandbox.ts";
import { writeSecret } from "../folder.ts";
import { type LotView, lotsOfWorker, marketFunction, viewLotById } from "../market-client.ts";
import { send } from "../wallet.ts";
import { type Computed, computeLot } from "./compute.ts";
import { openJournal } from "./journal.ts";

export interface WorkerOptions {
  readonly privateKey: Hex;
  /** RPC of the node that the worker follows the chain through. */
  readonly node: string;
  readonly datadir: string;
  /** Lots computed at a time. */
  readonly jobs: number;
  readonly log: Log;
  /** Test networks alone: changes each receipt, so that this worker lies. */
  readonly tamper?: (receipt: Uint8Array) => Uint8Array;
}

/** What `rolec worker status` shows. */
export interface WorkerStatus {
  readonly pid: number;
  readonly address: Address;
  readonly node: string;
  readonly startedAt: string;
  readonly seenBlock: number;
  readonly computing: readonly Hash[];
  readonly seated: readonly Hash[];
  readonly computed: number;
  readonly declined: number;
  readonly lastError: string | undefined;
  /** What stands between a job and this machine. */
  readonly isolation: readonly string[];
}

export interface Worker {
  readonly address: Address;
  start(): void;
  stop(): Promise<void>;
}

const TICK_MS = 500;
/** A message that has had no effect after so many blocks is sent again. */
const RESEND_BLOCKS = 4;
/** Blocks that the others leave the first proved seat to finalize. */
const FINALIZE_GRACE_BLOCKS = 4;
/** How often inputs are asked for before a worker says that they cannot be had, and the wait after the first time. */
const MAX_TRIES = 5;
const RETRY_MS = 1_000;
/** Processes that wait for a lot; each holds some 100 MB. */
const MAX_WARM = 4;
const KEEP_MS = 7 * 24 * 3600 * 1000;

/** Makes a worker: computes the lots that it is drawn for, commits, reveals, finalizes, and serves the results. */
export const createWorker = (options: WorkerOptions): Worker => {
  const { privateKey, node, datadir, log } = options;
  const client = rpcClient(node);
  const address = addressOf(privateKey);
  const journal = openJournal(join(datadir, "lots"));
  const pool = createProcessPool(Math.min(options.jobs, MAX_WARM));
  const computing = new Map<Hash, Promise<void>>();
  const cannot = new Set<Hash>();
  /** Lots whose inputs did not come: how often, and when they are asked for again. */
  const retries = new Map<Hash, { tries: number; at: number }>();
  /** Messages under way: by lot, kind and round, the block at which they were sent. */
  const sent = new Map<string, number>();
  const revealedSince = new Map<Hash, number>();
  /** Lots of several tasks that this worker has committed to, until their receipts are given away. */
  const unpublished = new Set<Hash>();
  const abort = new AbortController();
  const startedAt = new Date().toISOString();
  let [computed, declined] = [0, 0];
  let lastError: string | undefined;
  let [timer, running]: [NodeJS.Timeout | undefined, Promise<void>] = [undefined, Promise.resolve()];

  const message = async (lot: LotView, kind: string, block: number, data: Uint8Array): Promise<void> => {
    const key = `${lot.id} ${kind} ${lot.round}`;
    if (block < (sent.get(key) ?? -RESEND_BLOCKS) + RESEND_BLOCKS) return;
    sent.set(key, block);
    await send(client, privateKey, { to: MARKET, data });
    log.info({ lot: lot.id, kind }, "sent");
  };

  /** The receipt that this worker stands for. */
  const receiptOf = (found: Computed): Uint8Array => {
    const receipt = lotReceiptOf(found.receipts);
    return options.tamper ? options.tamper(receipt) : receipt;
  };

  const compute = (lot: LotView): void => {
    const retry = retries.get(lot.id) ?? { tries: 0, at: 0 };
    if (computing.has(lot.id) || computing.size >= options.jobs || Date.now() < retry.at) return;
    const work = computeLot(client, node, lot, pool, abort.signal)
      .then((found) => {
        journal.put(lot.id, found);
        computed += 1;
      })
      .catch((error: Error) => {
        if (abort.signal.aborted) return;
        log.warn({ lot: lot.id, error: error.message }, "a lot is not computed");
        lastError = error.message;
        const tries = retry.tries + 1;
        // A node that restarts or data that is on its way is no reason to decline; a program that does not fit here is.
        if (error instanceof ComputeFault || tries >= MAX_TRIES) cannot.add(lot.id);
        else retries.set(lot.id, { tries, at: Date.now() + RETRY_MS * 2 ** (tries - 1) });
      })
      .finally(() => computing.delete(lot.id));
    computing.set(lot.id, work);
  };

  const contribute = async (lot: LotView, block: number): Promise<void> => {
    const found = journal.get(lot.id);
    if (!found) {
      if (!cannot.has(lot.id)) return compute(lot);
      declined += 1;
      return message(lot, "decline", block, marketFunction("decline").encode(lot.id));
    }
    const digest = digestOf(receiptOf(found));
    const itemsRoot = lot.count === 1 ? ZERO_HASH : itemsRootOf(found.taskids, found.receipts);
    const data = marketFunction("contribute").encode(
      lot.id,
      resultHashOf(lot.id, digest),
      resultSealOf(address, lot.id, digest),
      itemsRoot,
    );
    await message(lot, "contribute", block, data);
    if (lot.count > 1) unpublished.add(lot.id);
  };

  /** Gives a lot's receipts to the node once the chain holds their root, so that the requester can get each task's result. */
  const publish = async (id: Hash): Promise<void> => {
    const found = journal.get(id);
    const lot = await viewLotById(client, id);
    const isOver = lot.status === LOT_STATUS.failed || lot.status === LOT_STATUS.claimed;
    if (found && lot.receipt.length > 0 && equalBytes(lotReceiptOf(found.receipts), lot.receipt))
      await client.call("rolec_putLotReceipts", [id, found.receipts.map(toHex)]);
    else if (lot.receipt.length === 0 && !isOver) return;
    unpublished.delete(id);
  };

  const settle = async (lot: LotView, block: number): Promise<void> => {
    const winners = lot.seats.filter(
      (seat) => seat.resultHash === lot.consensus && (seat.status === SEAT.committed || seat.status === SEAT.proved),
    );
    if (winners.some((seat) => seat.worker === address && seat.status === SEAT.committed)) {
      const found = journal.get(lot.id);
      if (found) await message(lot, "reveal", block, marketFunction("reveal").encode(lot.id, receiptOf(found)));
      return;
    }
    const proved = winners.filter((seat) => seat.status === SEAT.proved);
    const due = proved.length === winners.length || Date.now() / 1000 >= lot.revealDeadline;
    if (!due || !proved.some((seat) => seat.worker === address)) return;
    const since = revealedSince.get(lot.id) ?? block;
    revealedSince.set(lot.id, since);
    if (proved[0]!.worker === address || block >= since + FINALIZE_GRACE_BLOCKS)
      await message(lot, "finalize", block, marketFunction("finalize").encode(lot.id));
  };

  const step = async (id: Hash, block: number): Promise<void> => {
    const lot = await viewLotById(client, id);
    const mine = lot.seats.filter((seat) => seat.worker === address);
    if (lot.status === LOT_STATUS.computing && mine.some((seat) => seat.status === SEAT.drawn))
      await contribute(lot, block);
    else if (lot.status === LOT_STATUS.revealing) await settle(lot, block);
  };

  const tick = async (): Promise<void> => {
    const block = Number(await client.call("eth_blockNumber", []));
    const lots = await lotsOfWorker(client, address);
    const steps = [...lots.map((id) => [id, step] as const), ...[...unpublished].map((id) => [id, publish] as const)];
    for (const [id, run] of steps) {
      try {
        await run(id, block);
      } catch (error) {
        lastError = (error as Error).message;
        log.warn({ lot: id, error: lastError }, "a step failed, and is tried again");
      }
    }
    if (sent.size > 10_000) sent.clear();
    if (retries.size > 10_000) retries.clear();
    const status: WorkerStatus = {
      pid: process.pid,
      address,
      node,
      startedAt,
      seenBlock: block,
      computing: [...computing.keys()],
      seated: lots,
      computed,
      declined,
      lastError,
      isolation: [...BARRIERS, ...(await findSandbox()).barriers],
    };
    writeSecret(join(datadir, "status.json"), `${JSON.stringify(status, null, 2)}\n`);
  };

  const schedule = (): void => {
    if (abort.signal.aborted) return;
    timer = setTimeout(() => {
      running = tick()
        .catch((error: Error) => {
          lastError = error.message;
          log.warn({ error: lastError }, "the node does not answer");
        })
        .then(schedule);
    }, TICK_MS);
  };

  return {
    address,
    start: () => {
      journal.prune(KEEP_MS);
      schedule();
    },
    stop: async () => {
      abort.abort();
      clearTimeout(timer);
      pool.close();
      await running;
      await Promise.all(computing.values());
    },
  };
};
