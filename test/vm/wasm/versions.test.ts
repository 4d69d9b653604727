import "../../helpers/plain-spawn.ts";
import t from "tap";
import { openSession, runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { compileModule, runInstance } from "../../../vm/wasm/instance.ts";
import { ComputeFault } from "../../../vm/wasm/process.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { STATUS, TRAP } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { rulesOf, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { ERRNO } from "../../../vm/wasm/wasi-abi.ts";
import { program, RESULT, type Step } from "../../helpers/wasi-program.ts";
import { build, i32, leb, type ModuleSource, op, v128 } from "../../helpers/wasm-builder.ts";

const drop: number[] = [...op.drop];
const zeros = (count: number): number[] => new Array<number>(count).fill(0);

t.setTimeout(120_000);

t.test("a version's rules are the same for ever", async (t) => {
  const { limits, taskLimits, gas } = rulesOf(1);
  t.equal(limits.moduleBytes, 32 * 1024 * 1024);
  t.equal(taskLimits.outputBytes, 16 * 1024 * 1024);
  t.match(gas, { job: 30_000_000, moduleByte: 20, hostCall: 2_000, hostByte: 1, outputByte: 32, growPage: 8_192 });
  t.equal(rulesOf(VM_VERSION).version, VM_VERSION);
});

t.test("a version that is not known is this machine's fault, never a result", async (t) => {
  t.throws(() => rulesOf(VM_VERSION + 1), RangeError);
  t.throws(() => openSession({ vmVersion: VM_VERSION + 1, module: new Uint8Array(0) }), ComputeFault);
});

const TASK = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [{ name: "a", bytes: new Uint8Array(1_000) }],
  gasLimit: 1_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
} as const;

t.test("a deal keeps its version's prices and files", async (t) => {
  const sized = build(
    program([
      ["path_open", 3, 0, "out/f", 1, 0xffff_ffffn, 0xffff_ffffn, 0, RESULT],
      ["fd_allocate", 4, 0n, 1_000_000n],
      ["fd_write", 4, 65_536, 4, RESULT],
      ["path_rename", 3, "out/f", 3, "out/g"],
      ["random_get", 65_536, 100],
      ["args_get", 65_536, 131_072],
      ["fd_filestat_set_size", 4, 10n],
    ]),
  );
  const temporary = build(program([["path_filestat_get", 3, 0, "tmp", RESULT]]));
  const results = [1, 2].map((version) => {
    const [one, two] = [sized, temporary].map((bytes) => runInstance(compileModule(bytes, rulesOf(version)), TASK));
    return [one!.status, one!.gasUsed, one!.gasExecuted, two!.status, two!.code];
  });
  t.same(results, [
    [STATUS.ok, 62_217_018, 14_084, STATUS.exit, ERRNO.noent],
    [STATUS.ok, 64_155_192, 14_084, STATUS.ok, 0],
  ]);
});

const runBy = async (vmVersion: number, source: ModuleSource, more: Partial<Task> = {}): Promise<TaskResult> => {
  const task = { taskid: `0x${"11".repeat(32)}`, args: [], inputs: [], gasLimit: 1_000_000_000, startTime: 0 } as const;
  return runTask({ vmVersion, module: build(source), timeoutMs: 120_000 }, { ...task, hasCallback: false, ...more });
};
t.test("an old deal's limits are those that it was made under", async (t) => {
  const nested = (depth: number): ModuleSource => ({
    functions: [{ code: [new Array(depth).fill([0x02, 0x40]).flat(), new Array(depth).fill(0x0b)] }],
  });
  const jumps: ModuleSource = {
    functions: [{ code: [op.block(...Array.from({ length: 6_000 }, () => [...op.i32(0), ...op.if(op.br(1))]))] }],
  };
  const programs: Readonly<Record<string, ModuleSource>> = {
    "nesting of 2,000": nested(2_000),
    "2,000 pages, no maximum": { memory: [2_000], functions: [{ code: [] }] },
    "70,000 data segments": { data: new Array(70_000).fill({ at: 0, bytes: [] }), functions: [{ code: [] }] },
    "6,000 branches to one label": jumps,
  };
  for (const [name, program] of Object.entries(programs)) {
    t.throws(() => prepareModule(build(program), rulesOf(1)), { name: "WasmRefused" }, name);
    t.doesNotThrow(() => prepareModule(build(program), rulesOf(2)), name);
  }
  const old = await runBy(1, nested(2_000));
  t.match(old, { status: STATUS.invalid, gasUsed: 30_000_000 + 20 * build(nested(2_000)).length });
  t.equal((await runBy(2, nested(2_000))).status, STATUS.ok);
});

t.test("what a loop holds costs nothing in an old deal", async (t) => {
  const loop: ModuleSource = { functions: [{ code: [op.loop(new Array(20_000).fill(0x01))] }] };
  const [old, now] = [await runBy(1, loop), await runBy(2, loop)];
  t.equal(old.gasUsed, 30_000_000 + 20 * build(loop).length + 8_192 + 2_000 + 5_000);
  const page = rulesOf(2).gas.initialPage - rulesOf(1).gas.initialPage;
  t.equal(now.gasUsed - old.gasUsed, Math.ceil((512 * 20_002) / 1024) + page);
});

