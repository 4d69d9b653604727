/**
 * Measures the memory that a lot of large results takes, here and in its process: node test/bench/vm/lots.ts [tasks] [MiB of input].
 * Each task writes all of the 16 MiB that it may.
 */
import { readFileSync } from "node:fs";
import { runTasks } from "../../../vm/wasm/host.ts";
import { startProcess } from "../../../vm/wasm/process.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { build, op } from "../../helpers/wasm-builder.ts";

const TASKS = Number(process.argv[2] ?? 256);
const INPUT_MIB = Number(process.argv[3] ?? 64);

/** Writes 1,024 times the same 16 KiB at address 65,536, by a vector at 0. */
const module = build({
  imports: ["fd_write"],
  memory: [2, 2],
  data: [{ at: 0, bytes: Array(1_024).fill([0, 0, 1, 0, 0, 64, 0, 0]).flat() }],
  functions: [
    { code: [op.i32(1), op.i32(0), op.i32(1_024), op.i32(16_384), op.call(0), op.drop as unknown as number[]] },
  ],
});
const input = { name: "data", bytes: new Uint8Array(INPUT_MIB * 1024 * 1024) };
const tasks = Array.from({ length: TASKS }, (_, i): Task => {
  const taskid = `0x${i.toString(16).padStart(64, "0")}` as const;
  return { taskid, args: [], inputs: [input], gasLimit: 1_000_000_000, startTime: 0, hasCallback: false };
});
const mib = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;

const job = await startProcess();
await job.ready;
const before = process.memoryUsage.rss();
const highest = { here: 0, job: 0 };
let bytes = 0;
const start = performance.now();
const pool = { take: async () => job, give: () => {}, close: () => {} };
for await (const result of runTasks({ vmVersion: VM_VERSION, module, tasks, timeoutMs: 3_600_000, pool })) {
  bytes += result.files.get("stdout")!.length;
  highest.here = Math.max(highest.here, process.memoryUsage.rss());
  if (process.platform !== "linux") continue;
  const status = readFileSync(`/proc/${job.pid}/status`, "utf8");
  highest.job = Math.max(highest.job, Number(/VmHWM:\s+(\d+)/.exec(status)![1]) * 1024);
}
const seconds = (performance.now() - start) / 1000;
console.log(`${TASKS} tasks with ${INPUT_MIB} MiB of input and ${mib(bytes / TASKS)} of output each`);
console.log(`${seconds.toFixed(1)} s, ${mib(bytes / seconds)} of results a second`);
console.log(
  `memory here ${mib(before)} before, ${mib(highest.here)} at most; the job's process ${mib(highest.job)} at most`,
);
