import { gather } from "../lib/byte-source.ts";
import type { Hash } from "../lib/bytes.ts";
import { plain } from "../lib/plain.ts";
import type { RpcClient } from "../rpc/client.ts";
import { outputCid } from "../vm/market/result.ts";
import { describeEnd, type JobReceipt } from "../vm/wasm/receipt.ts";
import { STATUS } from "../vm/wasm/status.ts";
import { streamFile } from "./data-client.ts";
import { ENDED, outcomesOf, type TaskOutcome } from "./jobs.ts";
import type { LotView } from "./market-client.ts";

/** How the tasks of a job ended that did not end well. */
export interface Endings {
  readonly tasks: number;
  readonly failed: number;
  /** Lines for a person, one for each way that tasks ended, and the end of what the first of them said. */
  readonly lines: readonly string[];
}

const MOST_STDERR_BYTES = 1024 * 1024;
const LAST_LINES = 10;
const LONGEST_LINE = 400;

/** Gives the last lines of a task's standard error, without what would steer a terminal; none where nobody gives them now. */
const lastWords = async (node: string, { outputRoot }: JobReceipt): Promise<string[]> => {
  try {
    const bytes = await gather(streamFile(node, outputCid(outputRoot), "stderr"), MOST_STDERR_BYTES);
    const text = plain(new TextDecoder().decode(bytes).trimEnd());
    return text === ""
      ? []
      : text
          .split("\n")
          .slice(-LAST_LINES)
          .map((line) => line.slice(0, LONGEST_LINE));
  } catch {
    return [];
  }
};

/** Says why there is nothing to get of a job without results. */
export const whyNothing = (lots: readonly LotView[], outcomes: readonly TaskOutcome[]): string => {
  if (lots.some(({ status }) => !ENDED.includes(status))) return "no task of this deal has a result yet";
  const ways = new Set(outcomes.map(({ receipt }) => (receipt ? describeEnd(receipt) : "without a result at hand")));
  return `all tasks of this deal ended ${[...ways].join(", ")}: nothing to fetch`;
};

/** Counts the tasks that workers agree did not end well: their lots are completed all the same. */
export const notOk = (outcomes: readonly TaskOutcome[]): number =>
  outcomes.filter(({ receipt }) => receipt && receipt.status !== STATUS.ok).length;

/** Looks at how the tasks of a job that is over ended. Asks the node for receipts, and for one task's standard error. */
export const endingsOf = async (
  client: RpcClient,
  node: string,
  dealid: Hash,
  lots: readonly LotView[],
): Promise<Endings> => {
  const outcomes = await outcomesOf(client, dealid, lots);
  const isPaid = (index: number): boolean =>
    lots.some((lot) => lot.receipt.length > 0 && index >= lot.first && index < lot.first + lot.count);
  // Receipts of lots of several tasks are with nodes, which may have none now: what is not known did not fail.
  const failed = outcomes.filter(({ index, receipt }) => (receipt ? receipt.status !== STATUS.ok : !isPaid(index)));
  const ways = new Map<string, number[]>();
  for (const { index, receipt } of failed) {
    const way = receipt ? describeEnd(receipt) : "no result: too few workers agreed on one";
    ways.set(way, [...(ways.get(way) ?? []), index]);
  }
  const lines = [...ways].map(
    ([way, [first, ...others]]) =>
      `task ${first}${others.length > 0 ? ` and ${others.length} more` : ""} of ${outcomes.length} ended with ${way}`,
  );
  if (failed.some(({ receipt }) => receipt?.status === STATUS.outOfGas))
    lines.push("a task gets more with --gas; rolec run tells how much it needs");
  const speaker = failed.find(({ receipt }) => receipt && receipt.status !== STATUS.invalid);
  const words = speaker ? await lastWords(node, speaker.receipt!) : [];
  if (words.length > 0)
    lines.push(`task ${speaker!.index} said last, on standard error:`, ...words.map((line) => `  ${line}`));
  return { tasks: outcomes.length, failed: failed.length, lines };
};
