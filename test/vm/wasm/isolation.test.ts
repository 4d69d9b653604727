import "../../helpers/plain-spawn.ts";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import t from "tap";
import { runTask } from "../../../vm/wasm/host.ts";
import { createPacker } from "../../../vm/wasm/messages.ts";
import { ComputeFault, nodeFlags, startProcess } from "../../../vm/wasm/process.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import { findSandbox, NODE } from "../../../vm/wasm/sandbox.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, op } from "../../helpers/wasm-builder.ts";

t.setTimeout(120_000);
const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 1_000_000_000,
  startTime: 0,
  hasCallback: false,
};
const EMPTY = build({ functions: [{ code: [] }] });
const ENDLESS = build({ functions: [{ code: [op.loop(op.br(0))] }] });
const isLinux = process.platform === "linux";

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !isLinux || !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
};
/** Waits until a process is gone; the test's time limit is what ends a wait in vain. */
const gone = async (pid: number): Promise<void> => {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50));
};
/** Runs a script of Node behind a command line; gives what it prints. */
const printed = (command: readonly string[], script: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const [program, ...args] = [...command, "--input-type=module", "-e", script];
    execFile(program!, args, { env: {} }, (error, stdout) => (error ? reject(error) : resolve(stdout.trim())));
  });
/** A script that prints what an attempt gives, or the code of its error. */
const attempt = (expression: string): string =>
  `import * as fs from "node:fs"; import * as net from "node:net"; import * as child from "node:child_process";
   try { console.log(await (${expression})); } catch (error) { console.log(error.code ?? error.name); }`;

t.test("Node refuses a job's process files, programs, native code, and gives it no environment", async (t) => {
  const behind = (expression: string) => printed([NODE, ...nodeFlags()], attempt(expression));
  t.equal(await behind(`fs.readFileSync(${JSON.stringify(fileURLToPath(import.meta.url))})`), "ERR_ACCESS_DENIED");
  t.equal(await behind(`fs.writeFileSync("/tmp/rolec-probe", "x")`), "ERR_ACCESS_DENIED");
  t.equal(await behind(`fs.readdirSync("/")`), "ERR_ACCESS_DENIED");
  t.equal(await behind(`child.execFileSync(process.execPath, ["--version"])`), "ERR_ACCESS_DENIED");
  t.equal(await behind(`process.dlopen({ exports: {} }, "x.node")`), "ERR_DLOPEN_DISABLED");
  t.equal(await behind(`Object.keys(process.env).length`), "0");
});

t.test("behind it the system hides the network, the files and new privileges, where it can", async (t) => {
  const { prefix, barriers } = await findSandbox();
  const behind = (expression: string) => printed([...prefix, NODE], attempt(expression));
  const has = (barrier: string) => ({ skip: barriers.includes(barrier) ? false : `this system lacks: ${barrier}` });
  await t.test("no network", has("no network"), async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const connect = `new Promise((resolve, reject) => {
      const socket = net.connect(${port}, "127.0.0.1").on("error", reject);
      socket.on("connect", () => { socket.destroy(); resolve("connected"); });
    })`;
    t.equal(await printed([NODE], attempt(connect)), "connected");
    t.equal(await behind(connect), "ENETUNREACH");
    server.close();
  });
  await t.test("no files but the program", has("sees no files but its program"), async (t) => {
    t.equal(await behind(`fs.readFileSync(${JSON.stringify(fileURLToPath(import.meta.url))})`), "ENOENT");
    t.equal(await behind(`fs.readFileSync("/etc/passwd")`), "ENOENT");
    t.equal(await behind(`fs.readdirSync("/proc")`), "ENOENT");
    // Where the program itself lies below /tmp that folder is there, and as read-only as the rest.
    t.match(await behind(`fs.writeFileSync("/tmp/rolec-probe", "x")`), /^(ENOENT|EROFS)$/);
    t.equal(await behind(`fs.unlinkSync(${JSON.stringify(nodeFlags()[2]!.split("=")[1])} + "/rules.ts")`), "EROFS");
  });
  await t.test("bounded memory", has("4 GiB of memory"), async (t) => {
    const fill = `Array.from({ length: 80 }, () => Buffer.allocUnsafeSlow(64 << 20)).length`;
    t.equal(await behind(fill), "ERR_MEMORY_ALLOCATION_FAILED");
  });
  t.equal(await behind("fs.existsSync(process.execPath)"), "true");
});

t.test("a process has one module, runs at the lowest priority, and a pool replaces it", async (t) => {
  const pool = createProcessPool(1);
  t.teardown(() => pool.close());
  const first = await pool.take();
  await first.ready;
  const prepare = { kind: "prepare", vmVersion: VM_VERSION, module: ENDLESS, isWanted: false } as const;
  const compile = { kind: "compile", vmVersion: VM_VERSION, rewritten: undefined, tier: "optimizing" } as const;
  await t.rejects(first.ask(compile), /has one module/);
  t.equal((await first.ask(prepare)).kind, "prepared");
  await t.rejects(first.ask(prepare), /has one module/);
  t.equal((await first.ask(compile)).kind, "ready");
  await t.rejects(first.ask(prepare), /has one module/);
  await t.rejects(first.ask(compile), /has one module/);
  const spin = first.ask({ kind: "task", task: createPacker().pack([{ ...TASK, gasLimit: 2 ** 52 }]).sent[0]! });
  if (isLinux) {
    const threads = readdirSync(`/proc/${first.pid}/task`);
    t.ok(threads.length > 2);
    const nice = threads.map(
      (id) => readFileSync(`/proc/${first.pid}/task/${id}/stat`, "utf8").split(") ")[1]!.split(" ")[16],
    );
    t.same(new Set(nice), new Set(["19"]));
  }
  first.end(new ComputeFault("enough"));
  await t.rejects(spin, /enough/);
  await first.ended;
  t.notOk(isAlive(first.pid!));
  const second = await pool.take();
  t.not(second.pid, first.pid);
  second.end(new ComputeFault("enough"));
  t.equal((await runTask({ vmVersion: VM_VERSION, module: EMPTY, timeoutMs: 60_000, pool }, TASK)).status, 0);
});

t.test("a closed pool leaves no process behind, and one that dies is a fault", async (t) => {
  const pool = createProcessPool(2);
  const job = await pool.take();
  await job.ready;
  process.kill(job.pid!, "SIGKILL");
  await t.rejects(job.ask({ kind: "rest" }), {
    name: "ComputeFault",
  });
  await job.ended;
  const other = await pool.take();
  pool.close();
  other.end(new ComputeFault("enough"));
  await other.ended;
  t.notOk(isAlive(other.pid!));
});

t.test("jobs, waiting and kept processes die with the program that started them, even if it is killed", async (t) => {
  const helper = fileURLToPath(new URL("../../helpers/pool-parent.ts", import.meta.url));
  const parent = spawn(process.execPath, [helper], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = (await once(parent.stdout, "data")) as [Buffer];
  const pids = line.toString().trim().split(" ").map(Number);
  t.equal(pids.length, 3);
  for (const pid of pids) t.ok(isAlive(pid));
  parent.kill("SIGKILL");
  await Promise.all(pids.map(gone));
});

t.test("a process that is not used ends on request", async (t) => {
  const job = await startProcess();
  job.end(new ComputeFault("not needed"));
  await job.ended;
  await t.rejects(job.ask({ kind: "rest" }), /not needed/);
});
