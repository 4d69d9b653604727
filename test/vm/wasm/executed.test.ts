import "../../helpers/plain-spawn.ts";
import t from "tap";
import { GAS, startGas } from "../../../vm/wasm/gas.ts";
import { runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import { unstartedRoots } from "../../../vm/wasm/receipt.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { STATUS, TRAP } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { NEWEST_RULES, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, i32, type ModuleSource, op } from "../../helpers/wasm-builder.ts";

t.setTimeout(120_000);
const TASK: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 2_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
};
const processes = createProcessPool(1);
t.teardown(() => processes.close());
const run = (source: ModuleSource | Uint8Array, task: Partial<Task> = {}): Promise<TaskResult> => {
  const module = source instanceof Uint8Array ? source : build(source);
  return runTask({ vmVersion: VM_VERSION, module, timeoutMs: 60_000, pool: processes }, { ...TASK, ...task });
};
const startOf = (source: ModuleSource, pages = 1): number => {
  const module = build(source);
  return startGas(module.length, prepareModule(module, NEWEST_RULES).compileGas, 0, pages);
};
const drop = op.drop as unknown as number[];
const fill = op.fill as unknown as number[];
const grow = op.grow as unknown as number[];
/** A load that leaves the memory; 2 operations, weight 11. */
const TRAPS = [op.i32(-4), op.load32(), drop];
/** A subscription at 200: relative, monotonic clock, so many nanoseconds; and the call that waits for it. */
const sleep = (nanoseconds: bigint, call: number): number[][] => [
  ...[op.i32(200), op.i32(1), op.store32(16), op.i32(200), op.i64(nanoseconds), op.store64(24)],
  ...[op.i32(200), op.i32(300), op.i32(1), op.i32(400), op.call(call), drop],
];

t.test("the start is paid for and is not executed", async (t) => {
  const result = await run({ functions: [{ code: [op.i32(1), drop] }] });
  t.equal(result.gasExecuted, 2);
  t.equal(result.gasUsed, startOf({ functions: [{ code: [op.i32(1), drop] }] }) + 2);
  const inputs = [{ name: "a", bytes: new Uint8Array(1_000_000) }];
  t.equal((await run({ functions: [{ code: [op.i32(1), drop] }] }, { inputs })).gasExecuted, 2, "inputs neither");
});

t.test("sleep is paid for and is not executed, nor are other charges of the host beside the calls", async (t) => {
  const awake: ModuleSource = { imports: ["poll_oneoff"], functions: [{ code: sleep(0n, 0) }] };
  const asleep: ModuleSource = { imports: ["poll_oneoff"], functions: [{ code: sleep(1_000_000_000n, 0) }] };
  const [a, b] = [await run(awake), await run(asleep)];
  t.ok(b.gasUsed - a.gasUsed >= 1_000_000_000);
  t.equal(b.gasExecuted, a.gasExecuted);
  const random: ModuleSource = {
    imports: ["random_get"],
    functions: [{ code: [op.i32(0), op.i32(60_000), op.call(0), drop] }],
  };
  const c = await run(random);
  t.equal(c.gasUsed, startOf(random) + 3 + 5 + 2_000 + GAS.randomByte * 60_000);
  t.equal(c.gasExecuted, 3 + 5 + 2_000);
});

t.test("what a limit cuts off is not executed", async (t) => {
  const cases: [string, ModuleSource, number][] = [
    ["a sleep", { imports: ["poll_oneoff"], functions: [{ code: sleep(1n << 60n, 0) }] }, 2_000 + 21],
    [
      "randomness",
      {
        imports: ["random_get"],
        memory: [1_024],
        functions: [{ code: [op.i32(0), op.i32(2 ** 26 - 1), op.call(0), drop] }],
      },
      2_007,
    ],
    ["a fill of what is not there", { functions: [{ code: [op.i32(0), op.i32(0), op.i32(-1), fill] }] }, 3 + 20],
    ["a growth", { memory: [1, 4_096], functions: [{ code: [op.i32(4_000), grow, drop] }] }, 1 + 20],
  ];
  for (const [name, source, executed] of cases) {
    const gasLimit = startOf(source, source.memory?.[0] as number | undefined) + 10_000_000;
    t.match(
      await run(source, { gasLimit }),
      { status: STATUS.outOfGas, gasUsed: gasLimit, gasExecuted: executed },
      name,
    );
  }
});

