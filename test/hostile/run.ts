import { type ChildProcess, fork } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Hex } from "../../lib/bytes.ts";
import { makeFolder, readGivenJson, writeNodeFolder } from "../../node/folder.ts";
import type { NodeInfo } from "../../node/node.ts";
import { type Member, startTestnet, type Testnet, untilAgreed } from "../../node/testnet.ts";
import { send } from "../../node/wallet.ts";
import { type RpcClient, rpcClient } from "../../rpc/client.ts";
import type { AttackerMessage, AttackReport, Orders } from "./attacker.ts";
import { attacksOf } from "./attacks.ts";
import { accountsOf, HONEST, hostileGenesis } from "./genesis.ts";
import { makeLargeBlocks } from "./large-blocks.ts";
import type { Raw } from "./probe.ts";
import { readRaw, type Seen } from "./seen.ts";

const PROBE = new URL("./probe.ts", import.meta.url);
const ATTACKER = new URL("./attacker.ts", import.meta.url);
const SLOT_MS = 1_000;
const SAMPLE_MS = 200;
/** An ordinary user's transfer, and a question to the target, each so often. */
const USER_MS = 2_000;
const QUESTION_MS = 500;
const QUESTION_TIMEOUT_MS = 10_000;
/** Long enough for one epoch and a half to be justified and made final. */
const AFTER_MS = 30_000;
const MIB = 1_024;

/** What a window of time, with an attack in it or without, did to the network. */
export interface Window {
  readonly attack: string;
  readonly seconds: number;
  readonly missedSlots: number;
  /** Blocks that are final at its end, more than at its begin. */
  readonly finalized: number;
  /** Whether more becomes final after it. */
  readonly finalizesAfter: boolean;
  /** Blocks that the target lacks at the end, Infinity where it cannot be asked; seconds until it lacks one at most, after a restart. */
  readonly behind: number;
  readonly caughtUpAfter: number | undefined;
  /** MiB of resident memory of the target: before, and at most. */
  readonly idleMiB: number;
  readonly peakMiB: number;
  /** Of the other nodes: how much more than before, at most. */
  readonly othersGrewMiB: number;
  /** The target's answers to a plain question: ms of the slowest, and how many of all never came. */
  readonly slowestMs: number;
  readonly unanswered: number;
  readonly asked: number;
  /** Transfers of an ordinary user: sent, refused, and mined by the end. */
  readonly transfers: { readonly sent: number; readonly refused: number; readonly mined: number };
  /** Nodes that ended. */
  readonly died: number;
  /** Errors that the target logged of itself. */
  readonly errors: readonly string[];
  readonly target: Seen | undefined;
  readonly report: AttackReport;
}

/** A network that is attacked, and how. */
export interface HostileNetwork {
  /** Runs an attack for so long; "none" is the control. */
  attack(name: string, seconds: number): Promise<Window>;
  stop(): Promise<void>;
}

const numberOf = async (client: RpcClient, tag: string): Promise<number> =>
  Number(((await client.call("eth_getBlockByNumber", [tag, false])) as { number: Hex }).number);

