import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Condition, createAlarms } from "../../lib/alarms.ts";
import { gather } from "../../lib/byte-source.ts";
import { type Address, fromHex, type Hash, type Hex, toHex, utf8, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { Disk } from "../../lib/disk.ts";
import { parseJson } from "../../lib/json.ts";
import { keccak256 } from "../../lib/keccak.ts";
import type { Log } from "../../lib/log.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { HUB } from "../../vm/addresses.ts";
import { CAP_GAS_PER_SECOND } from "../../vm/market/clock.ts";
import { resultHashOf, resultSealOf } from "../../vm/market/contribution.ts";
import { CONTRIBUTION_STATUS, TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { ComputeFault } from "../../vm/wasm/process.ts";
import { decodeReceipt, digestOf } from "../../vm/wasm/receipt.ts";
import {
  type DealView,
  hubAccountOf,
  hubFunction,
  type TaskView,
  viewContributions,
  viewDeal,
  viewTasks,
  viewVmVersion,
} from "../market-client.ts";
import {
  type Ask,
  type Assignment,
  type Assignments,
  MAX_LISTED,
  readAssignments,
  SIGNATURE_HEADER,
  signAsk,
  signMessage,
} from "../pool/messages.ts";
import { createResends } from "../resends.ts";
import { type Computed, compute, type Means } from "./compute.ts";
import { deadlinesOf } from "./deadline.ts";
import { openJournal } from "./journal.ts";
import type { Machine } from "./machine.ts";
import { pauseOf, placesOf, refusalOf, stakeRefusalOf, type WorkerPolicy } from "./policy.ts";
import { OutOfTime, Unobtainable } from "./unobtainable.ts";

/** The scheduler whose pool a worker works in. */
export interface PoolAccess {
  readonly url: string;
  /** The worker's key may sign where a task asks for an enclave, and there is none. */
  readonly noEnclave: boolean;
}

export interface ScheduledOptions {
  readonly access: PoolAccess;
  readonly privateKey: Hex;
  readonly datadir: string;
  readonly means: Means;
  readonly policy: WorkerPolicy;
  readonly machine: Machine;
  readonly disk: Disk;
  readonly log: Log;
  /** Test networks alone: changes each receipt, so that this worker lies. */
  readonly tamper?: ((receipt: Uint8Array) => Uint8Array) | undefined;
}

/** Tasks of an owner-scheduled pool that a worker does. */
export interface Scheduled {
  /** Tasks that are computed now. */
  readonly computing: ReadonlyMap<Hash, Promise<void>>;
  readonly computed: number;
  readonly note: string | null;
  /** Tells whether a task is one of these: computed now, or not yet over. */
  has(id: Hash): boolean;
  /**
   * Asks the scheduler and does what is due; `places` more tasks may be computed, results are kept `serveSeconds`. Tells whether
   * the scheduler has answered: who is slow is heard in a later tick, since nothing else of the worker waits for it.
   */
  tick(block: number, places: number, serveSeconds: number): Promise<boolean>;
}

const ASK_TIMEOUT_MS = 5_000;
/** How long a tick waits for an answer. */
const TICK_WAIT_MS = 200;
const MAX_ANSWER_BYTES = 64 * 1024;
const PERCENT = 100n;
const TIDY_MS = 600_000;
const MAX_DECLINED = 10_000;
const NOTE: Condition = { key: "note", afterMs: 0, over: "the scheduler has nothing against this worker any more" };

/** Makes what a worker does for the scheduler of a pool: computes what it is asked for, contributes, reveals, brings receipts. */
export const createScheduled = (options: ScheduledOptions): Scheduled => {
  const { access, privateKey, means, policy, machine, log } = options;
  const { client, outputs } = means;
  const address = addressOf(privateKey);
  const journal = openJournal(join(options.datadir, "tasks"), { log });
  const computing = new Map<Hash, Promise<void>>();
  /** The deals of what is computed. */
  const dealsBegun = new Map<Hash, Hash>();
  /** Tasks that were declined, and whether for good; those that the scheduler is still to be told of. */
  const declined = new Map<Hash, boolean>();
  const unsaid = new Set<Hash>();
  const alarms = createAlarms({ log, now: Date.now });
  const sent = createResends(client, privateKey, log);
  /** Computed tasks that are not over. */
  const following = new Set<Hash>();
  let tidyAt = 0;
  let pool: { pool: Address; owner: Address } | undefined;
  let [computed, note]: [number, string | null] = [0, null];

  const request = async (path: string, init: RequestInit): Promise<unknown> => {
    const response = await fetch(`${access.url}${path}`, {
      ...init,
      // What a scheduler says is its own: it sends nobody elsewhere.
      redirect: "error",
      signal: AbortSignal.any([AbortSignal.timeout(ASK_TIMEOUT_MS), means.signal]),
    }).catch((error: Error) => {
      throw new Error(`no answer from ${access.url}: ${(error.cause as Error | undefined)?.message ?? error.message}`);
    });
    const bytes = await gather(response.body, MAX_ANSWER_BYTES).catch((error: Error) => {
      throw new Error(`${access.url} answers with ${error.message}`);
    });
    const answer = (parseJson(bytes) ?? {}) as { error?: string };
    if (!response.ok) throw new Error(`${access.url}: ${answer.error ?? response.status}`);
    return answer;
  };
  const ask = async (free: number, results: Ask["results"]): Promise<Assignments> => {
    pool ??= (await request("/pool", {})) as { pool: Address; owner: Address };
    const said = [...unsaid].slice(0, MAX_LISTED);
    const ask: Ask = { pool: pool.pool, worker: address, time: Date.now(), free, declined: said, results };
    const body = JSON.stringify(ask);
    const headers = { "content-type": "application/json", [SIGNATURE_HEADER]: signAsk(utf8(body), privateKey) };
    const answer = readAssignments(await request("/ask", { method: "POST", body, headers }));
    for (const id of said) unsaid.delete(id);
    return answer;
  };
  let asking: Promise<void> | undefined;
  let heard: Assignments | Error | undefined;
  /** Asks, or goes on waiting; gives what was answered since the last call. Throws where that is none. */
  const hear = async (free: number, results: Ask["results"]): Promise<Assignments | undefined> => {
    asking ??= ask(free, results)
      .catch((error: Error) => error)
      .then((answer) => {
        heard = answer;
        asking = undefined;
      });
    await Promise.race([asking, sleep(TICK_WAIT_MS)]);
    const answer = heard;
    heard = undefined;
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const message = (id: Hash, kind: string, block: number, data: Uint8Array): Promise<void> =>
    sent.send(`${id} ${kind}`, block, { to: HUB, data }, { task: id, kind });
  const refuse = (id: Hash, reason: string, isForGood: boolean): void => {
    if (!declined.has(id)) log.info({ task: id, reason }, "declined");
    declined.set(id, isForGood);
    unsaid.add(id);
  };
  const decline = (id: Hash, reason: string): void => refuse(id, reason, true);
  /** Declines what may be this worker's when it is asked again: to hold it without a word would cost both sides. */
  const putOff = (id: Hash, reason: string): void => refuse(id, reason, false);

  const receiptOf = ({ receipts }: Computed): Uint8Array => options.tamper?.(receipts[0]!) ?? receipts[0]!;
  /** What is agreed on: the callback's data where the deal has a callback, else the receipt. */
  const digestFor = (deal: DealView, receipt: Uint8Array): Hash =>
    deal.callback === ZERO_ADDRESS ? digestOf(receipt) : keccak256(decodeReceipt(receipt)?.callbackData ?? receipt);

  /** Takes back what nobody is promised; where the node does not answer, it goes when its time is over. */
  const release = (id: Hash): Promise<void> => outputs.release(id).catch(() => undefined);

  /** Begins a task of which somebody waits for the answer until then (Unix seconds). */
  const begin = (id: Hash, view: TaskView, deal: DealView, until: number): void => {
    const deadlines = deadlinesOf({ roundEnd: until }, Date.now());
    unsaid.delete(id);
    dealsBegun.set(id, view.dealid);
    const work = viewVmVersion(client, view.dealid)
      .then((vmVersion) =>
        compute(means, {
          dealid: view.dealid,
          first: view.index,
          count: 1,
          gasLimit: view.timeref * CAP_GAS_PER_SECOND,
          vmVersion,
          deadlines,
          // Who was too slow is asked again.
          wantedUntil: view.contributionDeadline * 1_000,
          id,
        }),
      )
      .then((found) => {
        journal.put(id, found);
        computed += 1;
      })
      .catch(async (error: Error) => {
        await release(id);
        if (means.signal.aborted) return;
        const isForGood =
          error instanceof ComputeFault || (error instanceof Unobtainable && !(error instanceof OutOfTime));
        refuse(id, `${deal.app}: ${error.message}`, isForGood);
      })
      .finally(() => {
        computing.delete(id);
        dealsBegun.delete(id);
      });
    computing.set(id, work);
  };

  /** Says why a task is not this worker's. */
  const refusal = ({ enclaveChallenge }: Assignment, view: TaskView, deal: DealView): string | undefined => {
    if (deal.pool !== pool?.pool) return "it is another pool's";
    if (enclaveChallenge !== ZERO_ADDRESS && !(access.noEnclave && enclaveChallenge === address))
      return "it asks for an enclave";
    const job = { requester: deal.requester, gasLimit: view.timeref * CAP_GAS_PER_SECOND, committee: 1 };
    return refusalOf(policy, deal, job, (deal.ownerPercent << 16n) / PERCENT);
  };

  /** Stakes that contributions of this program bind, until their tasks are over. */
  const staked = new Map<Hash, bigint>();
  /** nRLC that tasks hold, whether or not their messages are in a block yet. */
  const heldBeside = async (id: Hash): Promise<bigint> => {
    let own = 0n;
    for (const [other, stake] of staked) if (other !== id) own += stake;
    const { locked } = await hubAccountOf(client, address);
    return own > locked ? own : locked;
  };

  const contribute = async (
    given: Assignment,
    { finalDeadline }: TaskView,
    deal: DealView,
    found: Computed,
    block: number,
  ): Promise<void> => {
    const excess = stakeRefusalOf(policy, deal.workerStakeNrlc, await heldBeside(given.taskid));
    if (excess !== undefined) return putOff(given.taskid, excess);
    await outputs.keep(given.taskid, finalDeadline);
    staked.set(given.taskid, deal.workerStakeNrlc);
    const { taskid, enclaveChallenge, authorization } = given;
    const digest = digestFor(deal, receiptOf(found));
    const [hash, seal] = [resultHashOf(taskid, digest), resultSealOf(address, taskid, digest)];
    const enclaveSign = enclaveChallenge === ZERO_ADDRESS ? "0x" : signMessage(privateKey, hash, seal);
    const data = hubFunction("contribute").encode(
      taskid,
      hash,
      seal,
      enclaveChallenge,
      fromHex(enclaveSign),
      fromHex(authorization),
    );
    await message(taskid, "contribute", block, data);
  };

  /** Follows the tasks that were computed: reveals, and forgets what is over. Gives the receipts that the scheduler needs. */
  const follow = async (block: number, serveSeconds: number): Promise<{ taskid: Hash; receipt: Hex }[]> => {
    const ids = journal.ids();
    const views = ids.length === 0 ? [] : await viewTasks(client, ids);
    const results: { taskid: Hash; receipt: Hex }[] = [];
    following.clear();
    for (const [i, id] of ids.entries()) {
      const view = views[i]!;
      const isOver = view.status === TASK_STATUS.completed || view.status === TASK_STATUS.failed;
      if (view.status === TASK_STATUS.active || view.status === TASK_STATUS.revealing) following.add(id);
      if (!isOver && view.status !== TASK_STATUS.revealing) continue;
      const [mine] = await viewContributions(client, id, [address]);
      if (isOver) {
        if (mine!.status === CONTRIBUTION_STATUS.proved && view.status === TASK_STATUS.completed) outputs.served(id);
        else await release(id);
        journal.forget(id);
        staked.delete(id);
        continue;
      }
      if (mine!.resultHash !== view.consensus) continue;
      const found = journal.get(id);
      if (!found) {
        // Its file is torn: what was contributed has to be revealed all the same.
        if (mine!.status === CONTRIBUTION_STATUS.contributed && !computing.has(id))
          begin(id, view, await viewDeal(client, view.dealid), view.revealDeadline);
        continue;
      }
      const receipt = receiptOf(found);
      if (mine!.status === CONTRIBUTION_STATUS.contributed) {
        const deal = await viewDeal(client, view.dealid);
        await outputs.keep(id, view.finalDeadline + serveSeconds);
        await message(id, "reveal", block, hubFunction("reveal").encode(id, digestFor(deal, receipt)));
      } else if (mine!.status === CONTRIBUTION_STATUS.proved && results.length < MAX_LISTED)
        results.push({ taskid: id, receipt: toHex(receipt) });
    }
    return results;
  };

  /** Contributes what is computed; begins what is not where there is a place for it. */
  const take = async (given: Assignment, block: number, hasPlace: boolean): Promise<void> => {
    const { taskid, waitMs } = given;
    if (computing.has(taskid)) return;
    // Said again where the scheduler asks again.
    if (declined.get(taskid)) return void unsaid.add(taskid);
    const [view] = await viewTasks(client, [taskid]);
    const [mine] = await viewContributions(client, taskid, [address]);
    if (view!.status !== TASK_STATUS.active || mine!.status !== CONTRIBUTION_STATUS.unset) return;
    const deal = await viewDeal(client, view!.dealid);
    const found = journal.get(taskid);
    if (found) return contribute(given, view!, deal, found, block);
    const reason = refusal(given, view!, deal);
    if (reason !== undefined) return decline(taskid, reason);
    // What a deal's tasks wait for comes to all of them at once: more of one than have a place would wait on.
    const ofDeal = [...dealsBegun.values()].filter((dealid) => dealid === view!.dealid).length;
    if (!hasPlace || ofDeal >= placesOf(policy)) return void unsaid.add(taskid);
    const gasLimit = view!.timeref * CAP_GAS_PER_SECOND;
    const lack =
      stakeRefusalOf(policy, deal.workerStakeNrlc, await heldBeside(taskid)) ?? (await outputs.lack(gasLimit, 1));
    const until = Math.min(view!.contributionDeadline, (Date.now() + waitMs) / 1000);
    if (lack === undefined) begin(taskid, view!, deal, until);
    else putOff(taskid, lack);
  };

  return {
    computing,
    has: (id) => computing.has(id) || journal.get(id) !== undefined,
    get computed() {
      return computed;
    },
    get note() {
      return note;
    },
    tick: async (block, places, serveSeconds) => {
      const results = await follow(block, serveSeconds);
      const isPaused =
        options.disk.shortage() !== undefined || pauseOf(policy, machine, new Date(), computing.size) !== undefined;
      const isDone = policy.maxLots > 0 && computed + computing.size >= policy.maxLots;
      const answer = await hear(isPaused || isDone ? 0 : Math.max(0, places), results);
      if (!answer) return false;
      ({ note } = answer);
      alarms.check(NOTE, note === null ? undefined : () => `the scheduler says: ${note}`);
      const running = computing.size;
      for (const given of answer.tasks) await take(given, block, computing.size - running < places);
      for (const ids of [declined, unsaid]) if (ids.size > MAX_DECLINED) ids.clear();
      if (Date.now() < tidyAt) return true;
      tidyAt = Date.now() + TIDY_MS;
      const asked = new Set(answer.tasks.map(({ taskid }) => taskid));
      journal.prune((id) => asked.has(id) || following.has(id));
      return true;
    },
  };
};
