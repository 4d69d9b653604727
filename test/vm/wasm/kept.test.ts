import "../../helpers/plain-spawn.ts";
import { readFileSync } from "node:fs";
import t from "tap";
import type { Address } from "../../../lib/bytes.ts";
import { openSession, runTask, type SessionOptions, type TaskResult } from "../../../vm/wasm/host.ts";
import { type JobProcess, startProcess } from "../../../vm/wasm/process.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import type { Rewritten, RewrittenStore } from "../../../vm/wasm/rewritten-store.ts";
import { findSandbox } from "../../../vm/wasm/sandbox.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { countingPool } from "../../helpers/counting-pool.ts";
import { build, i32, type ModuleSource, op } from "../../helpers/wasm-builder.ts";

t.setTimeout(240_000);
const ALICE: Address = `0x${"a1".repeat(20)}`;
const BOB: Address = `0x${"b0".repeat(20)}`;
const FREE = { free: () => Number.POSITIVE_INFINITY };
const EMPTY = build({ functions: [{ code: [] }] });
const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 1_000_000_000,
  startTime: 0,
  hasCallback: false,
};
type Options = Partial<SessionOptions> & Pick<SessionOptions, "module">;

/** Runs a deal's tasks; its process goes back to its pool, where there is one. */
const deal = async (options: Options, tasks: readonly Task[] = [TASK]): Promise<TaskResult[]> => {
  const session = openSession({ vmVersion: VM_VERSION, ...options });
  const results: TaskResult[] = [];
  for await (const result of session.run(tasks, { timeoutMs: 120_000 })) results.push(result);
  session.close();
  return results;
};
const stateOf = (job: JobProcess): string | undefined =>
  readFileSync(`/proc/${job.pid}/status`, "utf8").match(/State:\s+(\w)/)?.[1];
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
};

t.test("the next deal of a requester has the process with its module, and nobody else", async (t) => {
  const { counted: pool, counts, taken } = countingPool(createProcessPool(0, FREE));
  t.teardown(() => pool.close());
  const other = build({ functions: [{ code: [] }, { code: [] }] });
  await deal({ module: EMPTY, pool, requester: ALICE });
  await deal({ module: EMPTY, pool, requester: ALICE });
  t.match(counts, { prepare: 1, compile: 1, task: 2 });
  t.equal(taken[0]!.pid, taken[1]!.pid);
  const pids = new Set([taken[0]!.pid]);
  const different: Options[] = [
    { module: EMPTY, requester: BOB },
    { module: other, requester: ALICE },
    { module: EMPTY, requester: ALICE, vmVersion: 1 },
    { module: EMPTY },
  ];
  for (const [i, options] of different.entries()) {
    await deal({ ...options, pool });
    t.notOk(pids.has(taken.at(-1)!.pid), `deal ${i}`);
    pids.add(taken.at(-1)!.pid);
    t.equal(counts.compile, i + 2);
  }
  t.ok(taken.at(-1)!.isOver, "without a requester none is kept");
});

t.test("a refused module, an early end and a fault leave no process to keep", async (t) => {
  const { counted: pool, taken } = countingPool(createProcessPool(0, FREE));
  t.teardown(() => pool.close());
  const [invalid] = await deal({ module: Uint8Array.of(1, 2, 3), pool, requester: ALICE });
  t.equal(invalid!.status, STATUS.invalid);
  const early = openSession({ vmVersion: VM_VERSION, module: EMPTY, pool, requester: ALICE });
  for await (const _ of early.run([TASK, TASK], { timeoutMs: 120_000 })) break;
  early.close();
  const stuck = openSession({ vmVersion: VM_VERSION, module: EMPTY, pool, requester: ALICE });
  const running = stuck.run([TASK], { timeoutMs: 120_000 }).next();
  stuck.close();
  await t.rejects(running, { name: "ComputeFault" });
  await until(() => taken.every(({ isOver }) => isOver));
  t.equal(taken.length, 3);
});

const TRAP = [...op.unreachable];
/** Traps if anything of an earlier task is there: in its memory, its globals, its files; then leaves what it can, and ends as told. */
const litter = (end: number[][]): Uint8Array =>
  build({
    imports: ["path_open", "fd_write"],
    memory: [2, 4],
    data: [
      { at: 0, bytes: [...Buffer.from("out/left")] },
      { at: 16, bytes: [64, 0, 0, 0, 4, 0, 0, 0] },
    ],
    functions: [
      {
        locals: [i32],
        code: [
          op.size,
          op.i32(2),
          [0x47],
          op.if(TRAP),
          op.i32(100_000),
          op.load32(),
          op.if(TRAP),
          [0x23, 0],
          op.if(TRAP),
          op.i32(1),
          [0x24, 0],
          // O_CREAT | O_EXCL of /out/left: it may not be there.
          ...[3, 0, 0, 8, 5].map((value) => op.i32(value)),
          op.i64(64n),
          op.i64(0n),
          op.i32(0),
          op.i32(40),
          op.call(0),
          op.if(TRAP),
          op.i32(2),
          op.grow,
          op.drop,
          op.i32(100_000),
          op.i32(-1),
          op.store32(),
          op.i32(262_140),
          op.i32(-1),
          op.store32(),
          ...[1, 16, 1, 48].map((value) => op.i32(value)),
          op.call(1),
          op.drop,
          ...end,
        ],
      },
      { code: [op.call(3)] },
    ] as ModuleSource["functions"],
  });

