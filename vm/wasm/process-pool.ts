import { createKeptProcesses, type KeepLimits } from "./kept-processes.ts";
import { outputRoot } from "./output.ts";
import { ComputeFault, type JobProcess, startProcess } from "./process.ts";

/** Where processes come from: some are started before they are needed, and some are kept when their work is done. */
export interface ProcessPool {
  /**
   * Gives a process: one that was kept for the purpose, else one that waits, else a new one. It is the caller's to end, or to
   * give back.
   */
  take(purpose?: string): Promise<JobProcess>;
  /** Takes back a process that has the module of its purpose and runs nothing: it is kept for that purpose alone, or ended. */
  give(job: JobProcess): void;
  /** Ends those that wait and those that are kept; those taken go on. */
  close(): void;
}

/** Wait before a process that ended by itself is replaced: whatever ended it may end the next. */
const RESTART_MS = 5_000;

/** Makes a pool that has `idle` processes waiting, and others kept within limits. */
export const createProcessPool = (idle: number, limits?: Partial<KeepLimits>): ProcessPool => {
  const waiting = new Set<JobProcess>();
  const taken = new Set<JobProcess>();
  const kept = createKeptProcesses(limits);
  let starting = 0;
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
    while (!isClosed && waiting.size + starting + taken.size < idle) add().catch(later);
  };
  fill();
  // What names results is loaded at its first use.
  outputRoot(new Map([["out/", new Uint8Array(0)]])).catch(() => {});

  const back = (job: JobProcess): void => {
    taken.delete(job);
    fill();
  };
  return {
    async take(purpose) {
      let job = purpose === undefined ? undefined : await kept.take(purpose);
      if (job) {
        taken.add(job);
        return job;
      }
      kept.trim();
      job = waiting.values().next().value;
      if (job) {
        waiting.delete(job);
        job.hold(true);
        await job.ready;
      } else job = await startProcess();
      taken.add(job);
      const own = job;
      void own.ended.then(() => back(own));
      return own;
    },
    give(job) {
      if (isClosed || job.isOver || job.purpose === undefined) job.end(new ComputeFault("closed"));
      else kept.keep(job);
      back(job);
    },
    close() {
      isClosed = true;
      clearTimeout(timer);
      kept.close();
      for (const job of waiting) job.end(new ComputeFault("closed"));
      waiting.clear();
    },
  };
};
