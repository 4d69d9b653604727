import "../../helpers/plain-spawn.ts";
import t from "tap";
import { toHex } from "../../../lib/bytes.ts";
import { startGas } from "../../../vm/wasm/gas.ts";
import { type Lot, openSession, runTask, runTasks, type TaskResult } from "../../../vm/wasm/host.ts";
import { decodeReceipt } from "../../../vm/wasm/receipt.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { STATUS, TRAP } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, f64, i32, i64, type ModuleSource, op, writeText } from "../../helpers/wasm-builder.ts";

t.setTimeout(120_000);
const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: ["a", "b c"],
  inputs: [],
  gasLimit: 2_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const lot = (module: Uint8Array): Omit<Lot, "tasks"> => ({ vmVersion: VM_VERSION, module, timeoutMs: 120_000 });
const run = (source: ModuleSource | Uint8Array, task: Partial<Task> = {}): Promise<TaskResult> =>
  runTask(lot(source instanceof Uint8Array ? source : build(source)), { ...TASK, ...task });
/** Gas of a module's start, with as many initial pages. */
const startOf = (module: Uint8Array, pages: number): number =>
  startGas(module.length, prepareModule(module, NEWEST_RULES).compileGas, 0, pages);
const text = (result: TaskResult, name = "stdout"): string => Buffer.from(result.files.get(name) ?? []).toString();
const drop = op.drop as unknown as number[];
const unreachable = op.unreachable as unknown as number[];
const grow = op.grow as unknown as number[];

const HELLO: ModuleSource = {
  imports: ["fd_write"],
  functions: [{ code: writeText(0, 1, 64, 3) }],
  data: [{ at: 64, bytes: [...Buffer.from("hi\n")] }],
};

t.test("a module that writes to standard output gives OK and a receipt that decodes", async (t) => {
  const result = await run(HELLO);
  t.equal(result.status, STATUS.ok);
  t.equal(text(result), "hi\n");
  t.equal(text(result, "stderr"), "");
  const receipt = decodeReceipt(result.receipt)!;
  t.equal(receipt.gasUsed, result.gasUsed);
  t.equal(receipt.outputRoot, result.outputRoot);
  const start = startOf(build(HELLO), 1);
  // 9 operations of weight 1, two stores of 4, the call 5, the host 2,000, 512 for the vector, 3 for its bytes, room for 256, and 33 for each that is kept.
  t.equal(result.gasUsed, start + 9 + 2 * 4 + 5 + 2_000 + 512 + 3 + 256 + 3 * 33);
});

t.test("an empty run has the output root of the specification", async (t) => {
  const result = await run({ functions: [{ code: [] }] });
  t.equal(result.outputRoot, "0xd1702d661901cb6748104b7357f96212a8824ced1ffc0f0b7a7494639748960e");
  t.equal(result.gasUsed, startOf(build({ functions: [{ code: [] }] }), 1));
});

t.test("an infinite loop runs out of gas at the limit", async (t) => {
  const result = await run({ functions: [{ code: [op.loop(op.br(0))] }] });
  t.match(result, { status: STATUS.outOfGas, code: 0, gasUsed: TASK.gasLimit });
});

t.test("a gas limit below the start of the job is out of gas", async (t) => {
  t.match(await run(HELLO, { gasLimit: 1_000 }), { status: STATUS.outOfGas, gasUsed: 1_000 });
});

t.test("memory that grows without end is bounded and paid for", async (t) => {
  const source: ModuleSource = {
    memory: [1],
    functions: [{ code: [op.loop(op.i32(64), grow, drop, op.br(0))] }],
  };
  t.match(await run(source), { status: STATUS.outOfGas, gasUsed: TASK.gasLimit });
});

