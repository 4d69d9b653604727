import type { Found, SearchJob } from "./search.ts";

/** Where a miner's work comes from and goes to. */
export interface WorkSource {
  /** Begins to give jobs; goes on after the other side was away. */
  start(onJob: (job: SearchJob) => void): void;
  /** Hands in a nonce. Resolves with whether it was taken, and why not. */
  submit(job: SearchJob, found: Found): Promise<{ readonly isAccepted: boolean; readonly reason?: string }>;
  /** Tells the miner's rate in hashes a second. */
  report(rate: number): Promise<void>;
  stop(): void;
}
