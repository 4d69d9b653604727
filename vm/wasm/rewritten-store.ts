import { createHash } from "node:crypto";
import type { Prepared } from "./rewrite.ts";

/** A rewritten module as it is sent and kept: its rules have a version there. */
export type Rewritten = Omit<Prepared, "rules">;

/** Where rewritten modules are kept, so that each is rewritten once. A place that loses some loses time alone. */
export interface RewrittenStore {
  /** Gives what was put under a name, whole and unaltered; undefined where there is nothing of the kind. */
  get(name: string): Promise<Rewritten | undefined>;
  /** Keeps a rewritten module where there is room. */
  put(name: string, rewritten: Rewritten): Promise<void>;
}

/** Of what the rewriter writes: another one where an instance finds other exports, or the code another form. */
const FORM = 2;

/** Names a module, the rules that it is prepared by and the form. Reads the module once: some 1 ms for a MiB. */
export const moduleName = (module: Uint8Array, vmVersion: number): string =>
  `${createHash("sha256").update(module).digest("hex")}-${vmVersion}-${FORM}`;