t.test("memory.grow answers -1 beyond the declared maximum, and growing by nothing is free of it", async (t) => {
  const source: ModuleSource = {
    memory: [1, 3],
    functions: [
      {
        code: [
          ...[op.i32(0), op.i32(2), grow, op.store32()],
          ...[op.i32(4), op.i32(1), grow, op.store32()],
          ...[op.i32(8), op.i32(0), grow, op.store32()],
          ...[op.i32(12), op.i32(-1), grow, op.store32()],
          ...[op.i32(4), op.load32(), op.i32(-1), [0x47], op.if(unreachable)],
          ...[op.i32(8), op.load32(), op.i32(3), [0x47], op.if(unreachable)],
          ...[op.i32(12), op.load32(), op.i32(-1), [0x47], op.if(unreachable)],
          ...[op.i32(0), op.load32(), op.i32(1), [0x47], op.if(unreachable)],
        ],
      },
    ],
  };
  t.equal((await run(source)).status, STATUS.ok);
});

t.test("a flood of output ends with OUTPUT_LIMIT and keeps what was written before", async (t) => {
  const source: ModuleSource = {
    imports: ["fd_write"],
    memory: [16, 16],
    functions: [{ code: [op.loop(...writeText(0, 2, 4_096, 1_000_000), op.br(0))] }],
  };
  const result = await run(source);
  t.equal(result.status, STATUS.outputLimit);
  t.equal(result.files.get("stderr")!.length, 16_000_000);
  t.ok(result.gasUsed < TASK.gasLimit);
});

t.test("unreachable is a trap with exact gas and the state of memory", async (t) => {
  const source: ModuleSource = {
    functions: [{ code: [op.i32(0), op.i32(7), op.store32(), op.call(1)] }, { code: [op.i32(1), drop, unreachable] }],
  };
  const result = await run(source);
  t.match(result, { status: STATUS.trap, code: TRAP.unreachable });
  t.equal(result.gasUsed, startOf(build(source), 1) + 3 + 5 + 6);
  t.not(result.stateRoot, `0x${"00".repeat(32)}`);
});

t.test("every other trap takes the limit", async (t) => {
  const cases: [string, number[][]][] = [
    ["a load out of bounds", [op.i32(1 << 20), op.load32(), drop]],
    ["a division by zero", [op.i32(1), op.i32(0), [0x6d], drop]],
    ["a conversion of NaN", [op.f64(Number.NaN), [0xaa], drop]],
  ];
  for (const [name, code] of cases) {
    const result = await run({ functions: [{ code: [...code] }] });
    t.match(result, { status: STATUS.trap, code: TRAP.other, gasUsed: TASK.gasLimit, gasExecuted: 0 }, name);
  }
});

t.test("deep recursion is a trap of the stack meter with exact gas, whatever the compiler", async (t) => {
  for (const slots of [0, 1_000]) {
    const source: ModuleSource = {
      functions: [{ code: [op.call(1)] }, { locals: new Array<number>(slots).fill(i64), code: [op.call(1)] }],
    };
    const frame = Math.max(128, 64 + 16 * slots);
    const depth = Math.floor((8 * 1024 * 1024 - 128) / frame);
    const result = await run(source);
    t.match(result, { status: STATUS.trap, code: TRAP.stack });
    t.equal(result.gasUsed, startOf(build(source), 1) + 5 * (depth + 1));
    const baseline = await runTask({ ...lot(build(source)), tier: "baseline" }, TASK);
    t.equal(toHex(baseline.receipt), toHex(result.receipt));
  }
});

t.test("proc_exit gives EXIT with its code, or OK with 0, and returns leave the stack meter as it was", async (t) => {
  const exit = (code: number): ModuleSource => ({
    imports: ["proc_exit"],
    functions: [
      {
        locals: [i32],
        code: [
          op.loop(op.call(2), op.get(0), op.i32(1), [0x6a], op.tee(0), op.i32(1_000_000), [0x48], op.brIf(0)),
          op.i32(code),
          op.call(0),
          unreachable,
        ],
      },
      { code: [op.call(3)] },
      { code: [op.return as unknown as number[]] },
    ],
  });
  t.match(await run(exit(3)), { status: STATUS.exit, code: 3 });
  t.match(await run(exit(0)), { status: STATUS.ok, code: 0 });
});

