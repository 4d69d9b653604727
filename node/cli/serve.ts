import type { RunningNode } from "../node.ts";
import { fail } from "./output.ts";

/** How long a node that failed may take to stop: its disk may be the reason. */
const STOP_MS = 5_000;

/** Runs a node until a stop is asked for; one that cannot go on ends the program with the reason and status 1. */
export const serve = async (node: RunningNode, stopped: Promise<void>): Promise<void> => {
  const failure = await Promise.race([stopped, node.failed]);
  if (!failure) return node.stop();
  const timeout = new Promise((resolve) => setTimeout(resolve, STOP_MS));
  await Promise.race([node.stop().catch(() => undefined), timeout]);
  fail(`this node cannot go on and has stopped: ${failure.message}`);
};
