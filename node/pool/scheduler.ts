import { join } from "node:path";
import { type Address, addressWord, fromHex, type Hash, type Hex, ZERO_ADDRESS } from "../../lib/bytes.ts";
import type { Log } from "../../lib/log.ts";
import { putNewest } from "../../lib/lru.ts";
import { addressOf } from "../../lib/secp256k1.ts";
import { createTroubles, type Subject } from "../../lib/trouble.ts";
import { rpcClient } from "../../rpc/client.ts";
import { MAX_LOG_BLOCKS } from "../../rpc/logs.ts";
import { hexNumber } from "../../rpc/values.ts";
import { HUB } from "../../vm/addresses.ts";
import { HUB_EVENTS } from "../../vm/market/abi.ts";
import { CONTRIBUTION_RATIO } from "../../vm/market/lot.ts";
import { CONTRIBUTION_STATUS, MAX_CONTRIBUTORS, TASK_STATUS } from "../../vm/market/scheduled/task.ts";
import { writeNote } from "../folder.ts";
import {
  type DealView,
  hubAccountsOf,
  hubFunction,
  secondsOfCategory,
  type TaskView,
  viewContributions,
  viewDeal,
  viewTasks,
} from "../market-client.ts";
import { createResends } from "../resends.ts";
import { createAnswers } from "./answers.ts";
import { type CrewMember, covers, createCrew, drawn, STANDING } from "./crew.ts";
import { type Ask, type Assignments, MAX_LISTED, signMessage } from "./messages.ts";
import { patienceOf } from "./patience.ts";
import { createPlaces } from "./places.ts";
import { createReceipts } from "./receipts.ts";
import { createSilences } from "./silences.ts";
import { type OpenTask, openPoolStore } from "./store.ts";
import { isEnough } from "./trust.ts";
import { type Claim, inTurn } from "./turns.ts";

export interface SchedulerOptions {
  /** Of the pool's owner, whose account pays for the messages. */
  readonly privateKey: Hex;
  readonly pool: Address;
  /** RPC of the node that the chain is followed through. */
  readonly node: string;
  readonly datadir: string;
  /** Workers that are let in; empty: all that have the stake. */
  readonly workers: readonly Address[];
  /** Tasks that ask for an enclave are done without one: the worker's own key signs in its place. */
  readonly noEnclave: boolean;
  readonly log: Log;
  /** Milliseconds; this machine's clock where it is left out. */
  readonly now?: () => number;
}

/** What `rolec pool status` shows. */
export interface SchedulerStatus {
  readonly pid: number;
  readonly pool: Address;
  readonly owner: Address;
  readonly node: string;
  readonly writtenAt: string;
  readonly seenBlock: number;
  readonly workers: number;
  readonly deals: number;
  readonly tasks: number;
  readonly completed: number;
  readonly failed: number;
  /** "no enclave: worker keys sign in its place", or what becomes of tasks that ask for one. */
  readonly enclave: string;
  readonly lastError: string | null;
}

export interface Scheduler {
  readonly pool: Address;
  readonly owner: Address;
  start(): void;
  stop(): Promise<void>;
  /** Hears a worker, and gives the tasks that it is asked for. Throws an Error with the reason where it is not heard. */
  ask(ask: Ask): Assignments;
}

const TICK_MS = 500;
/** Stakes that are asked for in one request: of those who are new, and of those of whom one is to be chosen. */
const STAKES = 100;
const CHOSEN = 8;
const MAX_DEALS = 1_000;
const ENCLAVE_BIT = 1n;
const NODE: Subject = { fails: "the node does not answer", works: "the node answers again" };
const STAKE: Subject = { fails: "stakes are not read", works: "stakes are read again" };
const STEPS: Subject = { fails: "a step fails, and is tried again", works: "all steps are done again" };
export const NO_ENCLAVE = "no enclave: worker keys sign in its place";

/** A task that takes contributions: who has given one, and how long is waited for each who has not. */
interface Active {
  readonly deal: DealView;
  readonly given: ReadonlySet<Address>;
  readonly patienceMs: number;
}

const noteOf = (needed: bigint, { stake, promised }: CrewMember): string =>
  `a task binds ${needed} nRLC, those it has ${promised}, and ${stake} lie free in the hub: rolec account deposit`;