t.test("nothing of a task outlives it: the next has the receipt that it has in a process of its own", async (t) => {
  const pool = createProcessPool(0, FREE);
  t.teardown(() => pool.close());
  const ends: Record<string, number[][]> = {
    returns: [],
    traps: [TRAP],
    "leaves its memory": [op.i32(-4), op.i32(1), op.store32()],
    "uses up its gas": [op.loop(op.br(0))],
    "overflows its stack": [op.call(3)],
  };
  for (const [name, end] of Object.entries(ends)) {
    const { counted, counts } = countingPool(pool);
    const module = litter(end);
    const tasks = [1, 2].map((i): Task => ({ ...TASK, taskid: `0x${`${i}`.repeat(64)}`, args: [`${i}`] }));
    const files = [{ name: "secret", bytes: Uint8Array.of(1, 2, 3) }];
    const alone = await runTask({ vmVersion: VM_VERSION, module, timeoutMs: 120_000 }, tasks[0]!);
    const found: TaskResult[] = [];
    for (let i = 0; i < 2; i++) {
      await deal({ module, pool: counted, requester: ALICE }, [{ ...TASK, inputs: files }]);
      found.push(...(await deal({ module, pool: counted, requester: ALICE }, [tasks[0]!, tasks[1]!, tasks[0]!])));
    }
    t.equal(alone.status === STATUS.ok, name === "returns", name);
    for (const at of [0, 2, 3, 5]) t.strictSame(found[at]!.receipt, alone.receipt, `${name}, task ${at}`);
    t.match(counts, { prepare: 1, compile: 1, task: 8, files: 2 });
  }
});

t.test("a deal finds no file of the one before", async (t) => {
  const { counted: pool, taken } = countingPool(createProcessPool(0, FREE));
  t.teardown(() => pool.close());
  const inputs = [{ name: "a", bytes: Uint8Array.of(7) }];
  await deal({ module: EMPTY, pool, requester: ALICE }, [{ ...TASK, inputs }]);
  const job = await pool.take(taken[0]!.purpose);
  const { taskid, args, gasLimit, startTime, hasCallback } = TASK;
  const task = { taskid, args, gasLimit, startTime, hasCallback, inputs: [{ name: "a", file: 0 }] };
  t.equal(taken[1]!.pid, taken[0]!.pid);
  await t.rejects(job.ask({ kind: "task", task }), { name: "ComputeFault" });
  job.end(undefined);
});

t.test("kept processes stand still, are bounded, and those unused for the longest go first", async (t) => {
  const still = await findSandbox();
  const { counted: pool, taken } = countingPool(createProcessPool(0, { ...FREE, processes: 2 }));
  t.teardown(() => pool.close());
  for (const byte of ["01", "02", "03"]) await deal({ module: EMPTY, pool, requester: `0x${byte.repeat(20)}` });
  await until(() => taken[0]!.isOver);
  if (still.prefix.includes("--pdeathsig")) await until(() => stateOf(taken[1]!) === "T" && stateOf(taken[2]!) === "T");
  await deal({ module: EMPTY, pool, requester: `0x${"02".repeat(20)}` });
  t.equal(taken[3]!.pid, taken[1]!.pid, "it goes on");
  await deal({ module: EMPTY, pool, requester: `0x${"04".repeat(20)}` });
  await until(() => taken[2]!.isOver);
  t.notOk(taken[1]!.isOver);
  for (const limits of [{ bytes: 1 }, { idleMs: 1 }, { free: () => 0 }, { processes: 0 }]) {
    const { counted, taken } = countingPool(createProcessPool(0, { ...FREE, ...limits }));
    await deal({ module: EMPTY, pool: counted, requester: ALICE });
    await until(() => taken[0]!.isOver);
    counted.close();
    t.pass(JSON.stringify(limits));
  }
});

t.test("one that dies while it is kept, or speaks unasked, is replaced", async (t) => {
  const { counted: pool, counts, taken } = countingPool(createProcessPool(0, FREE));
  t.teardown(() => pool.close());
  await deal({ module: EMPTY, pool, requester: ALICE });
  process.kill(taken[0]!.pid!, "SIGKILL");
  await deal({ module: EMPTY, pool, requester: ALICE });
  t.match(counts, { prepare: 2, compile: 2, task: 2 });
  const job = await startProcess();
  job.ask({ kind: "rest" }).catch(() => undefined);
  t.equal((await job.ask({ kind: "rest" })).kind, "rested");
  await job.ended;
  await t.rejects(job.ask({ kind: "rest" }), /unasked/);
});

t.test("a module is rewritten once for all requesters, by a process that has run nothing", async (t) => {
  const pool = createProcessPool(0, FREE);
  t.teardown(() => pool.close());
  const known = new Map<string, Rewritten>();
  const store: RewrittenStore = {
    get: async (name) => known.get(name),
    put: async (name, rewritten) => void known.set(name, rewritten),
  };
  const { counted, counts } = countingPool(pool);
  const alone = await deal({ module: EMPTY });
  for (const requester of [ALICE, BOB, ALICE, undefined])
    t.strictSame(
      (await deal({ module: EMPTY, pool: counted, store, ...(requester && { requester }) }))[0]!.receipt,
      alone[0]!.receipt,
    );
  t.match(counts, { prepare: 1, compile: 3, task: 4 });
  t.equal(known.size, 1);
  await deal({ module: EMPTY, pool: counted, store, requester: BOB, vmVersion: 1 });
  t.match([counts.prepare, known.size], [2, 2], "each version of the rules has its own");
});
