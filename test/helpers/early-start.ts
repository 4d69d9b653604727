import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Test } from "tap";
import type { Hex } from "../../lib/bytes.ts";
import { readGivenJson } from "../../node/folder.ts";
import type { NodeInfo } from "../../node/node.ts";
import { rpcClient } from "../../rpc/client.ts";

const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const VALIDATORS = 4;
const TRIES = 3;
const env = { PATH: process.env.PATH };
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Block {
  readonly number: Hex;
  readonly hash: Hex;
}

interface Validator {
  readonly child: ChildProcess;
  readonly info: NodeInfo;
  /** What it has logged. */
  log(): string;
}

const until = async <T>(
  what: string,
  seconds: number,
  probe: () => Promise<T | undefined> | T | undefined,
): Promise<T> => {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const value = await probe();
    if (value !== undefined) return value;
    await sleep(250);
  }
  throw new Error(`${what}: not within ${seconds} s`);
};

const rolec = (args: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) =>
    execFile(process.execPath, [MAIN, ...args], { env }, (error) => (error ? reject(error) : resolve())),
  );

const startValidator = async (
  datadir: string,
  bootstrap: readonly string[],
  children: ChildProcess[],
): Promise<Validator> => {
  const args = ["node", "--datadir", datadir, "--port", "0", "--p2p-port", "0"];
  const child = spawn(process.execPath, [MAIN, ...args, ...bootstrap.flatMap((each) => ["--bootstrap", each])], {
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  children.push(child);
  let log = "";
  child.stderr!.on("data", (data) => {
    log += data;
  });
  const path = join(datadir, "node.json");
  const info = await until(`${datadir} starts`, 120, () => {
    if (child.exitCode !== null) throw new Error(`${datadir} ended:\n${log}`);
    return existsSync(path) ? readGivenJson<NodeInfo>(path) : undefined;
  });
  return { child, info, log: () => log };
};

const stopAll = async (children: readonly ChildProcess[]): Promise<void> => {
  const running = children.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  const ended = running.map((child) => new Promise((resolve) => child.once("exit", resolve)));
  for (const child of running) child.kill("SIGTERM");
  await Promise.all(ended);
};

/** Makes a network as an operator does, and starts its validators; undefined where slot 0 came before the last was there. */
const startNetwork = async (
  net: string,
  leadSeconds: number,
  children: ChildProcess[],
): Promise<Validator[] | undefined> => {
  const sizes = ["--validators", String(VALIDATORS), "--profile", "dev"];
  await rolec(["genesis", "new", "--out", net, ...sizes, "--start", String(leadSeconds)]);
  const folders = Array.from({ length: VALIDATORS }, (_, i) => join(net, `validator-${i + 1}`));
  const first = await startValidator(folders[0]!, [], children);
  const others = await Promise.all(
    folders.slice(1).map((folder) => startValidator(folder, first.info.p2p.slice(0, 1), children)),
  );
  const { genesisTime } = readGivenJson<{ genesisTime: number }>(join(net, "genesis.json"))!;
  return Date.now() / 1000 < genesisTime ? [first, ...others] : undefined;
};

/**
 * Makes a network with slot 0 so many seconds ahead, starts its validators as processes before it, and checks that they become
 * one chain that is final. A machine that is too slow for it gets twice the time, and again.
 */
export const startEarly = async (t: Test, startSeconds: number): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), "rolec-early-"));
  const children: ChildProcess[] = [];
  t.teardown(async () => {
    await stopAll(children);
    rmSync(folder, { recursive: true, force: true });
  });
  let validators: Validator[] | undefined;
  let lead = startSeconds;
  for (let i = 0; i < TRIES && !validators; i++) {
    validators = await startNetwork(join(folder, `net-${i}`), lead, children);
    if (validators) break;
    await stopAll(children);
    lead *= 2;
  }
  if (!validators) throw new Error(`four validators do not start within ${lead / 2} s`);

  const clients = validators.map(({ info }) => rpcClient(info.rpcUrl));
  const all = (tag: string) =>
    Promise.all(clients.map((each) => each.call("eth_getBlockByNumber", [tag, false]) as Promise<Block | null>));
  await until("a block of all is final", lead + 120, async () => {
    const final = await all("finalized");
    return final.every((block) => Number(block?.number ?? 0) > 0) || undefined;
  });
  const ones = await all("0x1");
  t.match(ones[0], { number: "0x1" });
  t.equal(new Set(ones.map((block) => block?.hash)).size, 1, "they share block 1");
  for (const [i, { log }] of validators.entries()) {
    t.match(log(), /"msg":"slot 0 in \d+ /, `validator ${i + 1} says how long it is until slot 0`);
    t.notMatch(log(), /no peers of|another network|is not reached|clock is/, `validator ${i + 1} misses nobody`);
  }
};