t.test("the clock is the start time plus gas, sleeping costs gas, random bytes follow from the task id", async (t) => {
  const source: ModuleSource = {
    imports: ["clock_time_get", "poll_oneoff", "random_get", "fd_write"],
    functions: [
      {
        code: [
          ...[op.i32(0), op.i64(0n), op.i32(64), op.call(0), drop],
          // A subscription at 200: relative, monotonic clock, one second.
          ...[op.i32(200), op.i32(1), op.store32(16), op.i32(200), op.i64(1_000_000_000n), op.store64(24)],
          ...[op.i32(200), op.i32(300), op.i32(1), op.i32(400), op.call(1), drop],
          ...[op.i32(0), op.i64(0n), op.i32(72), op.call(0), drop],
          ...[op.i32(80), op.i32(40), op.call(2), drop],
          ...writeText(3, 1, 64, 56),
        ],
      },
    ],
  };
  const first = await run(source);
  t.equal(first.status, STATUS.ok);
  const bytes = Buffer.from(first.files.get("stdout")!);
  const before = bytes.readBigUInt64LE(0);
  const after = bytes.readBigUInt64LE(8);
  t.ok(before >= 1_700_000_000n * 1_000_000_000n + 30_000_000n);
  t.ok(after - before >= 1_000_000_000n && after - before < 1_000_010_000n);
  t.ok(first.gasUsed > 1_000_000_000);
  const again = await run(source);
  t.equal(again.digest, first.digest);
  const other = await run(source, { taskid: `0x${"22".repeat(32)}` });
  t.notSame(other.files.get("stdout")!.subarray(16), bytes.subarray(16));
  t.equal((await run(source, { gasLimit: 500_000_000 })).status, STATUS.outOfGas);
});

t.test("both compilers of V8 give equal receipts for floats whose NaN bits they choose differently", async (t) => {
  const code: number[][] = [op.i32(0), op.f64(0), op.f64(0), [0xa3], op.storeF64()];
  // nan_a + nan_b of two payloads, through a local, and as an argument.
  const payload = (low: number): number[] => [0x44, low, 0, 0, 0, 0, 0, 0xf0, 0x7f];
  code.push(op.i32(8), payload(1), payload(2), [0xa0], op.tee(0), op.storeF64());
  code.push(op.i32(16), op.get(0), op.call(1), op.storeF64());
  code.push(op.i32(24), op.get(0), op.f64(-1), [0xa6], op.storeF64());
  code.push(op.i32(32), op.f64(-1), [0x9f], [0xb6], op.storeF32());
  code.push(op.i32(40), payload(3), op.storeF64());
  const source: ModuleSource = {
    functions: [
      { locals: [f64], code },
      { params: [f64], results: [f64], code: [op.get(0), op.f64(1), [0xa2]] },
    ],
  };
  const optimizing = await run(source);
  const baseline = await runTask({ ...lot(build(source)), tier: "baseline" }, TASK);
  t.equal(optimizing.status, STATUS.ok);
  t.equal(baseline.digest, optimizing.digest);
});

t.test("a call through the table to an import is metered and checked", async (t) => {
  const source: ModuleSource = {
    imports: ["sched_yield"],
    table: [0, 2],
    functions: [
      { code: [op.loop(op.i32(0), op.callIndirect(0), drop, op.br(0))] },
      { results: [i32], code: [op.i32(1)] },
    ],
  };
  t.match(await run(source), { status: STATUS.outOfGas });
  const wrongType: ModuleSource = {
    ...source,
    functions: [{ code: [op.i32(5), op.callIndirect(0), drop] }, source.functions[1]!],
  };
  t.match(await run(wrongType), { status: STATUS.trap, code: TRAP.other });
});

