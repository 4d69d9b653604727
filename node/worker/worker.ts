import { join } from "node:path";
import { type Address, type Hash, type Hex, ZERO_HASH } from "../../lib/bytes.ts";
import { createDisk, freeBytesOf } from "../../lib/disk.ts";
import type { Log } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { createTroubles, type Subject } from "../../lib/trouble.ts";
import { rpcClient } from "../../rpc/client.ts";
import { MARKET } from "../../vm/addresses.ts";
import { resultHashOf, resultSealOf } from "../../vm/market/contribution.ts";
import { LOT_STATUS, SEAT } from "../../vm/market/lot.ts";
import { BARRIERS, ComputeFault } from "../../vm/wasm/process.ts";
import { createProcessPool } from "../../vm/wasm/process-pool.ts";
import { digestOf, itemsRootOf, lotReceiptOf } from "../../vm/wasm/receipt.ts";
import { findSandbox } from "../../vm/wasm/sandbox.ts";
import { writeNote } from "../folder.ts";
import { type LotView, lotsOfWorker, marketFunction, viewJob, viewLotsById } from "../market-client.ts";
import { createResends } from "../resends.ts";
import { type Computed, compute } from "./compute.ts";
import { type Deadlines, deadlinesOf } from "./deadline.ts";
import { createDealRooms } from "./deals.ts";
import { finalizeAfter, winnersOf } from "./finalizing.ts";
import { type ChainFigures, createGate, readFigures } from "./gate.ts";
import { openInputs } from "./inputs.ts";
import { openJournal } from "./journal.ts";
import { createLeaving } from "./leaving.ts";
import { type Machine, thisMachine } from "./machine.ts";
import { createOutputs } from "./outputs.ts";
import { createPlaces } from "./places.ts";
import type { WorkerPolicy } from "./policy.ts";
import { createPresence } from "./presence.ts";
import { createPublishing, lotOf } from "./publishing.ts";
import { openRewritten } from "./rewritten.ts";
import { createScheduled, type PoolAccess } from "./scheduled.ts";
import { Unobtainable } from "./unobtainable.ts";

export interface WorkerOptions {
  readonly privateKey: Hex;
  /** RPC of the node that the worker follows the chain through. */
  readonly node: string;
  readonly datadir: string;
  readonly policy: WorkerPolicy;
  /** Where tasks of an owner-scheduled pool are asked for too. */
  readonly pool?: PoolAccess | undefined;
  /** MiB of the folder's disk that inputs may not fill; left out: 256. */
  readonly diskReserveMib?: number;
  /** Left out: the machine that this runs on. */
  readonly machine?: Machine;
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
  readonly writtenAt: string;
  readonly seenBlock: number;
  readonly computing: readonly Hash[];
  readonly seated: readonly Hash[];
  readonly computed: number;
  readonly declined: number;
  /** The scheduler that tasks are asked for too, and what it says. */
  readonly pool: (PoolAccess & { readonly note: string | null }) | null;
  /** Why nothing is started now; null where lots are welcome. */
  readonly paused: string | null;
  readonly lastDecline: string | null;
  /** What its slots paid for since the start, the newest of it. */
  readonly losses: readonly string[];
  readonly policy: WorkerPolicy;
  /** What troubles it now; undefined where nothing does. */
  readonly lastError: string | undefined;
  /** What stands between a job and this machine. */
  readonly isolation: readonly string[];
}

export interface Worker {
  readonly address: Address;
  /** Resolves with the reason where the policy says that the program ends. */
  readonly ended: Promise<string>;
  start(): void;
  stop(): Promise<void>;
}

const TICK_MS = 500;
/** How often inputs are asked for, while there is time, before a worker says that they cannot be had; and the first wait. */
const MAX_TRIES = 5;
const RETRY_MS = 1_000;
/** Processes that wait for a lot; each holds some 100 MB. */
const MAX_WARM = 4;
/** Lots of an earlier life that are taken up again in one tick. */
const RESUMED = 16;
/** A status that a full disk did not take is tried again after so long. */
const AGAIN_MS = 60_000;
const TIDY_MS = 600_000;

