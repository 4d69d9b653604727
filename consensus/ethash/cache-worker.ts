/** The thread that holds one epoch's cache, started by ethash.ts: it makes the cache, then hashes what comes. */
import { parentPort, workerData } from "node:worker_threads";
import type { Hash, Hex } from "../../lib/bytes.ts";
import { allocate, type EthashAnswer, openKernel } from "./kernel.ts";
import type { EthashEpoch } from "./sizes.ts";

/** A hash to compute. */
export interface Question {
  readonly id: number;
  readonly seal: Hash;
  readonly nonce: Hex;
}
/** What it yields. */
export type Answer = EthashAnswer & { readonly id: number };

const port = parentPort!;
const kernel = openKernel(allocate(workerData as EthashEpoch, 1, false), 0);
kernel.makeCache();
port.on("message", ({ id, seal, nonce }: Question) => {
  port.postMessage({ id, ...kernel.hash(seal, nonce) } satisfies Answer);
});