t.test("bulk operations pay for each byte", async (t) => {
  const source: ModuleSource = {
    memory: [16, 16],
    functions: [
      {
        code: [
          op.i32(0),
          op.i32(1),
          op.i32(1_000_000),
          op.fill as unknown as number[],
          op.i32(0),
          op.i32(4),
          op.i32(100),
          op.copy as unknown as number[],
        ],
      },
    ],
  };
  const result = await run(source);
  t.equal(result.gasUsed, startOf(build(source), 16) + 6 + 2 * 20 + 1_000_100);
});

t.test("a callback gets /out/callback, if the deal has one and the file is no larger than it may be", async (t) => {
  const source = (length: number): ModuleSource => ({
    imports: ["path_open", "fd_write"],
    data: [{ at: 1_000, bytes: [...Buffer.from("out/callback")] }],
    functions: [
      {
        code: [
          ...[
            op.i32(3),
            op.i32(0),
            op.i32(1_000),
            op.i32(12),
            op.i32(1),
            op.i64(64n),
            op.i64(0n),
            op.i32(0),
            op.i32(20),
          ],
          ...[op.call(0), drop],
          ...writeText(1, 4, 1_000, length),
        ],
      },
    ],
  });
  const data = Buffer.from((await run(source(12), { hasCallback: true })).callbackData);
  t.equal(data.toString(), "out/callback");
  t.equal((await run(source(12))).callbackData.length, 0);
  t.equal((await run(source(1_024), { hasCallback: true })).callbackData.length, 1_024);
  t.equal((await run(source(1_025), { hasCallback: true })).callbackData.length, 0);
});

t.test("the start function runs under the meters", async (t) => {
  const source: ModuleSource = { start: 1, functions: [{ code: [] }, { code: [op.loop(op.br(0))] }] };
  t.match(await run(source), { status: STATUS.outOfGas, gasUsed: TASK.gasLimit });
});

t.test("a refused module is INVALID for every task, with the reason, and costs its start", async (t) => {
  const module = Uint8Array.of(1, 2, 3);
  const results: TaskResult[] = [];
  for await (const result of runTasks({ ...lot(module), tasks: [TASK, TASK] })) results.push(result);
  t.equal(results.length, 2);
  t.match(results[1], { status: STATUS.invalid, gasUsed: 30_000_060, outputRoot: `0x${"00".repeat(32)}` });
  t.match(results[0]!.reason, /not a WebAssembly module/);
});

t.test("refused parameters and inputs are INVALID without running anything", async (t) => {
  t.match(await run(HELLO, { refused: "unknown parameter x" }), {
    status: STATUS.invalid,
    reason: /unknown parameter x/,
  });
  const twice = { name: "a", bytes: new Uint8Array(1) };
  t.match(await run(HELLO, { inputs: [twice, twice] }), { status: STATUS.invalid, reason: /same name/ });
  t.match(await run(HELLO, { inputs: [{ name: "../a", bytes: new Uint8Array(1) }] }), { status: STATUS.invalid });
});

t.test("time-out and abort reject and kill, and are no results", async (t) => {
  const endless = build({ functions: [{ code: [op.loop(op.br(0))] }] });
  const task = { ...TASK, gasLimit: 2 ** 52 };
  await t.rejects(runTask({ ...lot(endless), timeoutMs: 700 }, task), /within 700 ms/);
  const signal = AbortSignal.timeout(500);
  await t.rejects(runTask({ ...lot(endless), signal }, task), { name: "TimeoutError" });
  await t.rejects(runTask({ ...lot(endless), vmVersion: 9 }, task), /unknown vmVersion/);
});

