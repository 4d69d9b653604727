import type { Outcome } from "./instance.ts";
import type { Task } from "./task.ts";

/** Which of V8's compilers runs the job; results are the same, "baseline" exists to prove it. */
export type Tier = "optimizing" | "baseline";

/** What the host sends to the process of a lot: the module first, then tasks one by one. */
export type ToChild =
  | { readonly kind: "start"; readonly module: Uint8Array; readonly tier: Tier }
  | { readonly kind: "task"; readonly task: Task };

/** What comes back, one for each message. A fault is of this machine, never a result. */
export type FromChild =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "outcome"; readonly outcome: Outcome }
  | { readonly kind: "fault"; readonly reason: string };
