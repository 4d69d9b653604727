import t from "tap";
import { openSession, runTask, type TaskResult } from "../../../vm/wasm/host.ts";
import { ComputeFault } from "../../../vm/wasm/process.ts";
import { prepareModule } from "../../../vm/wasm/rewrite.ts";
import { STATUS } from "../../../vm/wasm/status.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { rulesOf, VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, type ModuleSource, op } from "../../helpers/wasm-builder.ts";

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
