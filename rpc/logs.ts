import type { Block } from "../chain/block.ts";
import { bloomHas, type Receipt } from "../chain/receipt.ts";
import { fromHex, type Hash } from "../lib/bytes.ts";
import type { ChainView } from "./chain-view.ts";
import { invalidParams } from "./errors.ts";
import { type LogJson, logJson } from "./format.ts";
import { LATEST, type LogFilter } from "./values.ts";

/** Blocks and logs of one eth_getLogs at most. */
export const MAX_LOG_BLOCKS = 10_000;
export const MAX_LOGS = 20_000;
const SLICE_BLOCKS = 200;

const mayHold = (bloom: Uint8Array, filter: LogFilter): boolean =>
  [filter.addresses, ...filter.topics].every(
    (alternatives) => alternatives.length === 0 || alternatives.some((value) => bloomHas(bloom, fromHex(value))),
  );

/** Gives the logs of a block that a filter takes. */
export const logsOf = (block: Block, receipts: readonly Receipt[], filter: LogFilter, removed = false): LogJson[] => {
  const found: LogJson[] = [];
  let logIndex = 0;
  for (const [index, receipt] of receipts.entries())
    for (const log of receipt.logs) {
      const here = logIndex++;
      if (filter.addresses.length > 0 && !filter.addresses.includes(log.address)) continue;
      const fits = filter.topics.every(
        (alternatives, i) => alternatives.length === 0 || alternatives.includes(log.topics[i] as Hash),
      );
      if (!fits || log.topics.length < filter.topics.length) continue;
      found.push(logJson(log, block, index, here, removed));
    }
  return found;
};

/** As logsOf, reading receipts only where the block's bloom says that there may be one. */
export const matchingLogs = (view: ChainView, block: Block, filter: LogFilter, removed = false): LogJson[] =>
  mayHold(block.header.logsBloom, filter) ? logsOf(block, view.receipts(block), filter, removed) : [];

/** Answers eth_getLogs over the canonical chain, letting others run now and then. Throws RpcError -32602. */
export const findLogs = async (view: ChainView, filter: LogFilter): Promise<LogJson[]> => {
  if (filter.blockHash)
    return matchingLogs(view, view.blockOrFail({ hash: filter.blockHash, requireCanonical: false }), filter);
  const head = view.head().header.number;
  const numberOf = (id: LogFilter["fromBlock"]): number =>
    id && "number" in id ? id.number : view.blockOrFail(id ?? LATEST).header.number;
  const from = numberOf(filter.fromBlock);
  const to = numberOf(filter.toBlock);
  if (from > to) invalidParams(`invalid block range: from ${from} to ${to}`);
  if (to > head) invalidParams(`block range extends beyond current head block ${head}`);
  if (to - from >= MAX_LOG_BLOCKS) invalidParams(`block range of more than ${MAX_LOG_BLOCKS} blocks`);
  const found: LogJson[] = [];
  for (let number = from; number <= to; number++) {
    const block = view.block({ number });
    if (block) found.push(...matchingLogs(view, block, filter));
    if (found.length > MAX_LOGS) invalidParams(`more than ${MAX_LOGS} logs: ask for fewer blocks`);
    if ((number - from) % SLICE_BLOCKS === SLICE_BLOCKS - 1) await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
};