t.test("a store costs what it may wait, but in an old deal", async (t) => {
  const stores: ModuleSource = {
    functions: [{ code: [op.i32(0), op.i32(1), op.store32(), op.i32(8), op.i64(1n), op.store64()] }],
  };
  t.same([(await runBy(1, stores)).gasExecuted, (await runBy(2, stores)).gasExecuted], [6, 12]);
  const wide: ModuleSource = { functions: [{ code: [op.i32(0), [0xfd, 0x0c, ...zeros(16)], [0xfd, 0x0b, 4, 0]] }] };
  t.equal((await runBy(2, wide)).gasExecuted, 6, "a vector's too");
});

t.test("what listings hold together has a limit, which old deals do not have", async (t) => {
  const FILES = 1_000;
  /** Makes files in /out, then opens and lists it so many times; closes one and lists again at the end. */
  const listing = (times: number, ending: readonly Step[]): ModuleSource =>
    program([
      ...Array.from({ length: FILES }, (_, i): Step => ["path_create_directory", 3, `out/${i}`]),
      ...Array.from({ length: times }, (_, i): Step[] => [open, list(4 + i)]).flat(),
      ...ending,
    ]);
  const open: Step = ["path_open", 3, 0, "out", 2, 1n << 14n, 0n, 0, RESULT];
  const list = (fd: number): Step => ["fd_readdir", fd, 65_536, 24, 0n, RESULT];
  const most = Math.floor(rulesOf(2).taskLimits.listedEntries / (FILES + 2));
  const endings = [1, 2].map((version) =>
    [
      listing(most, [list(4), ["fd_close", 5], open, list(5)]),
      listing(most, [["fd_renumber", 4, 5], open, list(4)]),
      listing(most + 1, []),
    ].map((source) => {
      const { status, code } = runInstance(compileModule(build(source), rulesOf(version)), TASK);
      return [status, code];
    }),
  );
  const ok = [STATUS.ok, 0];
  t.same(endings, [
    [ok, ok, ok],
    [ok, ok, [STATUS.exit, ERRNO.nomem]],
  ]);
});

t.test("vectors and atomics are of version 2: a deal of version 1 keeps its INVALID", async (t) => {
  const storesVector: ModuleSource = {
    functions: [{ code: [op.i32(0), [0xfd, 0x0c, 1, ...zeros(15)], [0xfd, 0x0b, 4, 0]] }],
  };
  const addsAtomically: ModuleSource = {
    functions: [{ code: [op.i32(0), op.i32(1), [0xfe, 0x1e, 2, 0], drop] }],
  };
  for (const source of [storesVector, addsAtomically]) {
    t.equal((await runBy(1, source)).status, STATUS.invalid);
    const result = await runBy(2, source);
    t.equal(result.status, STATUS.ok);
    // Both leave 1 in the first byte.
    t.equal(
      result.stateRoot,
      (await runBy(1, { functions: [{ code: [op.i32(0), op.i32(1), op.store32()] }] })).stateRoot,
    );
  }
});

t.test("what a store that leaves the memory may have written is no result: 8 bytes, and 16 with vectors", async (t) => {
  const at = 65_536 - 12;
  const source: ModuleSource = {
    memory: [1, 1],
    functions: [
      {
        code: [
          op.i32(0),
          op.i32(1),
          op.store32(),
          op.i32(at),
          op.i32(1),
          op.store32(),
          op.i32(65_536),
          op.i32(1),
          op.store32(),
        ],
      },
    ],
  };
  const [first, second] = [await runBy(1, source), await runBy(2, source)];
  for (const { status, code } of [first, second]) t.match({ status, code }, { status: STATUS.trap, code: TRAP.other });
  t.not(first.stateRoot, second.stateRoot);
  const without: ModuleSource = { memory: [1, 1], functions: [{ code: [op.i32(0), op.i32(1), op.store32()] }] };
  t.equal(second.stateRoot, (await runBy(2, without)).stateRoot);
});

t.test("a wait traps, for nobody could wake it, and nobody waits to be told", async (t) => {
  const atomic = (number: number, alignment: number): number[] => [0xfe, number, alignment, 0];
  const code = [op.i32(0), op.i32(0), op.i64(0n), atomic(1, 2), drop];
  t.match(await runBy(2, { functions: [{ code }] }), { status: STATUS.trap, code: TRAP.other });
  const notify = [op.i32(0), op.i32(0), op.i32(9), atomic(0, 2), op.store32()];
  t.equal((await runBy(2, { functions: [{ code: notify }] })).status, STATUS.ok);
  const unaligned = [op.i32(2), atomic(0x10, 2), drop];
  t.match(await runBy(2, { functions: [{ code: unaligned }] }), { status: STATUS.trap, code: TRAP.other });
});

t.test("vectors on the stack are metered as what they take", async (t) => {
  const loads = (count: number): number[][] =>
    Array.from({ length: count }, (_, i) => [...op.i32(0), 0xfd, 0, 4, ...leb(i)]);
  const deep: ModuleSource = {
    functions: [
      { code: [[0xfd, 0x0c, ...zeros(16)], op.call(1), drop] },
      {
        params: [v128],
        results: [v128],
        locals: [v128, i32],
        code: [op.get(0), op.get(0), op.call(1), [0xfd, 0xae, 1]],
      },
    ],
  };
  t.match(await runBy(2, deep), { status: STATUS.trap, code: TRAP.stack });
  // The largest frame that the limits allow: as many operands and locals as may be, all vectors, kept over a call.
  const wide: ModuleSource = {
    functions: [
      {
        locals: new Array<number>(8_192).fill(v128),
        code: [...loads(16_383), op.call(1), ...Array.from({ length: 16_382 }, () => [0xfd, 0xae, 1]), drop],
      },
      { code: [] },
    ],
  };
  t.equal((await runBy(2, wide)).status, STATUS.ok);
});