const rssMiB = ({ process: child }: Member): number => {
  try {
    const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child?.pid}/status`, "utf8")) ?? [];
    return Math.round(Number(kib ?? 0) / MIB);
  } catch {
    return 0;
  }
};
const isAlive = ({ process: child }: Member): boolean =>
  child !== undefined && child.exitCode === null && child.signalCode === null;

const endOf = async (child: ChildProcess, graceMs: number): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
  await ended;
  clearTimeout(timer);
};

/** Repeats something while a window is open; what it throws is told to nobody. */
const every = (ms: number, work: () => unknown): (() => void) => {
  const timer = setInterval(() => void Promise.resolve(work()).catch(() => undefined), ms);
  return () => clearInterval(timer);
};

/** Starts four validators as processes with the probe in them. `targets` of them are attacked at once. */
export const startHostile = async (
  options: { readonly targets?: number; readonly largeBlocks?: boolean; readonly port?: number } = {},
): Promise<HostileNetwork> => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-hostile-"));
  const probes = join(datadir, "probes");
  makeFolder(probes);
  writeNodeFolder(join(datadir, "validator-1"), hostileGenesis(Math.ceil(Date.now() / 1000) + 1));
  const genesisFile = join(datadir, "validator-1", "genesis.json");
  const port = options.port ?? 19_545;
  const launch = async <T>(work: () => Promise<T>): Promise<T> => {
    const before = process.env.NODE_OPTIONS;
    process.env.HOSTILE_PROBE = probes;
    process.env.NODE_OPTIONS = `${before ?? ""} --import=${PROBE.href}`;
    try {
      return await work();
    } finally {
      if (before === undefined) delete process.env.NODE_OPTIONS;
      else process.env.NODE_OPTIONS = before;
      delete process.env.HOSTILE_PROBE;
    }
  };
  const testnet: Testnet = await launch(() =>
    startTestnet({
      datadir,
      validators: HONEST,
      workers: 0,
      slotsPerWorker: 1,
      accounts: 2,
      rpcPort: port,
      p2pPort: port + 200,
    }),
  );
  const attackers = new Set<ChildProcess>();
  const stop = async (): Promise<void> => {
    for (const attacker of attackers) attacker.kill("SIGKILL");
    await testnet.stop();
    rmSync(datadir, { recursive: true, force: true });
  };
  try {
    await untilAgreed(testnet);
    if (options.largeBlocks) await makeLargeBlocks(testnet);
  } catch (error) {
    await stop();
    throw error;
  }

  const { members } = testnet;
  const [target, ...others] = members as [Member, ...Member[]];
  const targets = members.slice(0, options.targets ?? 1);
  const observer = rpcClient(others.at(-1)!.rpcUrl);
  const windows = new Map<number, number>();
  /** Ends the probes' window and begins another. Gives what the target's saw. */
  const turnProbes = async (): Promise<Seen | undefined> => {
    let seen: Seen | undefined;
    for (const member of members.filter(isAlive)) {
      const pid = member.process!.pid!;
      const window = windows.get(pid) ?? 0;
      const path = join(probes, `${pid}.${window}.json`);
      windows.set(pid, window + 1);
      process.kill(pid, "SIGUSR2");
      for (let i = 0; i < 300 && !existsSync(path) && isAlive(member); i++) await sleep(50);
      if (member === target && existsSync(path)) seen = readRaw(readGivenJson<Raw>(path)!);
      rmSync(path, { force: true });
    }
    return seen;
  };

  const startAttacker = async (orders: Orders) => {
    const child = fork(ATTACKER, { stdio: ["ignore", "inherit", "inherit", "ipc"], execArgv: [] });
    attackers.add(child);
    const messages: AttackerMessage[] = [];
    child.on("message", (message) => messages.push(message as AttackerMessage));
    const next = async (ms: number): Promise<AttackerMessage> => {
      for (let i = 0; i < ms / 20; i++) {
        const message = messages.shift();
        if (message) return message;
        if (child.exitCode !== null) throw new Error(`the attacker ended with ${child.exitCode}`);
        await sleep(20);
      }
      throw new Error(`the attacker says nothing for ${ms / 1_000} s`);
    };
    child.send(orders);
    await next(60_000);
    return {
      go: () => void child.send({ go: true }),
      report: async (): Promise<AttackReport> => {
        const message = await next(40_000);
        return "report" in message ? message.report : Promise.reject(new Error("no report"));
      },
      end: async () => {
        await endOf(child, 3_000);
        attackers.delete(child);
      },
    };
  };

  const attack = async (name: string, seconds: number): Promise<Window> => {
    const restart = attacksOf(name).some((each) => each.restart);
    const attacker = await startAttacker({
      attack: name,
      seconds,
      genesisFile,
      targets: targets.map(({ rpcUrl, datadir: folder }) => ({
        rpcUrl,
        p2p: readGivenJson<NodeInfo>(join(folder, "node.json"))!.p2p[0]!,
      })),
    });
    await turnProbes();
    const idleMiB = rssMiB(target);
    const othersIdle = others.map(rssMiB);
    const finalBefore = await numberOf(observer, "finalized");
    const logged = readFileSync(target.log, "utf8").length;
    // Slots begin with whole seconds here.
    await sleep(SLOT_MS - (Date.now() % SLOT_MS));
    const from = Math.ceil(Date.now() / 1_000);
    attacker.go();
    const wasAlive = members.filter(isAlive).length;
    let restarting: Promise<void> | undefined;
    let caughtUpAfter: number | undefined;
    if (restart) restarting = restartTarget();
    let peakMiB = idleMiB;
    let othersGrewMiB = 0;
    const question = { asked: 0, answered: 0, slowestMs: 0 };
    const transfers = { sent: 0, refused: 0, mined: 0 };
    const hashes: string[] = [];
    const [user, receiver] = accountsOf("own");
    const asker = rpcClient(target.rpcUrl, { timeoutMs: QUESTION_TIMEOUT_MS });
    const closers = [
      every(SAMPLE_MS, () => {
        peakMiB = Math.max(peakMiB, rssMiB(target));
        for (const [i, each] of others.entries())
          othersGrewMiB = Math.max(othersGrewMiB, rssMiB(each) - othersIdle[i]!);
      }),
      every(QUESTION_MS, async () => {
        const at = Date.now();
        question.asked += 1;
        try {
          await asker.call("eth_blockNumber");
          question.answered += 1;
        } finally {
          question.slowestMs = Math.max(question.slowestMs, Date.now() - at);
        }
      }),
      every(USER_MS, async () => {
        transfers.sent += 1;
        try {
          hashes.push(await send(observer, user!.privateKey, { to: receiver!.address, value: 1n, gas: 21_000 }));
        } catch {
          transfers.refused += 1;
        }
      }),
    ];
    const restartedAt = Date.now();
    if (restart)
      closers.push(
        every(SAMPLE_MS, async () => {
          await restarting;
          if (caughtUpAfter !== undefined) return;
          const [ours, theirs] = [
            await numberOf(rpcClient(target.rpcUrl), "latest"),
            await numberOf(observer, "latest"),
          ];
          if (ours >= theirs - 1) caughtUpAfter ??= (Date.now() - restartedAt) / 1_000;
        }),
      );
    await sleep(seconds * 1_000);
    for (const close of closers) close();
    // What was asked last may still be answered.
    await sleep(QUESTION_MS);
    const until = from + seconds;
    const finalAfter = await numberOf(observer, "finalized");
    const seen = await turnProbes();
    const report = await attacker.report();
    await attacker.end();
    await restarting;
    const head = await numberOf(observer, "latest");
    const targetHead = await numberOf(asker, "latest").catch(() => Number.NEGATIVE_INFINITY);
    const times = await blockTimes(head, from);
    const mined = await Promise.all(hashes.map((hash) => observer.call("eth_getTransactionReceipt", [hash])));
    transfers.mined = mined.filter((each) => each !== null).length;
    let finalizesAfter = false;
    for (const end = Date.now() + AFTER_MS; Date.now() < end && !finalizesAfter; await sleep(SAMPLE_MS))
      finalizesAfter = (await numberOf(observer, "finalized")) > finalAfter;
    return {
      attack: name,
      seconds,
      missedSlots: seconds - times.filter((time) => time >= from && time < until).length,
      finalized: finalAfter - finalBefore,
      finalizesAfter,
      behind: Math.max(0, head - targetHead),
      caughtUpAfter,
      idleMiB,
      peakMiB,
      othersGrewMiB,
      asked: question.asked,
      unanswered: question.asked - question.answered,
      slowestMs: question.slowestMs,
      transfers,
      died: wasAlive - members.filter(isAlive).length,
      errors: errorsIn(readFileSync(target.log, "utf8").slice(logged)),
      target: seen,
      report,
    };
  };
  const restartTarget = async (): Promise<void> => {
    target.process!.kill("SIGKILL");
    await endOf(target.process!, 1_000);
    await launch(() => testnet.restart(target));
  };
  /** Times of the blocks from a time on. */
  const blockTimes = async (head: number, from: number): Promise<number[]> => {
    const times: number[] = [];
    for (let number = head; number > 0; number--) {
      const block = (await observer.call("eth_getBlockByNumber", [`0x${number.toString(16)}`, false])) as {
        timestamp: Hex;
      };
      if (Number(block.timestamp) < from) break;
      times.push(Number(block.timestamp));
    }
    return times;
  };
  return { attack, stop };
};

/**
 * Runs attacks one after the other, each network's control before them. A network that an attack has left hurt, or that lacks what
 * the next one needs, is replaced; with `fresh`, always.
 */
export async function* attackAll(
  names: readonly string[],
  seconds: number,
  options: { readonly targets?: number; readonly port?: number; readonly fresh?: boolean } = {},
): AsyncGenerator<{ window: Window; control: Window | undefined }> {
  let running: { network: HostileNetwork; controls: Map<boolean, Window>; hasLargeBlocks: boolean } | undefined;
  const stop = async (): Promise<void> => {
    await running?.network.stop();
    running = undefined;
  };
  try {
    for (const name of names) {
      const restart = attacksOf(name).some((each) => each.restart);
      const largeBlocks = attacksOf(name).some((each) => each.needs === "large blocks");
      if (running && largeBlocks && !running.hasLargeBlocks) await stop();
      if (!running) {
        const network = await startHostile({ ...options, largeBlocks });
        running = { network, controls: new Map(), hasLargeBlocks: largeBlocks };
      }
      const { network, controls } = running;
      const control = controls.get(restart) ?? (await network.attack(restart ? "none, restarted" : "none", seconds));
      if (!controls.has(restart)) {
        controls.set(restart, control);
        yield { window: control, control: undefined };
      }
      const window = await network.attack(name, seconds);
      yield { window, control };
      if (options.fresh || window.died > 0 || !window.finalizesAfter || window.behind > 2) await stop();
    }
  } finally {
    await stop();
  }
}

/** What a node logged as an error, each kind once. */
const errorsIn = (log: string): string[] => {
  const kinds = new Set<string>();
  for (const line of log.split("\n")) {
    try {
      const { level, msg, error, err } = JSON.parse(line) as Record<string, unknown>;
      if (Number(level) >= 50) kinds.add(`${msg}: ${String(error ?? (err as Error)?.message ?? "").split("\n")[0]}`);
    } catch {
      if (/error|fatal/i.test(line)) kinds.add(line.slice(0, 200));
    }
  }
  return [...kinds].slice(0, 5);
};