t.test("a loop without end executes what its limit has beyond the start, but for its last turn", async (t) => {
  const source: ModuleSource = { functions: [{ code: [op.loop(op.br(0))] }] };
  const room = TASK.gasLimit - startOf(source);
  t.match(await run(source), { status: STATUS.outOfGas, gasExecuted: room - (room % 2) });
  const called: ModuleSource = {
    functions: [{ code: [op.loop(op.call(1), op.br(0))] }, { code: [op.call(2)] }, { code: [] }],
  };
  const { gasExecuted } = await run(called, { gasLimit: startOf(called) + 1_000_003 });
  t.ok(gasExecuted > 1_000_003 - 12 && gasExecuted <= 1_000_003, `${gasExecuted}`);
});

t.test("a trap costs the limit and has executed what was known at its last host call, on both compilers", async (t) => {
  const early: ModuleSource = { imports: ["sched_yield"], functions: [{ code: TRAPS }] };
  const late: ModuleSource = {
    imports: ["sched_yield"],
    functions: [
      {
        locals: [i32],
        code: [
          op.call(0),
          drop,
          op.i32(-100_000),
          op.set(0),
          op.loop(op.get(0), op.i32(1), [0x6a], op.tee(0), op.brIf(0)),
          ...TRAPS,
        ],
      },
    ],
  };
  for (const [source, executed] of [
    [early, 0],
    [late, 5 + 2_000],
  ] as const) {
    const result = await run(source);
    t.match(result, { status: STATUS.trap, code: TRAP.other, gasUsed: TASK.gasLimit, gasExecuted: executed });
    const module = build(source);
    const baseline = await runTask({ vmVersion: VM_VERSION, module, timeoutMs: 60_000, tier: "baseline" }, TASK);
    t.equal(baseline.digest, result.digest);
  }
});

t.test("a trap shows the memory, but for the last sixteen bytes, of which machines may differ", async (t) => {
  const at = (address: number, value: number): ModuleSource => ({
    data: [{ at: 100, bytes: [1] }],
    functions: [{ code: [op.i32(address), op.i32(value), op.store32(), ...TRAPS] }],
  });
  const [none, one, other] = [await run(at(8, 0)), await run(at(8, 1)), await run(at(8, 2))];
  t.equal(new Set([none, one, other].map(({ digest }) => digest)).size, 3, "who has not computed it cannot tell");
  t.not(one.stateRoot, `0x${"00".repeat(32)}`);
  t.equal((await run(at(65_532, 1))).stateRoot, none.stateRoot);
  t.not((await run(at(65_516, 1))).stateRoot, none.stateRoot);
});

t.test(
  "a task that writes nothing shows its module and its task in the memory's place, whatever it ends with",
  async (t) => {
    const sources: ModuleSource[] = [
      { functions: [{ code: TRAPS }] },
      { functions: [{ code: [op.i32(1), drop] }] },
      { functions: [{ code: [op.i32(1), drop, ...TRAPS] }] },
    ];
    for (const source of sources) {
      const module = build(source);
      for (const taskid of [TASK.taskid, `0x${"22".repeat(32)}` as const])
        t.equal((await run(source, { taskid })).stateRoot, unstartedRoots(module, NEWEST_RULES)(taskid));
    }
  },
);

t.test("what was never started is told apart by its module and its task", async (t) => {
  const one: ModuleSource = { functions: [{ code: [] }] };
  const two: ModuleSource = { functions: [{ code: [op.i32(1), drop] }] };
  const bad = (last: number): Uint8Array => Uint8Array.of(1, 2, last);
  const taskid = `0x${"22".repeat(32)}` as const;
  for (const [name, status, results] of [
    ["INVALID", STATUS.invalid, [await run(bad(1)), await run(bad(2)), await run(bad(1), { taskid })]],
    [
      "refused parameters",
      STATUS.invalid,
      [await run(one, { refused: "x" }), await run(two, { refused: "y" }), await run(one, { refused: "x", taskid })],
    ],
    [
      "a limit below the start",
      STATUS.outOfGas,
      [
        await run(one, { gasLimit: 1_000 }),
        await run(two, { gasLimit: 1_000 }),
        await run(one, { gasLimit: 1_000, taskid }),
      ],
    ],
  ] as const) {
    for (const result of results) t.match(result, { status, gasExecuted: 0 }, name);
    t.equal(new Set(results.map(({ digest }) => digest)).size, 3, name);
  }
  t.equal((await run(bad(1))).digest, (await run(bad(1))).digest);
});