const NODE: Subject = { fails: "the node does not answer", works: "the node answers again" };
const POOL: Subject = { fails: "the scheduler does not answer", works: "the scheduler answers again" };
const COMPUTING: Subject = { fails: "a lot is not computed", works: "lots are computed again" };
const STEPS: Subject = { fails: "a step fails, and is tried again", works: "all steps are done again" };
const KEEPING: Subject = { fails: "a rewritten module is not kept", works: "rewritten modules are kept again" };
const LEAVING: Subject = { fails: "slots are not given back", works: "slots are given back" };
const STATUS: Subject = { fails: "status.json is not written", works: "status.json is written again" };
const FAREWELL: Subject = { fails: "the worker goes without a word", works: "the worker says that it goes" };
const PRESENCE: Subject = { fails: "slots are not looked after", works: "slots are looked after again" };
/** A stop waits so long at most for what the chain is told. */
const FAREWELL_MS = 8_000;

/** Makes a worker: computes the lots that it is drawn for, commits, reveals, finalizes, and serves the results. */
export const createWorker = (options: WorkerOptions): Worker => {
  const { privateKey, node, datadir, log, policy } = options;
  const client = rpcClient(node);
  const address = addressOf(privateKey);
  const journal = openJournal(join(datadir, "lots"), { log });
  const pool = createProcessPool(Math.min(policy.cores, MAX_WARM));
  const disk = createDisk(freeBytesOf(datadir), options.diskReserveMib);
  const inputs = openInputs({ node, folder: join(datadir, "inputs"), allowPrivate: policy.allowPrivateUrls, disk });
  const machine = options.machine ?? thisMachine();
  const outputs = createOutputs(client);
  const gate = createGate(client, policy, machine, outputs, disk);
  const presence = createPresence(client, privateKey, log);
  const leaving = createLeaving(client, privateKey, policy, log);
  let figures: ChainFigures | undefined;
  const computing = new Map<Hash, Promise<void>>();
  /** Lots that are declined, and why. */
  const cannot = new Map<Hash, string>();
  /** Lots whose inputs did not come: how often, when they are asked for again, and until when. */
  const retries = new Map<Hash, { tries: number; at: number; deadlines: Deadlines }>();
  /** Messages by lot, kind and round. */
  const sent = createResends(client, privateKey, log);
  const revealedSince = new Map<Hash, number>();
  const publishing = createPublishing(client, journal);
  /** What an earlier life of this worker computed: a few at a time are looked at, what became of them. */
  const earlier = journal.ids();
  const abort = new AbortController();
  const startedAt = new Date().toISOString();
  let [computed, declined, declinedInRow] = [0, 0, 0];
  let [statusAt, tidyAt] = [0, 0];
  let seats: { block: number; lots: readonly Hash[] } = { block: -1, lots: [] };
  let lastDecline: string | undefined;
  let end: (reason: string) => void = () => {};
  const ended = new Promise<string>((resolve) => {
    end = resolve;
  });
  let [timer, ticking]: [NodeJS.Timeout | undefined, Promise<void>] = [undefined, Promise.resolve()];
  /** A tick runs; another is wanted after it. */
  let [isTicking, isAwaited] = [false, false];

  const troubles = createTroubles({ log, folder: datadir });

  const message = (lot: LotView, kind: string, block: number, data: Uint8Array): Promise<void> =>
    sent.send(`${lot.id} ${kind} ${lot.round}`, block, { to: MARKET, data }, { lot: lot.id, kind });

  /** The receipt that this worker stands for. */
  const receiptOf = (found: Computed): Uint8Array => {
    const receipt = lotReceiptOf(found.receipts);
    return options.tamper ? options.tamper(receipt) : receipt;
  };

  const store = openRewritten({
    folder: join(datadir, "rewritten"),
    secret: privateKey,
    disk,
    onWrite: (error) => (error ? troubles.fails(KEEPING, error) : troubles.works(KEEPING)),
  });
  const rooms = createDealRooms({ client, pool, inputs, store });
  const places = createPlaces(gate.places);
  const means = { client, node, rooms, outputs, places, signal: abort.signal };
  const { pool: access, tamper } = options;
  const scheduled =
    access && createScheduled({ access, privateKey, datadir, means, policy, machine, disk, log, tamper });
  /** All that is begun: its data is on its way, or it is computed. */
  const running = (): number => computing.size + (scheduled?.computing.size ?? 0);
  const computeLot = async (lot: LotView, deadlines: Deadlines): Promise<Computed> => {
    const { gasLimit, vmVersion, volume, lotSize } = await viewJob(client, lot.dealid);
    // A deal's other lots need the same files.
    const wantedUntil = volume > lotSize ? lot.finalDeadline * 1_000 : undefined;
    return compute(means, { ...lot, gasLimit, vmVersion, deadlines, wantedUntil });
  };
  /** Takes back what nobody is promised; where the node does not answer, it goes when its time is over. */
  const release = (id: Hash): Promise<void> => outputs.release(id).catch(() => undefined);

  const start = (lot: LotView): void => {
    const retry = retries.get(lot.id) ?? { tries: 0, at: 0, deadlines: deadlinesOf(lot, Date.now()) };
    if (Date.now() < retry.at) return;
    const work = computeLot(lot, retry.deadlines)
      .then((found) => {
        journal.put(lot.id, found);
        troubles.works(COMPUTING);
        computed += 1;
        declinedInRow = 0;
      })
      .catch(async (error: Error) => {
        await release(lot.id);
        if (abort.signal.aborted) return;
        troubles.fails(COMPUTING, error, { lot: lot.id });
        const tries = retry.tries + 1;
        const at = Date.now() + RETRY_MS * 2 ** (tries - 1);
        const { deadlines } = retry;
        const isLast = tries >= MAX_TRIES || at >= deadlines.fetchBy;
        // A node that restarts or data that is on its way is no reason to decline; a program that does not fit here is.
        if (error instanceof ComputeFault || error instanceof Unobtainable || isLast) cannot.set(lot.id, error.message);
        else retries.set(lot.id, { tries, at, deadlines });
      })
      .finally(() => {
        computing.delete(lot.id);
        // What was found is sent, and the next lot begun, without waiting for the clock.
        poke();
      });
    computing.set(lot.id, work);
  };

  const decline = async (lot: LotView, block: number, reason: string): Promise<void> => {
    if (!sent.has(`${lot.id} decline ${lot.round}`)) {
      declined += 1;
      declinedInRow += 1;
      lastDecline = reason;
      log.info({ lot: lot.id, reason }, "declined");
    }
    await message(lot, "decline", block, marketFunction("decline").encode(lot.id));
  };

  const contribute = async (lot: LotView, block: number): Promise<void> => {
    const found = journal.get(lot.id);
    if (!found) {
      if (computing.has(lot.id)) return;
      const fault = cannot.get(lot.id);
      if (fault !== undefined) return decline(lot, block, fault);
      figures ??= await readFigures(client);
      const state = { begun: running(), jobs: places.wanted, done: computed, burnQ16: figures.burnQ16 };
      const verdict = await gate.judge(lot, state);
      if (verdict.kind === "compute") start(lot);
      else if (verdict.kind === "decline") await decline(lot, block, verdict.reason);
      return;
    }
    await outputs.keep(lot.id, lot.finalDeadline);
    const digest = digestOf(receiptOf(found));
    const itemsRoot = lot.count === 1 ? ZERO_HASH : itemsRootOf(found.taskids, found.receipts);
    const data = marketFunction("contribute").encode(
      lot.id,
      resultHashOf(lot.id, digest),
      resultSealOf(address, lot.id, digest),
      itemsRoot,
    );
    await message(lot, "contribute", block, data);
    if (lot.count > 1) publishing.add(lot.id);
  };

  const settle = async (lot: LotView, block: number): Promise<void> => {
    if (winnersOf(lot).some((seat) => seat.worker === address && seat.status === SEAT.committed)) {
      const found = journal.get(lot.id);
      if (found) {
        // Seats that are proved serve results until then (spec section 10).
        figures ??= await readFigures(client);
        await outputs.keep(lot.id, lot.finalDeadline + figures.serveSeconds);
        return message(lot, "reveal", block, marketFunction("reveal").encode(lot.id, receiptOf(found)));
      }
      if (computing.has(lot.id) || cannot.has(lot.id)) return;
      // The journal lost what this worker has committed to: to be silent now costs the slot.
      return start({ ...lot, roundEnd: lot.revealDeadline });
    }
    const after = finalizeAfter(lot, address, Date.now() / 1000);
    if (after === undefined) return;
    const since = revealedSince.get(lot.id) ?? block;
    revealedSince.set(lot.id, since);
    if (block >= since + after) await message(lot, "finalize", block, marketFunction("finalize").encode(lot.id));
  };

  /**
   * Follows a lot in which this worker holds no slot any more to its end. Who has proved a result is free at once, and still has it to
   * finalize; then the results are served, or unpinned where nobody is promised them.
   */
  const follow = async (id: Hash, block: number): Promise<void> => {
    const lot = await lotOf(client, id);
    if (!lot) return outputs.served(id);
    const has = (state: number): boolean => lot.seats.some((seat) => seat.worker === address && seat.status === state);
    const isProved = has(SEAT.proved);
    if (isProved && lot.status === LOT_STATUS.revealing) await settle(lot, block);
    else if (isProved && lot.status === LOT_STATUS.completed) outputs.served(lot.id);
    else if (lot.status >= LOT_STATUS.completed || !(isProved || has(SEAT.committed))) await outputs.release(lot.id);
  };

  const step = async (lot: LotView, block: number): Promise<void> => {
    const mine = lot.seats.filter((seat) => seat.worker === address);
    if (lot.status === LOT_STATUS.computing && mine.some((seat) => seat.status === SEAT.drawn))
      await contribute(lot, block);
    else if (lot.status === LOT_STATUS.revealing) await settle(lot, block);
  };

  /** Forgets what is of no lot that this worker is seated in. */
  const tidy = (lots: readonly Hash[]): void => {
    const seated = new Set(lots);
    for (const map of [cannot, retries, revealedSince])
      for (const id of map.keys()) if (!seated.has(id)) map.delete(id);
    sent.keep((name) => seated.has(name.slice(0, 66) as Hash));
    if (Date.now() < tidyAt) return;
    tidyAt = Date.now() + TIDY_MS;
    for (const id of journal.prune((lot) => seated.has(lot))) publishing.drop(id);
  };

  /** Declines what will not be computed any more, and pauses: who says that it goes is not silent. */
  const farewell = async (): Promise<void> => {
    await presence.farewell();
    const block = Number(await client.call("eth_blockNumber", []));
    for (const lot of await viewLotsById(client, await lotsOfWorker(client, address)))
      if (lot.status === LOT_STATUS.computing && !journal.get(lot.id))
        if (lot.seats.some((seat) => seat.worker === address && seat.status === SEAT.drawn))
          await decline(lot, block, "the worker stops");
  };

  const tick = async (): Promise<void> => {
    const block = Number(await client.call("eth_blockNumber", []));
    // Seats change with blocks alone, and a worker of thousands of slots has pages of them.
    if (seats.block !== block) seats = { block, lots: await lotsOfWorker(client, address) };
    const { lots } = seats;
    outputs.resume(earlier.splice(0, RESUMED));
    const followed = outputs.leased().filter((id) => !lots.includes(id) && !computing.has(id) && !scheduled?.has(id));
    const steps = [
      ...(await viewLotsById(client, lots)).map((lot) => [lot.id, () => step(lot, block)] as const),
      ...followed.map((id) => [id, () => follow(id, block)] as const),
      ...publishing.lots().map((id) => [id, () => publishing.follow(id)] as const),
    ];
    let failures = 0;
    for (const [id, run] of steps) {
      try {
        await run();
      } catch (error) {
        failures += 1;
        troubles.fails(STEPS, error as Error, { lot: id });
      }
    }
    if (failures === 0) troubles.works(STEPS);
    if (scheduled) {
      try {
        figures ??= await readFigures(client);
        const free = Math.min(gate.places - places.wanted, gate.most - running());
        if (await scheduled.tick(block, free, figures.serveSeconds)) troubles.works(POOL);
      } catch (error) {
        troubles.fails(POOL, error as Error);
      }
    }
    await presence.follow(gate.pause(places.wanted), block).then(
      () => troubles.works(PRESENCE),
      (error: Error) => troubles.fails(PRESENCE, error),
    );
    const isSeated = lots.length + followed.length > 0;
    const isBusy = isSeated || running() > 0 || publishing.lots().length > 0 || presence.isComing;
    await leaving.follow({ isBusy, computed, declinedInRow }).then(
      (reason) => {
        troubles.works(LEAVING);
        if (reason !== undefined) end(reason);
      },
      (error: Error) => void troubles.fails(LEAVING, error),
    );
    troubles.works(NODE);
    tidy([...lots, ...followed]);
  };

  /** Writes what the worker does, whether or not its node answers. */
  const writeStatus = async (): Promise<void> => {
    if (Date.now() < statusAt) return;
    const status: WorkerStatus = {
      pid: process.pid,
      address,
      node,
      startedAt,
      writtenAt: new Date().toISOString(),
      seenBlock: Math.max(0, seats.block),
      computing: [...computing.keys(), ...(scheduled?.computing.keys() ?? [])],
      seated: seats.lots,
      computed: computed + (scheduled?.computed ?? 0),
      declined,
      pool: access ? { ...access, note: scheduled?.note ?? null } : null,
      paused: gate.pause(places.wanted) ?? null,
      lastDecline: lastDecline ?? null,
      losses: presence.losses,
      policy,
      lastError: troubles.now(),
      isolation: [...BARRIERS, ...(await findSandbox()).barriers],
    };
    try {
      writeNote(join(datadir, "status.json"), `${JSON.stringify(status, null, 2)}\n`);
      troubles.folderWorks();
    } catch (error) {
      // What the chain is told does not depend on it.
      statusAt = Date.now() + AGAIN_MS;
      troubles.fails(STATUS, error as Error);
    }
  };

  /** Runs the next tick after so many milliseconds; none runs now. */
  const schedule = (ms: number): void => {
    clearTimeout(timer);
    if (abort.signal.aborted) return;
    timer = setTimeout(() => {
      isTicking = true;
      isAwaited = false;
      ticking = tick()
        .catch((error: Error) => void troubles.fails(NODE, error))
        .then(writeStatus)
        .catch((error: Error) => void troubles.fails(STATUS, error))
        .then(() => {
          isTicking = false;
          schedule(isAwaited ? 0 : TICK_MS);
        });
    }, ms);
  };
  /** Runs a tick at once, or right after the one that runs. */
  const poke = (): void => {
    if (isTicking) isAwaited = true;
    else schedule(0);
  };

  return {
    address,
    ended,
    start: () => schedule(TICK_MS),
    stop: async () => {
      abort.abort();
      clearTimeout(timer);
      rooms.close();
      pool.close();
      await ticking;
      const over = new Promise<void>((resolve) => setTimeout(resolve, FAREWELL_MS).unref());
      await Promise.race([farewell().catch((error: Error) => troubles.fails(FAREWELL, error)), over]);
      await Promise.all([...computing.values(), ...(scheduled?.computing.values() ?? [])]);
    },
  };
};
