import { outputRoot } from "./output.ts";
import { ComputeFault, type JobProcess, startProcess } from "./process.ts";

/** Processes that are started before there is a lot for them, so that a lot does not wait for it. */
export interface ProcessPool {
  /** Gives a process for one lot: one that waits, else a new one. It is the caller's to end. */
  take(): Promise<JobProcess>;
  /** Ends those that wait; those taken go on. */
  close(): void;
}

/** Wait before a process that ended by itself is replaced: whatever ended it may end the next. */
const RESTART_MS = 5_000;

/** Makes a pool that keeps `idle` processes waiting. Each serves one lot; when that ends, another is started. */
export const createProcessPool = (idle: number): ProcessPool => {
  const waiting = new Set<JobProcess>();
  let starting = 0;
  let taken = 0;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const later = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      fill();
    }, RESTART_MS).unref();
  };
  const add = async (): Promise<void> => {
    starting++;
    const job = await startProcess().finally(() => starting--);
    if (isClosed) return job.end(new ComputeFault("closed"));
    job.hold(false);
    waiting.add(job);
    await job.ended;
    if (waiting.delete(job)) later();
  };
  const fill = (): void => {
    // While lots are computed the machine is theirs.
    while (!isClosed && waiting.size + starting + taken < idle) add().catch(later);
  };
  fill();
  // What names results is loaded at its first use.
  outputRoot(new Map([["out/", new Uint8Array(0)]])).catch(() => {});

  return {
    async take() {
      let job = waiting.values().next().value;
      if (job) {
        waiting.delete(job);
        job.hold(true);
        await job.ready;
      } else job = await startProcess();
      taken++;
      void job.ended.then(() => {
        taken--;
        fill();
      });
      return job;
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      for (const job of waiting) job.end(new ComputeFault("closed"));
      waiting.clear();
    },
  };
};
