import "../helpers/plain-spawn.ts";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";

t.setTimeout(600_000);
const MAIN = fileURLToPath(new URL("../../node/cli/main.ts", import.meta.url));
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The processes that a process has started. */
const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean).map(Number);
  } catch {
    return [];
  }
};
const isAlive = (pid: number): boolean => {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
const until = async (what: string, is: () => boolean): Promise<void> => {
  for (let i = 0; i < 1_200; i++) {
    if (is()) return;
    await sleep(50);
  }
  throw new Error(`not within a minute: ${what}`);
};

/** Starts a network of a validator and a worker. */
const start = (t: Test, port: number): { launcher: ChildProcess; text: () => string; ended: Promise<unknown> } => {
  const datadir = mkdtempSync(join(tmpdir(), "rolec-stop-"));
  const sizes = ["--validators", "1", "--workers", "1", "--accounts", "1"];
  const ports = ["--port", String(port), "--p2p-port", String(port + 100)];
  const launcher = spawn(process.execPath, [MAIN, "testnet", ...sizes, ...ports, "--datadir", datadir, "--json"], {
    env: { PATH: process.env.PATH },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  launcher.stdout!.on("data", (data) => {
    text += data;
  });
  const ended = new Promise((resolve) => launcher.once("exit", (code, signal) => resolve(signal ?? code)));
  t.teardown(async () => {
    launcher.kill("SIGKILL");
    await ended;
    rmSync(datadir, { recursive: true, force: true, maxRetries: 10 });
  });
  return { launcher, text: () => text, ended };
};
/** Waits for both processes of the network, and gives their ids. */
const running = async ({ launcher, text }: ReturnType<typeof start>): Promise<number[]> => {
  await until("the network answers", () => text().trimEnd().endsWith("\n}"));
  const children = childrenOf(launcher.pid!);
  if (children.length !== 2) throw new Error(`two processes are expected, not ${children.length}`);
  return children;
};

t.test("a closed terminal stops the network in order", async (t) => {
  const network = start(t, 27_545);
  const children = await running(network);
  network.launcher.kill("SIGHUP");
  t.equal(await network.ended, 0);
  t.notOk(children.some(isAlive));
});

t.test("output that nobody takes any more stops the network", async (t) => {
  const network = start(t, 27_555);
  await until("the first process", () => childrenOf(network.launcher.pid!).length > 0);
  network.launcher.stdout!.destroy();
  t.equal(await network.ended, 0);
});

t.test("a second Ctrl-C ends the launcher at once, and no process stays", async (t) => {
  const network = start(t, 27_565);
  const children = await running(network);
  // A process that does not stop by itself.
  process.kill(children[0]!, "SIGSTOP");
  network.launcher.kill("SIGINT");
  await sleep(200);
  network.launcher.kill("SIGINT");
  t.equal(await network.ended, 130);
  await until("all processes are gone", () => !children.some(isAlive));
  t.notOk(children.some(isAlive));
});

t.test("kill -9 of the launcher ends the network too", async (t) => {
  const network = start(t, 27_575);
  const children = await running(network);
  network.launcher.kill("SIGKILL");
  await network.ended;
  await until("all processes are gone", () => !children.some(isAlive));
  t.notOk(children.some(isAlive));
});

t.test("Ctrl-C during the start stops the start", async (t) => {
  const network = start(t, 27_585);
  await until("the first process", () => childrenOf(network.launcher.pid!).length > 0);
  const children = childrenOf(network.launcher.pid!);
  network.launcher.kill("SIGINT");
  t.equal(await network.ended, 0);
  t.equal(network.text(), "", "nothing was printed any more");
  t.notOk(children.some(isAlive));
});
