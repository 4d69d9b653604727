import { createHash } from "node:crypto";
import type { Prepared } from "./rewrite.ts";

/** Where rewritten modules are kept, so that each is rewritten once. A place that loses some loses time alone. */
export interface PreparedStore {
  /** Gives what was put under a name, whole and unaltered; undefined where there is nothing of the kind. */
  get(name: string): Promise<Prepared | undefined>;
  /** Keeps a rewritten module where there is room. */
  put(name: string, prepared: Prepared): Promise<void>;
}

/** Names a module, and the rules that it is prepared by. Reads the module once: some 1 ms for 1 MiB. */
export const preparedName = (module: Uint8Array, vmVersion: number): string =>
  `${createHash("sha256").update(module).digest("hex")}-${vmVersion}`;
