import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, existsSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { devGenesis } from "../chain/genesis.ts";
import type { Address, Hex } from "../lib/bytes.ts";
import { httpUrl } from "../lib/endpoint.ts";
import { addressOf } from "../lib/secp256k1.ts";
import { RLC } from "../lib/units.ts";
import { type RpcClient, rpcClient } from "../rpc/client.ts";
import { hexNumber } from "../rpc/values.ts";
import {
  devKey,
  genesisValidator,
  makeFolder,
  readJson,
  validatorKeys,
  writeNewSecret,
  writeNodeFolder,
} from "./folder.ts";
import { FolderInUseError, type FolderLock, lockFolder } from "./folder-lock.ts";
import type { NodeInfo } from "./node.ts";
import { freePorts } from "./ports.ts";
import { REMEDIES } from "./remedies.ts";

const VALIDATOR_BOND = 10_000n * RLC;
const ACCOUNT_BALANCE = 10_000n * RLC;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;
/** How long a process whose launcher is gone may go on (stop.ts). */
const ORPHAN_MS = 12_000;

export interface TestnetOptions {
  readonly datadir: string;
  readonly validators: number;
  readonly workers: number;
  readonly slotsPerWorker: number;
  /** Miners of work shares, a thread each. */
  readonly miners?: number;
  readonly accounts: number;
  /** Where the RPCs listen; left out: 127.0.0.1. */
  readonly rpcHost?: string;
  readonly rpcPort: number;
  /** Names and origins of web pages that the RPCs serve. */
  readonly hostNames?: readonly string[] | undefined;
  readonly origins?: readonly string[] | undefined;
  /** The IP address that p2p listens on; left out: 127.0.0.1. */
  readonly p2pHost?: string;
  readonly p2pPort: number;
  /** MiB of the disk that data may not fill. */
  readonly diskReserveMib?: number;
}

/** One process of the network. */
export interface Member {
  readonly name: string;
  readonly role: "validator" | "worker" | "miner";
  /** A miner's is the validator's that it works for. */
  readonly address: Address;
  readonly datadir: string;
  readonly log: string;
  readonly rpcUrl: string;
  process: ChildProcess | undefined;
}

export interface FundedAccount {
  readonly address: Address;
  readonly privateKey: Hex;
  readonly balance: bigint;
}

export interface Testnet {
  readonly chainId: number;
  readonly members: Member[];
  readonly accounts: readonly FundedAccount[];
  readonly client: RpcClient;
  /** Starts a member again from its folder. */
  restart(member: Member): Promise<void>;
  /** Stops every process, validators last; kills what does not stop within five seconds. */
  stop(): Promise<void>;
}

