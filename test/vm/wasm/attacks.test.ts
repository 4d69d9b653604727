import "../../helpers/plain-spawn.ts";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import t from "tap";
import { outputBound } from "../../../vm/wasm/gas.ts";
import { runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { TASK_LIMITS } from "../../../vm/wasm/limits.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import { STATUS, STATUS_NAMES, TRAP } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { ERRNO } from "../../../vm/wasm/wasi-abi.ts";
import { program, RESULT, type Step } from "../../helpers/wasi-program.ts";
import { build, HEADER, leb, type ModuleSource, op, section } from "../../helpers/wasm-builder.ts";

t.setTimeout(300_000);
const pool = createProcessPool(2);
t.teardown(() => pool.close());

const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 200_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const run = (source: ModuleSource | Uint8Array, task: Partial<Task> = {}): Promise<TaskResult> => {
  const module = source instanceof Uint8Array ? source : build(source);
  return runTask({ vmVersion: VM_VERSION, module, timeoutMs: 240_000, pool }, { ...TASK, ...task });
};
const ending = async (source: ModuleSource | Uint8Array, task: Partial<Task> = {}): Promise<string> => {
  const { status, code } = await run(source, task);
  return `${STATUS_NAMES[status]} ${code}`;
};
/** As `ending`, in this process: for what can do no harm but give a wrong answer. */
const answer = (source: ModuleSource): string => {
  const { status, code } = runInstance(compileModule(build(source), NEWEST_RULES), TASK);
  return `${STATUS_NAMES[status]} ${code}`;
};
const exit = (errno: number): string => (errno === 0 ? "OK 0" : `EXIT ${errno}`);
const OUT_OF_GAS = "OUT_OF_GAS 0";
const OUTPUT_LIMIT = "OUTPUT_LIMIT 0";
const grow = op.grow as unknown as number[];
const drop = op.drop as unknown as number[];

/** Adds iovecs at 65,536: `count` times the same buffer. */
const withBuffers = (source: ModuleSource, count: number, at: number, length: number): ModuleSource => {
  const one = [...new Uint8Array(Uint32Array.of(at, length).buffer)];
  return { ...source, data: [...(source.data ?? []), { at: 65_536, bytes: Array(count).fill(one).flat() }] };
};
const open = (path: string, flags: number, rights: bigint): Step =>
  [...["path_open", 3, 0, path, flags, rights, 0n, 0, RESULT]] as unknown as Step;
const WRITE = 64n | 4n | 256n | (1n << 22n);

t.test("time: loops, recursion and host calls end at their limits", async (t) => {
  t.equal(await ending({ functions: [{ code: [op.loop(op.br(0))] }] }), OUT_OF_GAS);
  const recursion = { functions: [{ code: [op.call(0)] }] };
  t.equal(await ending(recursion), `TRAP ${TRAP.stack}`);
  t.equal(await ending(program([["sched_yield"]], 0)), OUT_OF_GAS);
  t.equal(await ending(program([["random_get", 0, 1_048_576]], 0)), OUT_OF_GAS);
  t.equal(await ending(program([["poll_oneoff", 0, 524_288, 4_096, RESULT]], 0)), OUT_OF_GAS);
  t.equal(await ending(program([["clock_time_get", 0, 0n, 0]], 0)), OUT_OF_GAS);
});

t.test("memory: growing and filling all that there is", async (t) => {
  const fill = {
    memory: [1, 65_536] as const,
    functions: [
      {
        code: [
          ...[op.i32(4_095), grow, drop],
          op.loop(op.i32(0), op.i32(1), op.i32(4_096 * 65_536), op.fill as unknown as number[], op.br(0)),
        ],
      },
    ],
  };
  t.equal(await ending(fill, { gasLimit: 1_000_000_000 }), OUT_OF_GAS);
  const inputs = ["a", "b", "c", "d"].map((name) => ({ name, bytes: new Uint8Array(64 * 1024 * 1024) }));
  t.equal(await ending(fill, { inputs, gasLimit: 2_000_000_000 }), OUT_OF_GAS);
});

const noLimit = process.platform === "linux" && existsSync("/usr/bin/prlimit") ? false : "no prlimit on this machine";
t.test(
  "a machine without the memory that a job may have declines: that is no receipt",
  { skip: noLimit },
  async (t) => {
    const job = await pool.take();
    await job.ready;
    const used = Number(/VmData:\s+(\d+)/.exec(readFileSync(`/proc/${job.pid}/status`, "utf8"))![1]) * 1024;
    execFileSync("/usr/bin/prlimit", ["--pid", String(job.pid), `--data=${used + 64 * 1024 * 1024}`]);
    const module = build({
      memory: [1, 65_536],
      functions: [{ code: [op.i32(4_095), grow, drop, op.i32(0), op.i32(1), op.i32(2 ** 28), op.fill as never] }],
    });
    const lot = {
      vmVersion: VM_VERSION,
      module,
      timeoutMs: 240_000,
      pool: { take: async () => job, give() {}, close() {} },
    };
    await t.rejects(runTask(lot, { ...TASK, gasLimit: 1_000_000_000 }), { name: "ComputeFault" });
  },
);

t.test("modules: tables and imports at and beyond what is allowed", async (t) => {
  const table = (entries: number): ModuleSource => ({ functions: [{ code: [] }], table: Array(entries).fill(0) });
  t.equal(await ending(table(65_536)), "OK 0");
  t.equal((await run(table(65_537))).status, STATUS.invalid);
  const imports = (count: number): ModuleSource => ({
    imports: Array(count).fill("sched_yield"),
    functions: [{ code: [] }],
  });
  t.equal(await ending(imports(1_024)), "OK 0");
  t.equal((await run(imports(1_025))).status, STATUS.invalid);
  const types = section(1, [...leb(2 ** 32 - 1), 0x60]);
  t.equal((await run(Uint8Array.from([...HEADER, ...types]))).status, STATUS.invalid);
});

t.test("arguments: as many as are allowed, and more", async (t) => {
  const reads = program([
    ["args_sizes_get", 0, 4],
    ["args_get", 65_536, 131_072],
    ["args_get", 0xffff_0000, 0xffff_0000],
  ]);
  const long = Array.from({ length: 1_024 }, () => "x".repeat(62));
  t.equal(await ending(reads, { args: long }), exit(ERRNO.fault));
  t.equal((await run(reads, { args: [...long, "y"] })).status, STATUS.invalid);
  t.equal((await run(reads, { args: ["x".repeat(65_536)] })).status, STATUS.invalid);
});

t.test("output: floods of standard output, standard error and files, and sizes that no file has", async (t) => {
  const PAID = { gasLimit: 1_000_000_000 };
  const flood = (fd: number) => withBuffers(program([["fd_write", fd, 65_536, 1, RESULT]], 0), 1, 0, 65_536);
  for (const fd of [1, 2]) {
    const { status, files } = await run(flood(fd), PAID);
    t.equal(status, STATUS.outputLimit);
    t.equal(files.get(fd === 1 ? "stdout" : "stderr")?.length, TASK_LIMITS.outputBytes);
  }
  const file = program([open("out/f", 1, WRITE), ["fd_write", 4, 65_536, 1, RESULT]], 1);
  const written = await run(withBuffers(file, 1, 0, 65_536), PAID);
  t.equal(written.status, STATUS.outputLimit);
  t.equal(written.files.get("out/f")?.length, TASK_LIMITS.outputBytes - 65_536);
  const far = ["fd_seek", 4, 2n ** 53n - 2n, 0, RESULT] as const;
  const sparse = program([open("out/f", 1, WRITE), far, ["fd_write", 4, 65_536, 1, RESULT]]);
  t.equal(await ending(withBuffers(sparse, 1, 0, 1)), OUTPUT_LIMIT);
  t.equal(await ending(program([open("out/f", 1, WRITE), ["fd_allocate", 4, 0n, 2n ** 52n]])), OUTPUT_LIMIT);
  t.equal(await ending(program([open("out/f", 1, WRITE), ["fd_filestat_set_size", 4, 2n ** 52n]])), OUTPUT_LIMIT);
  t.equal(await ending(program([open("out/f", 1, WRITE), ["fd_filestat_set_size", 4, -1n]])), exit(ERRNO.inval));
  const linked = program([
    open("out/f", 1, WRITE),
    ["fd_allocate", 4, 0n, 9n * 1024n * 1024n],
    ["path_link", 3, 0, "out/f", 3, "out/g"],
  ]);
  t.equal(await ending(linked, PAID), OUTPUT_LIMIT);
  const short = await run(flood(1));
  t.equal(short.status, STATUS.outOfGas, "what is kept is paid for: the limit of gas bounds it too");
  t.ok(short.files.get("stdout")!.length < outputBound(TASK.gasLimit));
});

t.test("vectors: many buffers that overlap cost what they move, and pointers outside answer EFAULT", async (t) => {
  const all = program([["fd_write", 1, 65_536, 1_024, RESULT]], 0);
  const full = await run(withBuffers(all, 1_024, 0, 16_384), { gasLimit: 1_000_000_000 });
  t.equal(full.status, STATUS.outputLimit);
  t.equal(full.files.get("stdout")?.length, TASK_LIMITS.outputBytes);
  t.equal(await ending(withBuffers(all, 1_024, 0, 1_048_576)), OUT_OF_GAS);
  t.equal(await ending(withBuffers(all, 1_024, 0xffff_ffff, 0xffff_ffff)), exit(ERRNO.fault));
  t.equal(await ending(withBuffers(all, 1_023, 0, 0)), OUT_OF_GAS);
  t.equal(await ending(program([["fd_write", 1, 16 * 65_536 - 8, 2, RESULT]])), exit(ERRNO.fault));
  const read = program([open("in/a", 0, 2n), ["fd_read", 4, 65_536, 1_024, RESULT]], 1);
  const inputs = [{ name: "a", bytes: new Uint8Array(1_000_000) }];
  t.equal(await ending(withBuffers(read, 1_024, 0, 65_536), { inputs }), OUT_OF_GAS);
});

t.test("paths: none leads out of the tree, however long, deep or crooked", async (t) => {
  const opening = (path: string, before: Step[] = []) => answer(program([...before, open(path, 0, 2n)]));
  for (const path of ["../etc/passwd", "/etc/passwd", "in/../../etc", "out/./../..", "..", "out//..//../x"])
    t.equal(opening(path), exit(ERRNO.notcapable), path);
  t.equal(opening("out/up/x", [["path_symlink", "../../..", 3, "out/up"]]), exit(ERRNO.notcapable));
  t.equal(opening("out/in/nothing", [["path_symlink", "../in", 3, "out/in"]]), exit(ERRNO.noent));
  const here: Step = ["path_symlink", ".", 3, "out/l"];
  t.equal(opening(`out/${"l/".repeat(33)}x`, [here]), exit(ERRNO.loop));
  t.equal(opening(`out/${"l/".repeat(32)}x`, [here]), exit(ERRNO.noent));
  t.equal(opening("x".repeat(256)), exit(ERRNO.nametoolong));
  t.equal(opening("x/".repeat(2_049)), exit(ERRNO.nametoolong));
  t.equal(opening("./".repeat(2_048)), "OK 0");
  t.equal(opening("in/a\0b"), exit(ERRNO.inval));
  const deep = Array.from({ length: 17 }, (_, i): Step => ["path_create_directory", 3, `out${"/d".repeat(i + 1)}`]);
  t.equal(answer(program(deep.slice(0, 16))), "OK 0");
  t.equal(answer(program(deep)), OUTPUT_LIMIT);
});

t.test("descriptors: what is closed, moved or never was", async (t) => {
  const close: Step = ["fd_close", 1];
  t.equal(answer(program([close, ["fd_write", 1, 0, 0, 8]])), exit(ERRNO.badf));
  t.equal(answer(program([["fd_close", 3], open("out/f", 1, WRITE)])), exit(ERRNO.badf));
  t.equal(answer(program([["fd_renumber", 3, -1]])), exit(ERRNO.badf));
  t.equal(
    answer(
      program([
        ["fd_renumber", 3, 1],
        ["fd_prestat_get", 1, 0],
        ["fd_prestat_get", 3, 0],
      ]),
    ),
    exit(8),
  );
  t.equal(answer(program([open("out/f", 1, 0n)], 0)), exit(ERRNO.mfile));
});

t.test("after all that this program is alive and small, and the next job is computed as ever", async (t) => {
  const result = await run({ functions: [{ code: [] }] });
  t.equal(result.outputRoot, "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e");
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  t.ok(heapUsed + arrayBuffers < 1024 * 1024 * 1024, `${heapUsed + arrayBuffers} bytes`);
});
