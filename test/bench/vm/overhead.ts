/** Measures what a lot costs beside its computation: node test/bench/vm/overhead.ts [rounds]. Medians, in ms. */
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { runTask } from "../../../vm/wasm/host.ts";
import { startProcess } from "../../../vm/wasm/process.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import { findSandbox } from "../../../vm/wasm/sandbox.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build } from "../../helpers/wasm-builder.ts";

const ROUNDS = Number(process.argv[2] ?? 15);
const module = build({ functions: [{ code: [] }] });
const task: Task = {
  taskid: `0x${"11".repeat(32)}`,
  args: [],
  inputs: [],
  gasLimit: 1_000_000_000,
  startTime: 0,
  hasCallback: false,
};
const LOT = { vmVersion: VM_VERSION, module, timeoutMs: 60_000 };

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};
const median = (values: readonly number[]): string =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!.toFixed(1);

const TICK_MS = 10;
/** Processor time of a process, and of what it started and waited for (Linux: /proc/<pid>/stat, fields 14 to 17). */
const cpuOf = (pid: number): number => {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    return TICK_MS * fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
  } catch {
    return Number.NaN;
  }
};

const { barriers } = await findSandbox();
console.log(`barriers: ${barriers.join(", ") || "none"}; load ${loadavg()[0]!.toFixed(1)}`);
const [cold, warm, start, cpu]: [number[], number[], number[], number[]] = [[], [], [], []];
for (let i = 0; i < ROUNDS; i++) {
  start.push(
    await timed(async () => {
      const job = await startProcess();
      await job.ready;
      cpu.push(cpuOf(job.pid!));
      job.end(undefined);
    }),
  );
  cold.push(await timed(() => runTask(LOT, task)));
  const pool = createProcessPool(1);
  const waiting = await pool.take();
  await waiting.ready;
  warm.push(
    await timed(() => runTask({ ...LOT, pool: { take: async () => waiting, give: () => {}, close: () => {} } }, task)),
  );
  pool.close();
}
console.log(`start of a process        ${median(start)}, ${median(cpu)} of processors`);
console.log(`receipt of an empty job   ${median(cold)} cold`);
console.log(`                          ${median(warm)} with a warm process`);