const MAIN = fileURLToPath(new URL(`./cli/main${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url));

/** Starts `rolec` with arguments as a process of its own that logs to a file. */
const launch = (args: readonly string[], log: string): ChildProcess => {
  const out = openSync(log, "a");
  // A process group of its own: Ctrl-C reaches the launcher alone, which stops the others in order. The channel tells the
  // process when the launcher is gone, however it ended.
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", out, out, "ipc"], detached: true });
  closeSync(out);
  return child;
};

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `probe` gives a value. Throws with `what` at the timeout, when the process ends first, or when aborted. */
const until = async <T>(
  what: string,
  member: Member,
  probe: () => Promise<T | undefined> | T | undefined,
  signal: AbortSignal | undefined,
): Promise<T> => {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    const value = await probe();
    if (value !== undefined) return value;
    if (member.process?.exitCode !== null && member.process?.exitCode !== undefined)
      throw new Error(`${member.name} ended while starting:\n${tail(member.log)}`);
    await sleep(50);
  }
  throw new Error(`${member.name} did not ${what} within ${START_TIMEOUT_MS / 1000} s:\n${tail(member.log)}`);
};

/** Waits while a process that an earlier launcher left behind stops. Throws where it does not. */
const untilFree = async (folder: string): Promise<void> => {
  const deadline = Date.now() + ORPHAN_MS;
  for (;;) {
    try {
      return await (await lockFolder(folder, "testnet")).release();
    } catch (error) {
      if (!(error instanceof FolderInUseError) || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
};

const tail = (log: string): string => readFileSync(log, "utf8").trimEnd().split("\n").slice(-5).join("\n");

/**
 * Starts a network of separate processes on this machine: validators, then workers on the validators' RPC. They end with
 * this process, however it ends. Rejects when aborted, and none of them is left then.
 */
export const startTestnet = async (options: TestnetOptions, signal?: AbortSignal): Promise<Testnet> => {
  // Before anything in it is touched: a network that runs from this folder keeps its files.
  const lock = await lockFolder(options.datadir, "testnet");
  try {
    return await startIn(options, lock, signal);
  } catch (error) {
    await lock.release();
    throw error;
  }
};

const startIn = async (options: TestnetOptions, lock: FolderLock, signal?: AbortSignal): Promise<Testnet> => {
  const { datadir, rpcHost = "127.0.0.1", p2pHost = "127.0.0.1" } = options;
  const validators = Array.from({ length: options.validators }, (_, i) => validatorKeys(devKey("validator", i)));
  const workers = Array.from({ length: options.workers }, (_, i) => devKey("worker", i));
  const accounts = Array.from({ length: options.accounts }, (_, i): FundedAccount => {
    const privateKey = devKey("account", i);
    return { address: addressOf(privateKey), privateKey, balance: ACCOUNT_BALANCE };
  });
  const rpcPlace = { host: rpcHost, port: options.rpcPort, hostOption: "--host", portOption: "--port" };
  const p2pPlace = { host: p2pHost, port: options.p2pPort, hostOption: "--p2p-host", portOption: "--p2p-port" };
  const ports = await freePorts(options.validators, rpcPlace);
  const p2pPorts = await freePorts(options.validators, p2pPlace);

  const first = join(datadir, "validator-1", "genesis.json");
  const genesis =
    readJson<Record<string, unknown>>(first, REMEDIES.genesis) ??
    devGenesis({
      genesisTime: Math.ceil(Date.now() / 1000) + 1,
      validators: validators.map((keys) => genesisValidator(keys, VALIDATOR_BOND)),
      accounts: accounts.map(({ address, balance }) => ({ address, balance: balance.toString() })),
      slots: workers.map((key, i) => ({
        worker: addressOf(key),
        validator: validators[i % validators.length]!.address,
        count: options.slotsPerWorker,
      })),
    });

  const disk = options.diskReserveMib === undefined ? [] : ["--disk-reserve", String(options.diskReserveMib)];
  const members: Member[] = [];
  const startValidator = async (member: Member, index: number, bootstrap: readonly string[]): Promise<NodeInfo> => {
    await untilFree(member.datadir);
    const info = join(member.datadir, "node.json");
    rmSync(info, { force: true });
    member.process = launch(
      [
        "node",
        "--datadir",
        member.datadir,
        "--host",
        rpcHost,
        "--port",
        String(ports[index]),
        "--p2p-host",
        p2pHost,
        "--p2p-port",
        String(p2pPorts[index]),
        // Nobody else has these folders, and a network of seconds should not wait.
        "--doppelganger-epochs",
        "0",
        ...disk,
        ...(options.hostNames ?? []).flatMap((name) => ["--rpc-host-name", name]),
        ...(options.origins ?? []).flatMap((origin) => ["--rpc-origin", origin]),
        ...bootstrap.flatMap((address) => ["--bootstrap", address]),
      ],
      member.log,
    );
    return until(
      "answer",
      member,
      () => (existsSync(info) ? readJson<NodeInfo>(info, REMEDIES.note) : undefined),
      signal,
    );
  };
  const startWorker = async (member: Member): Promise<void> => {
    await untilFree(member.datadir);
    member.process = launch(
      ["worker", "start", "--datadir", member.datadir, "--node", member.rpcUrl, "--cores", "1", ...disk],
      member.log,
    );
  };
  const startMiner = (member: Member): void => {
    member.process = launch(["miner", "--rpc", member.rpcUrl, "--threads", "1"], member.log);
  };
  const bootstrap: string[] = [];

  // Whoever leaves in a hurry leaves no process behind.
  const kill = (): void => {
    for (const member of members) member.process?.kill("SIGKILL");
  };
  process.once("exit", kill);
  const stop = async (): Promise<void> => {
    for (const role of ["miner", "worker", "validator"] as const)
      await Promise.all(members.filter((member) => member.role === role).map((member) => end(member)));
    process.off("exit", kill);
    await lock.release();
  };

  try {
    for (const [i, keys] of validators.entries()) {
      const folder = join(datadir, `validator-${i + 1}`);
      writeNodeFolder(folder, genesis, keys);
      members.push({
        name: `validator-${i + 1}`,
        role: "validator",
        address: keys.address,
        datadir: folder,
        log: join(folder, "node.log"),
        rpcUrl: httpUrl(rpcHost, ports[i]!),
        process: undefined,
      });
    }
    bootstrap.push(...(await startValidator(members[0]!, 0, [])).p2p);
    await Promise.all(members.slice(1).map((member, i) => startValidator(member, i + 1, bootstrap)));
    for (const [i, key] of workers.entries()) {
      const folder = join(datadir, `worker-${i + 1}`);
      makeFolder(folder);
      writeNewSecret(join(folder, "worker.json"), `${JSON.stringify({ address: addressOf(key), privateKey: key })}\n`);
      const member: Member = {
        name: `worker-${i + 1}`,
        role: "worker",
        address: addressOf(key),
        datadir: folder,
        log: join(folder, "worker.log"),
        rpcUrl: members[i % validators.length]!.rpcUrl,
        process: undefined,
      };
      members.push(member);
      await startWorker(member);
    }
    for (let i = 0; i < (options.miners ?? 0); i++) {
      const { address, rpcUrl, datadir: folder } = members[i % validators.length]!;
      const name = `miner-${i + 1}`;
      const log = join(folder, `${name}.log`);
      const member: Member = { name, role: "miner", address, datadir: folder, log, rpcUrl, process: undefined };
      members.push(member);
      startMiner(member);
    }
    const client = rpcClient(members[0]!.rpcUrl);
    const chainId = Number(await client.call("eth_chainId", []));
    return {
      chainId,
      members,
      accounts,
      client,
      stop,
      restart: async (member) => {
        if (member.role === "worker") return startWorker(member);
        if (member.role === "miner") return startMiner(member);
        const others = members.filter((other) => other.role === "validator" && other !== member);
        const addresses = others.flatMap(
          (other) => readJson<NodeInfo>(join(other.datadir, "node.json"), REMEDIES.note)?.p2p ?? [],
        );
        await startValidator(member, members.indexOf(member), addresses);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
};

/** Asks a member's process to stop and waits; kills it at the timeout. */
const end = async (member: Member): Promise<void> => {
  const child = member.process;
  if (!child || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
};

/** Waits until every validator has the same finalized block beyond genesis. Resolves with its number; rejects when aborted. */
export const untilAgreed = async (testnet: Testnet, signal?: AbortSignal, timeoutMs = 60_000): Promise<number> => {
  const nodes = testnet.members
    .filter((member) => member.role === "validator")
    .map((member) => rpcClient(member.rpcUrl));
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    const blocks = await Promise.all(
      nodes.map((node) => node.call("eth_getBlockByNumber", ["finalized", false]).catch(() => undefined)),
    );
    const numbers = blocks.map((block) => Number((block as { number?: Hex } | undefined)?.number ?? 0));
    const lowest = Math.min(...numbers);
    if (lowest > 0) {
      const hashes = await Promise.all(
        nodes.map(
          async (node) => (await node.call("eth_getBlockByNumber", [hexNumber(lowest), false])) as { hash: Hex } | null,
        ),
      );
      if (new Set(hashes.map((block) => block?.hash)).size === 1) return lowest;
    }
    await sleep(200);
  }
  throw new Error(`the validators did not finalize a common block within ${timeoutMs / 1000} s`);
};
