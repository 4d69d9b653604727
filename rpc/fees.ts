import type { BlockHead } from "../chain/store.ts";
import { decodeTransaction, effectiveGasPrice } from "../chain/transaction.ts";
import { nextBaseFee } from "../consensus/fees.ts";
import type { Hash } from "../lib/bytes.ts";
import type { ChainView } from "./chain-view.ts";
import { type Methods, method } from "./dispatch.ts";
import { invalidParams, REFUSED, RpcError } from "./errors.ts";
import { blockNumber, count, hexNumber, listOf, optional, type Parser } from "./values.ts";

const MAX_BLOCKS = 1_024;
/** Time of this thread that one eth_feeHistory may take. */
const MAX_MS = 5_000;
/** Wei per gas that is suggested while nobody pays more. */
const DEFAULT_TIP = 10n ** 9n;
const SAMPLED_BLOCKS = 5;

const percentile: Parser<number> = (value, name) =>
  typeof value === "number" && value >= 0 && value <= 100 ? value : invalidParams(`invalid ${name}: a percentile`);

const tipsOf = (view: ChainView, { hash, header }: BlockHead): { tip: bigint; gas: number }[] => {
  // A block that used no gas holds nothing.
  if (header.gasUsed === 0) return [];
  const { baseFeePerGas } = header;
  const receipts = view.receipts(hash);
  return (view.engine.store.rawTransactions(hash) ?? [])
    .map((raw, i) => ({
      tip: effectiveGasPrice(decodeTransaction(raw), baseFeePerGas) - baseFeePerGas,
      gas: receipts[i]?.gasUsed ?? 0,
    }))
    .sort((a, b) => (a.tip < b.tip ? -1 : a.tip > b.tip ? 1 : 0));
};

/** The tips at percentiles of a block's gas, as eth_feeHistory defines them. */
const rewards = (view: ChainView, block: BlockHead, percentiles: readonly number[]): string[] => {
  const tips = tipsOf(view, block);
  let gas = 0;
  let next = 0;
  return percentiles.map((percent) => {
    const wanted = (block.header.gasUsed * percent) / 100;
    while (next < tips.length && gas + tips[next]!.gas < wanted) gas += tips[next++]!.gas;
    return hexNumber((tips[next] ?? tips.at(-1))?.tip ?? 0n);
  });
};

/** Methods about what gas costs. */
export const feeMethods = (view: ChainView): Methods => {
  let suggested: { readonly head: Hash; readonly tip: bigint } | undefined;
  /** The median tip of the last full-ish blocks, at least what everyone offers by default when blocks are full. */
  const suggestedTip = (): bigint => {
    const head = view.head();
    if (suggested?.head === head.hash) return suggested.tip;
    const tips: bigint[] = [];
    let block: BlockHead | undefined = head;
    for (let i = 0; block && i < SAMPLED_BLOCKS; i++) {
      // a block that was not full took whatever came: its tips say nothing about a price
      if (block.header.gasUsed * 2 > block.header.gasLimit) tips.push(...tipsOf(view, block).map(({ tip }) => tip));
      block = view.header({ hash: block.header.parentHash, requireCanonical: false });
    }
    tips.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const median = tips[tips.length >> 1] ?? 0n;
    suggested = { head: head.hash, tip: median > DEFAULT_TIP ? median : DEFAULT_TIP };
    return suggested.tip;
  };
  return {
    eth_gasPrice: method([], () => hexNumber(nextBaseFee(view.head().header) + suggestedTip())),
    eth_maxPriorityFeePerGas: method([], () => hexNumber(suggestedTip())),
    eth_feeHistory: method(
      [count, blockNumber, optional(listOf(percentile, 100), [])],
      async ([blocks, newest, percentiles], { turn }) => {
        if (blocks === 0) invalidParams("block count of 0");
        if (percentiles.some((value, i) => i > 0 && value < percentiles[i - 1]!))
          invalidParams("percentiles must be in ascending order");
        const last = view.headerOrFail(newest);
        const length = Math.min(blocks, MAX_BLOCKS, last.header.number + 1);
        const first = last.header.number - length + 1;
        const list = Array.from({ length }, (_, i) => view.headerOrFail({ number: first + i }));
        const reward: string[][] = [];
        let spentMs = 0;
        for (const block of percentiles.length > 0 ? list : []) {
          await turn();
          const started = performance.now();
          reward.push(rewards(view, block, percentiles));
          spentMs += performance.now() - started;
          if (spentMs > MAX_MS)
            throw new RpcError(REFUSED, `query timeout: more than ${MAX_MS} ms of work; ask for fewer blocks`);
        }
        return {
          oldestBlock: hexNumber(first),
          baseFeePerGas: [...list.map(({ header }) => header.baseFeePerGas), nextBaseFee(last.header)].map(hexNumber),
          gasUsedRatio: list.map(({ header }) => header.gasUsed / header.gasLimit),
          ...(percentiles.length > 0 ? { reward } : {}),
        };
      },
    ),
  };
};
