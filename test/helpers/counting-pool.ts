import type { ToChild } from "../../vm/wasm/messages.ts";
import type { JobProcess } from "../../vm/wasm/process.ts";
import type { ProcessPool } from "../../vm/wasm/process-pool.ts";

/** Wraps a pool: counts what is asked of its processes, by kind, and notes which were taken. */
export const countingPool = (pool: ProcessPool) => {
  const counts: Partial<Record<ToChild["kind"], number>> = {};
  const own = new Map<JobProcess, JobProcess>();
  const taken: JobProcess[] = [];
  const counting = (job: JobProcess): JobProcess => {
    const wrapped: JobProcess = Object.create(job, {
      // What it is for is the process's own to know.
      purpose: { get: () => job.purpose, set: (purpose) => Object.assign(job, { purpose }) },
      ask: {
        value: (message: ToChild) => {
          counts[message.kind] = (counts[message.kind] ?? 0) + 1;
          return job.ask(message);
        },
      },
    });
    own.set(wrapped, job);
    return wrapped;
  };
  const counted: ProcessPool = {
    take: async (purpose) => {
      const job = await pool.take(purpose);
      taken.push(job);
      return counting(job);
    },
    give: (job) => pool.give(own.get(job)!),
    close: () => pool.close(),
  };
  return { counted, counts, taken };
};