/** Makes the scheduler of an owner-scheduled pool: initializes its tasks, authorizes workers, finalizes, reopens and claims. */
export const createScheduler = (options: SchedulerOptions): Scheduler => {
  const { privateKey, pool, node, datadir, noEnclave, log, now = Date.now } = options;
  const owner = addressOf(privateKey);
  const client = rpcClient(node);
  const store = openPoolStore(datadir, pool);
  const silences = createSilences(store.silences, now);
  const crew = createCrew(now, (worker) => silences.restOf(worker) > 0);
  const tookInVain = ({ dealid }: OpenTask, ms: number): void => {
    const deal = store.deals.get(dealid);
    if (deal) deal.vainMs += ms;
  };
  const answers = createAnswers({ silences, crew, tookInVain, startedAt: now(), now, log });
  const troubles = createTroubles({ log, folder: datadir });
  const deals = new Map<Hash, DealView>();
  const seconds = new Map<bigint, number>();
  const receipts = createReceipts();
  const sent = createResends(client, privateKey, log);
  /** Tasks that take contributions. */
  const active = new Map<Hash, Active>();
  let [completed, failed, seenBlock] = [0, 0, 0];
  let [timer, running]: [NodeJS.Timeout | undefined, Promise<void>] = [undefined, Promise.resolve()];
  let stopped = false;

  const dealOf = async (id: Hash): Promise<DealView> => {
    return deals.get(id) ?? putNewest(deals, id, await viewDeal(client, id), MAX_DEALS);
  };
  const secondsOf = async (category: bigint): Promise<number> => {
    const found = seconds.get(category) ?? (await secondsOfCategory(client, category));
    seconds.set(category, found);
    return found;
  };
  const drop = (id: Hash): void => {
    store.tasks.delete(id);
    receipts.forget(id);
    active.delete(id);
    places.idle.delete(id);
  };
  const places = createPlaces({ store, dealOf, secondsOf, drop });
  const { idle } = places;
  const message = (id: Hash, kind: string, data: Uint8Array): Promise<void> =>
    sent.send(`${id} ${kind}`, seenBlock, { to: HUB, data }, { task: id, kind });

  /** Looks for deals of the pool in the blocks that were not final yet. */
  const findDeals = async (head: number): Promise<void> => {
    const topics = [HUB_EVENTS.SchedulerNotice!.topic, addressWord(pool)];
    for (let from = store.scanned + 1; from <= head; from += MAX_LOG_BLOCKS) {
      const to = Math.min(head, from + MAX_LOG_BLOCKS - 1);
      const [fromBlock, toBlock] = [from, to].map((block) => hexNumber(block));
      const logs = (await client.call("eth_getLogs", [{ address: HUB, topics, fromBlock, toBlock }])) as {
        data: Hex;
        blockNumber: Hex;
      }[];
      for (const { data, blockNumber } of logs) {
        const dealid = data.slice(0, 66) as Hash;
        if (store.deals.has(dealid)) continue;
        const deal = await dealOf(dealid);
        const isRefused = BigInt(deal.tag) % 2n === ENCLAVE_BIT && !noEnclave;
        if (isRefused) log.warn({ deal: dealid }, "the deal asks for an enclave, and there is none: it is left alone");
        else log.info({ deal: dealid, tasks: deal.botSize }, "a deal");
        store.deals.set(dealid, {
          ...{ block: Number(blockNumber), next: deal.botFirst, back: [], vainMs: 0, over: isRefused },
        });
      }
    }
    const final = (await client.call("eth_getBlockByNumber", ["finalized", false])) as { number: Hex };
    store.scanned = Math.max(store.scanned, Number(final.number));
    // Those above may be seen again.
    for (const [id, deal] of store.deals) if (deal.over && deal.block <= store.scanned) store.deals.delete(id);
  };

  const scoreOf = async (id: Hash, worker: Address): Promise<bigint> =>
    (await viewContributions(client, id, [worker]))[0]!.score;

  const look = async (members: readonly CrewMember[]): Promise<void> => {
    const accounts = await hubAccountsOf(
      client,
      members.map(({ address }) => address),
    );
    for (const [i, member] of members.entries()) crew.checked(member, accounts[i]!);
  };
  let looking: Promise<void> | undefined;
  /** Asks the chain for the stakes of those who are new, many in a request, beside what else is done. */
  const lookAtNew = (): void => {
    looking ??= (async () => {
      for (let batch = crew.toCheck(STAKES); batch.length > 0 && !stopped; batch = crew.toCheck(STAKES))
        await look(batch);
    })()
      .then(
        () => troubles.works(STAKE),
        (error: Error) => void troubles.fails(STAKE, error),
      )
      .finally(() => {
        looking = undefined;
      });
  };

  /** Who has answered goes before who has not, since keys cost nothing; and who has declined the task comes last. */
  const rankOf = (task: OpenTask, { address, standing }: CrewMember): number =>
    task.refused.has(address) ? STANDING.unproven + 1 : standing;
  /** Finds a worker that may be asked and has the stake: by what was seen of it, which is looked at again for some at once. */
  const choose = async (task: OpenTask, stake: bigint): Promise<CrewMember | undefined> => {
    const able: CrewMember[][] = [[], [], [], []];
    for (const member of crew.free()) {
      const isRefused = (task.refused.get(member.address)?.until ?? 0) > now();
      if (task.assigned.has(member.address) || isRefused || member.stake === undefined) continue;
      if (!covers(member, stake)) member.note = noteOf(stake, member);
      else able[rankOf(task, member)]!.push(member);
    }
    for (let rest of able) {
      while (rest.length > 0) {
        const some = drawn(rest, CHOSEN);
        if (stake > 0n) await look(some);
        const found = some.find((member) => covers(member, stake));
        for (const member of some) if (!covers(member, stake)) member.note = noteOf(stake, member);
        if (found) return found;
        rest = rest.filter((member) => !some.includes(member));
      }
    }
    return undefined;
  };

  /** Asks workers until the result would have the deal's trust, should they all agree. */
  const assign = async (id: Hash, task: OpenTask, view: TaskView, deal: DealView): Promise<void> => {
    const patienceMs = patienceOf(view);
    const given = new Set(view.contributors);
    active.set(id, { deal, given, patienceMs });
    const asked = [...task.assigned].filter(
      ([worker, since]) => !given.has(worker) && crew.isAlive(worker) && now() - since < patienceMs,
    );
    const workers = [...view.contributors, ...asked.map(([worker]) => worker)];
    const found = workers.length === 0 ? [] : await viewContributions(client, id, workers);
    const words = found.slice(0, given.size).filter(({ status }) => status !== CONTRIBUTION_STATUS.rejected);
    const pending = found.slice(given.size).map(({ score }) => score);
    if (workers.length === 0) idle.add(id);
    const needed = await places.workersOf(task.dealid);
    while (!isEnough(deal.trust, words, pending) && given.size + pending.length < MAX_CONTRIBUTORS) {
      const member = await choose(task, deal.workerStakeNrlc);
      if (!member) return;
      idle.delete(id);
      // Beyond these, others have disagreed.
      if (given.size + pending.length >= needed) tookInVain(task, 1_000 * view.timeref);
      member.credit -= 1;
      member.promised += deal.workerStakeNrlc;
      member.note = null;
      task.assigned.set(member.address, now());
      pending.push(await scoreOf(id, member.address));
      log.info({ task: id, worker: member.address }, "asked");
    }
  };

  const finalize = async (id: Hash, view: TaskView, deal: DealView, time: number): Promise<void> => {
    const { timeref, revealDeadline, finalDeadline } = view;
    // Receipts are waited for, and never until the task can only be claimed.
    const isLate = time >= revealDeadline + Math.min(timeref, (finalDeadline - revealDeadline) / 2);
    // Agreement on a callback's data alone leaves open whose receipt says where the results are.
    const found = deal.callback === ZERO_ADDRESS ? [] : await viewContributions(client, id, view.contributors);
    const outcome = isLate ? receipts.lateOutcomeOf(id, found) : receipts.outcomeOf(id, found);
    if (!outcome) return;
    await message(id, "finalize", hubFunction("finalize").encode(id, outcome.results, outcome.callback));
  };

  const step = async (id: Hash, task: OpenTask, view: TaskView, time: number): Promise<void> => {
    const deal = await dealOf(task.dealid);
    if (view.status !== TASK_STATUS.active) active.delete(id);
    idle.delete(id);
    answers.count(id, task, view);
    if (view.status === TASK_STATUS.completed || view.status === TASK_STATUS.failed) {
      if (view.status === TASK_STATUS.completed) {
        completed += 1;
        places.paid(deal);
      } else failed += 1;
      log.info({ task: id, status: view.status === TASK_STATUS.completed ? "COMPLETED" : "FAILED" }, "a task is over");
      return drop(id);
    }
    if (view.status === TASK_STATUS.unset) {
      const isLate = time >= deal.startTime + CONTRIBUTION_RATIO * (await secondsOf(deal.category));
      if (isLate || deal.pool !== pool) {
        failed += Number(isLate);
        return drop(id);
      }
      idle.add(id);
      if (crew.hasFree(deal.workerStakeNrlc))
        await message(id, "initialize", hubFunction("initialize").encode(task.dealid, BigInt(task.index)));
      return;
    }
    if (time >= view.finalDeadline) return message(id, "claim", hubFunction("claim").encode(id));
    if (view.status === TASK_STATUS.active) {
      receipts.forget(id);
      if (time < view.contributionDeadline) await assign(id, task, view, deal);
      else idle.add(id);
      return;
    }
    receipts.expect(id, view, deal);
    const isOver = time >= view.revealDeadline;
    if (isOver && view.reveals === 0) return message(id, "reopen", hubFunction("reopen").encode(id));
    if (view.reveals > 0 && (isOver || view.reveals === view.winners)) await finalize(id, view, deal, time);
  };

  const writeStatus = (): void => {
    const status: SchedulerStatus = {
      pid: process.pid,
      pool,
      owner,
      node,
      writtenAt: new Date().toISOString(),
      seenBlock,
      workers: crew.size,
      deals: [...store.deals.values()].filter(({ over }) => !over).length,
      tasks: store.tasks.size,
      completed,
      failed,
      enclave: noEnclave ? NO_ENCLAVE : "tasks that ask for an enclave are left alone",
      lastError: troubles.now() ?? null,
    };
    writeNote(join(datadir, "status.json"), `${JSON.stringify(status, null, 2)}\n`);
  };

  const tick = async (): Promise<void> => {
    const head = (await client.call("eth_getBlockByNumber", ["latest", false])) as { number: Hex; timestamp: Hex };
    seenBlock = Number(head.number);
    await findDeals(seenBlock);
    const time = Number(head.timestamp);
    await places.give(time);
    lookAtNew();
    const entries = [...store.tasks];
    const views =
      entries.length === 0
        ? []
        : await viewTasks(
            client,
            entries.map(([id]) => id),
          );
    let failures = 0;
    const steps: { id: Hash; task: OpenTask; view: TaskView; claim: Claim }[] = [];
    for (const [i, [id, task]] of entries.entries())
      steps.push({ id, task, view: views[i]!, claim: await places.claimOf(task.dealid, time) });
    for (const { id, task, view } of inTurn(steps, ({ claim }) => claim)) {
      try {
        await step(id, task, view, time);
      } catch (error) {
        failures += 1;
        troubles.fails(STEPS, error as Error, { task: id });
      }
    }
    if (failures === 0) troubles.works(STEPS);
    troubles.works(NODE);
    store.save();
    writeStatus();
    troubles.folderWorks();
  };

  const schedule = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      running = tick()
        .catch((error: Error) => {
          troubles.fails(NODE, error);
          writeStatus();
        })
        .catch((error: Error) => void troubles.fails(NODE, error))
        .then(schedule);
    }, TICK_MS);
  };

  return {
    pool,
    owner,
    start: schedule,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
      await looking;
      store.save();
    },
    ask: (ask) => {
      const { worker } = ask;
      if (ask.pool !== pool) throw new Error(`this is the scheduler of pool ${pool}`);
      if (options.workers.length > 0 && !options.workers.includes(worker))
        throw new Error(`worker ${worker} is not let in`);
      const member = crew.hear(worker, ask.time, ask.free);
      if (member.stake === undefined) lookAtNew();
      for (const id of ask.declined) {
        const task = store.tasks.get(id);
        if (!task?.assigned.has(worker)) continue;
        answers.declined(task, member, active.get(id)?.patienceMs ?? 0);
        member.told.delete(id);
      }
      for (const { taskid, receipt } of ask.results) receipts.take(taskid, worker, fromHex(receipt));
      // What it was asked for last comes first: what it has let lie keeps nothing from it.
      const mine = [...store.tasks]
        .flatMap(([taskid, { assigned }]) => {
          const [since, task] = [assigned.get(worker), active.get(taskid)];
          return since === undefined || !task || task.given.has(worker) ? [] : [{ taskid, since, ...task }];
        })
        .sort((a, b) => b.since - a.since);
      for (const id of member.told) if (!store.tasks.has(id)) member.told.delete(id);
      // Places of tasks that it was not told of until now are taken.
      const untold = mine.filter(({ taskid }) => !member.told.has(taskid)).length;
      // What it has let run out it has to say something to first.
      const isLate = mine.some(({ since, patienceMs }) => now() - since >= patienceMs);
      member.credit = isLate ? 0 : Math.max(0, Math.min(ask.free - untold, member.most - mine.length));
      member.promised = mine.reduce((sum, { deal }) => sum + deal.workerStakeNrlc, 0n);
      const tasks = mine.slice(0, MAX_LISTED).map(({ taskid, since, deal, patienceMs }) => {
        member.told.add(taskid);
        const asksForEnclave = BigInt(deal.tag) % 2n === ENCLAVE_BIT;
        const enclaveChallenge = asksForEnclave ? worker : ZERO_ADDRESS;
        const authorization = signMessage(privateKey, worker, taskid, enclaveChallenge);
        return { taskid, enclaveChallenge, authorization, waitMs: Math.max(0, since + patienceMs - now()) };
      });
      const silentMs = silences.restOf(worker);
      const restMs = Math.max(silentMs, member.restsUntil - now());
      const why = silentMs > 0 ? "silent when it was asked" : "had a task for long, and gave it back";
      const rest = `${why}: asked again in ${Math.ceil(restMs / 1000)} s`;
      return { tasks, note: restMs > 0 ? rest : member.note };
    },
  };
};