t.test("a session runs lot after lot as if each had a process of its own", async (t) => {
  const module = build(HELLO);
  const session = openSession({ vmVersion: VM_VERSION, module });
  const patience = { timeoutMs: 60_000 };
  const gather = async (tasks: Task[]): Promise<TaskResult[]> => {
    const found: TaskResult[] = [];
    for await (const result of session.run(tasks, patience)) found.push(result);
    return found;
  };
  const bytes = Uint8Array.of(1, 2, 3);
  const tasks = [1, 2, 3].map(
    (i): Task => ({
      ...TASK,
      taskid: `0x${`${i}`.repeat(64)}`,
      inputs: [{ name: "a", bytes }],
    }),
  );
  const [first, ...rest] = tasks;
  const results = [...(await gather([first!])), ...(await gather(rest))];
  for (const [i, { receipt }] of results.entries())
    t.strictSame(receipt, (await runTask(lot(module), tasks[i]!)).receipt, `task ${i + 1}`);
  t.ok(session.isOpen);
  const other = { ...TASK, inputs: [{ name: "a", bytes: Uint8Array.of(4) }] };
  await t.rejects(gather([other]), /share their files/);
  t.notOk(session.isOpen, "what fails ends it");
  await t.rejects(gather([first!]), { name: "ComputeFault" });

  const endless = openSession({ vmVersion: VM_VERSION, module: build({ functions: [{ code: [op.loop(op.br(0))] }] }) });
  const late = endless.run([{ ...TASK, gasLimit: 2 ** 52 }], { timeoutMs: 300 });
  await t.rejects(late.next(), { name: "ComputeFault", message: /no result within/ });
  t.notOk(endless.isOpen);
  const stopped = openSession({ vmVersion: VM_VERSION, module });
  for await (const _ of stopped.run(tasks, patience)) break;
  t.notOk(stopped.isOpen, "a caller that stops early ends it");
});

t.test("a growth that was refused is told beside the receipt, also where the program then aborts", async (t) => {
  const result = await run({ memory: [1, 3], functions: [{ code: [op.i32(5), grow, drop, unreachable] }] });
  t.match(result, { status: STATUS.trap, code: TRAP.unreachable, refusedGrowth: { pages: 5, has: 1 } });
  const grown = await run({ memory: [1, 3], functions: [{ code: [op.i32(2), grow, drop] }] });
  t.equal(grown.refusedGrowth, undefined);
});

t.test("an input at a path of its own is found there, read only, and a variable in the environment", async (t) => {
  const path = [...Buffer.from("share/lib/a")];
  /** Opens the path with rights and flags of its own, exits with 100 and the error number, or writes 3 bytes of it. */
  const module = build({
    imports: ["path_open", "fd_read", "fd_write", "proc_exit", "environ_get"],
    functions: [
      {
        locals: [i32],
        code: [
          ...[3, 0, 64, path.length, 0].map(op.i32),
          op.i64(2n),
          op.i64(0n),
          op.i32(0),
          op.i32(0),
          op.call(0),
          op.tee(0),
          op.if(op.get(0), op.call(3)),
          ...[op.i32(16), op.i32(128), op.store32(), op.i32(16), op.i32(3), op.store32(4)],
          ...[op.i32(0), op.load32(), op.i32(16), op.i32(1), op.i32(24), op.call(1), drop],
          ...[op.i32(1), op.i32(16), op.i32(1), op.i32(24), op.call(2), drop],
          ...[op.i32(512), op.i32(1_024), op.call(4), drop],
          // The last variable's text: after iExec's, at what the pointer before the end says.
          ...[op.i32(16), op.i32(512 + 4 * 10), op.load32(), op.store32(), op.i32(16), op.i32(8), op.store32(4)],
          ...[op.i32(1), op.i32(16), op.i32(1), op.i32(24), op.call(2), drop],
        ],
      },
    ],
    data: [{ at: 64, bytes: path }],
  });
  const inputs = [{ name: "/share/lib/a", bytes: Buffer.from("abc") }];
  const result = await run(module, { inputs, env: { WORK: "/x" } });
  t.equal(result.status, STATUS.ok);
  t.equal(text(result), "abcWORK=/x\0");
  const old = await runTask({ ...lot(module), vmVersion: 1 }, { ...TASK, inputs });
  t.equal(old.status, STATUS.invalid, "an old deal has none");
});
